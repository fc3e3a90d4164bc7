"""Who shares a group's mailbox, by every directory; on the groups of ``contract_groups``."""

from __future__ import annotations

import pytest

from gateway.auth.sharing import Sharing
from gateway.core.account import Account
from gateway.core.address import Address
from gateway.core.group import Group
from gateway.core.shared_mailboxes import FULL, MEMBERS, NOTHING, READ, WRITE, Rights, Share
from tests.directory.contract import Place


async def _prepared(account: Account) -> None:
    return


def rights_at(place: Place, local: str, login: str, **rights: Rights) -> Rights:
    """What somebody may do in the mailbox of a group; keywords are local parts, or members."""
    address = Address(local, "example.test")
    named = {who if who == MEMBERS else f"{who}@example.test": each for who, each in rights.items()}
    share = Share(address, local, named or {MEMBERS: WRITE})
    sharing = Sharing(place.directory, {str(address): share}, _prepared)
    group = place.pump.wait(place.directory.find_group(address))
    account = place.pump.wait(place.directory.find(login))
    assert isinstance(group, Group) and account is not None
    return place.pump.wait(sharing.rights_of(account, group, share))


@pytest.mark.parametrize(
    ("group", "login", "rights"),
    [
        ("sales", "alice", WRITE),
        ("sales", "carol", NOTHING),
        ("everyone", "bob", WRITE),  # by Sales, which is in it
        ("everyone", "dave", WRITE),  # by a group without an address; disabled people come no way
        ("everyone", "carol", NOTHING),
        ("itself", "alice", NOTHING),
        ("posix", "carol", WRITE),  # by login
        ("list", "alice", WRITE),  # by address
        ("dynamic", "carol", WRITE),  # by search
        ("dynamic", "alice", NOTHING),
    ],
)
def test_members_share_however_they_are_members(
    place: Place, group: str, login: str, rights: Rights
) -> None:
    assert rights_at(place, group, login) == rights


def test_people_and_groups_are_named_besides(place: Place) -> None:
    rules = {"members": READ, "bob": FULL, "unique": WRITE, "nobody": FULL}
    for login, rights in (("alice", READ), ("bob", FULL), ("carol", WRITE), ("nopass", WRITE)):
        assert rights_at(place, "sales", login, **rules) == rights
    assert rights_at(place, "sales", "alice", members=NOTHING, carol=FULL) == NOTHING


def test_disabled_people_share_nothing(place: Place) -> None:
    """SECURITY L16."""
    dave = place.pump.wait(place.directory.find("dave"))
    assert dave is not None and not dave.enabled
    share = Share(Address("everyone", "example.test"), "everyone", {MEMBERS: FULL})
    sharing = Sharing(place.directory, {"everyone@example.test": share}, _prepared)
    assert place.pump.wait(sharing.find(dave.account_id, "everyone")) is None
    assert place.pump.wait(sharing.shared_with(dave.account_id)) == ()
