"""Mailboxes of an account: made, listed, renamed, removed; UIDVALIDITY never repeats."""

from __future__ import annotations

from pathlib import Path

import pytest
from twisted.internet.defer import Deferred

from gateway.core.errors import (
    MailboxExists,
    MailboxLimit,
    MailboxNameRefused,
    MaildropInUse,
    NoSuchMailbox,
)
from gateway.core.ids import AccountId, ModSeq
from gateway.core.mailboxes import DEFAULT_MAILBOXES, ListedMailbox, MailboxEvent
from gateway.store import names
from tests.store.house import ALICE, BOB, MESSAGE, House, delivered

pytestmark = pytest.mark.usefixtures("processes")


def listed(house: House) -> dict[str, ListedMailbox]:
    rows = house.wait(house.store.list_mailboxes(ALICE))
    assert [one.name for one in rows] == sorted(one.name for one in rows)
    return {one.name: one for one in rows}


def test_a_new_account_gets_the_default_mailboxes_once(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        with pytest.raises(NoSuchMailbox):
            house.find()
        house.wait(house.store.ensure_account(ALICE))
        house.wait(house.store.ensure_account(ALICE))
        assert {n: one.special_use for n, one in listed(house).items()} == dict(DEFAULT_MAILBOXES)
        assert all(one.subscribed and one.exists for one in listed(house).values())
        assert house.wait(house.store.list_mailboxes(BOB)) == []
        inbox = house.find(name="inbox")
        assert (inbox.name, inbox.uid_next, inbox.special_use) == ("INBOX", 1, "")


def test_many_who_come_at_once_get_their_own_mailboxes(tmp_path: Path) -> None:
    people = [AccountId(f"p{number}") for number in range(100)]
    with House(tmp_path) as house:
        house.wait(house.store.ensure_account(people[7]))
        before = house.wait(house.store.list_mailboxes(people[7]))
        # Each twice, as from two devices; all are on their way before any is waited for.
        coming = [
            Deferred.fromCoroutine(house.store.ensure_account(who)) for who in people for _ in "ab"
        ]
        for each in coming:
            house.pump.wait_for(each)
        found = [house.find(who, name) for who in people for name, _ in DEFAULT_MAILBOXES]
        assert len({one.mailbox_id for one in found}) == len(found)
        assert len({one.uid_validity for one in found}) == len(found)
        for who in people:
            assert house.wait(house.store.list_mailboxes(who)) == before
    with House(tmp_path) as house:
        house.wait(house.store.ensure_account(people[3]))
        assert [house.find(who, name) for who in people for name, _ in DEFAULT_MAILBOXES] == found
        house.verify()


def test_create_makes_missing_parents(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        house.wait(house.store.ensure_account(ALICE))
        made = house.wait(house.store.create_mailbox(ALICE, "a/b/c", "\\Archive"))
        assert (made.name, made.special_use) == ("a/b/c", "\\Archive")
        assert {"a", "a/b", "a/b/c"} <= listed(house).keys()
        for name in ("a/b", "inbox", "Sent"):
            with pytest.raises(MailboxExists):
                house.wait(house.store.create_mailbox(ALICE, name))


@pytest.mark.parametrize(
    "name",
    ["", "/", "a//b", "/a", "a/", ".", "..", "a/../b", "a\0b", "a\r\nb", "a\x7f", "a\u2028b",
     "a%", "a*", "x" * 256, "é" * 128, "/".join("x" * 33), "\ud800"],
    ids=repr,
)  # fmt: skip
def test_I9_impossible_names_are_refused(name: str, tmp_path: Path) -> None:
    with House(tmp_path) as house:
        house.wait(house.store.ensure_account(ALICE))
        with pytest.raises(MailboxNameRefused):
            house.wait(house.store.create_mailbox(ALICE, name))
        with pytest.raises(MailboxNameRefused):
            house.wait(house.store.rename_mailbox(ALICE, "Sent", name))
        with pytest.raises(NoSuchMailbox):
            house.wait(house.store.find_mailbox(ALICE, name))
        assert len(listed(house)) == len(DEFAULT_MAILBOXES)


def test_names_of_people_all_over_the_world_are_possible(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        for name in ("Entwürfe & Mehr", "送信\u3000済み", "\U0001f468\u200d\U0001f469", "a.b~c'd"):
            assert house.wait(house.store.create_mailbox(ALICE, name)).name == name


def test_the_number_of_mailboxes_is_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(names, "MAX_MAILBOXES", len(DEFAULT_MAILBOXES) + 2)
    with House(tmp_path) as house:
        house.wait(house.store.create_mailbox(ALICE, "a/b"))
        with pytest.raises(MailboxLimit):
            house.wait(house.store.create_mailbox(ALICE, "c"))
        assert "c" not in listed(house)


def test_I15_uid_validity_grows_when_a_mailbox_is_made_again(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        seen = []
        for _ in range(3):
            seen.append(house.wait(house.store.create_mailbox(ALICE, "again")).uid_validity)
            house.append("again")
            house.wait(house.store.delete_mailbox(ALICE, "again"))
    with House(tmp_path) as house:
        house.now -= 400 * 86400  # SECURITY D7: the clock may go back
        seen.append(house.wait(house.store.create_mailbox(ALICE, "again")).uid_validity)
        assert seen == sorted(set(seen))
        assert house.uids(name="again") == []


def test_delete_frees_messages_and_keeps_children(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        house.wait(house.store.create_mailbox(ALICE, "a/b"))
        house.append("a", MESSAGE, MESSAGE)
        house.append("a/b")
        events: list[MailboxEvent] = []
        gone = house.box(name="a")
        house.store.watch(gone, events.append)
        house.wait(house.store.delete_mailbox(ALICE, "a"))
        assert [event.mailbox_id for event in events] == [gone]
        with pytest.raises(NoSuchMailbox):
            house.find(name="a")
        with pytest.raises(NoSuchMailbox):
            house.wait(house.store.changes(gone, ModSeq(1)))
        assert listed(house)["a"] == ListedMailbox("a", "", False, exists=False)
        with pytest.raises(MailboxNameRefused):  # only a name for its children now
            house.wait(house.store.delete_mailbox(ALICE, "a"))
        house.wait(house.store.delete_mailbox(ALICE, "a/b"))
        assert "a" not in listed(house)
        for name, error in (("a", NoSuchMailbox), ("inbox", MailboxNameRefused)):
            with pytest.raises(error):
                house.wait(house.store.delete_mailbox(ALICE, name))
        assert house.verify().blobs == 0


def test_rename_takes_children_along_and_keeps_uids(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        house.wait(house.store.create_mailbox(ALICE, "a/b/c"))
        house.wait(house.store.create_mailbox(ALICE, "ab"))
        house.append("a/b/c")
        before = house.find(name="a/b/c")
        house.wait(house.store.rename_mailbox(ALICE, "a", "x/y"))
        after = house.find(name="x/y/b/c")
        assert (after.mailbox_id, after.uid_validity) == (before.mailbox_id, before.uid_validity)
        assert {"x", "x/y", "x/y/b", "ab"} <= listed(house).keys()
        assert "a" not in listed(house)
        house.verify()


@pytest.mark.parametrize(
    ("old", "new", "error"),
    [
        ("none", "new", NoSuchMailbox),
        ("a", "a", MailboxExists),
        ("a", "Sent", MailboxExists),
        ("a", "INBOX", MailboxExists),
        ("a", "a/b/c/d", MailboxNameRefused),
        ("a", "a/new", MailboxNameRefused),
        ("p", "q", MailboxExists),  # q is only a name for q/b
    ],
)
def test_I15_impossible_renames(old: str, new: str, error: type[Exception], tmp_path: Path) -> None:
    with House(tmp_path) as house:
        for name in ("a/b/c", "p/b", "q/b"):
            house.wait(house.store.create_mailbox(ALICE, name))
        house.wait(house.store.delete_mailbox(ALICE, "q"))
        before = listed(house)
        with pytest.raises(error):
            house.wait(house.store.rename_mailbox(ALICE, old, new))
        assert listed(house) == before


def test_renaming_inbox_moves_its_messages(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        house.deliver("1", ALICE)
        house.append("INBOX", flags=["\\Seen", "$Forwarded"])
        house.wait(house.store.create_mailbox(ALICE, "INBOX/child"))
        inbox = house.find()
        house.wait(house.store.rename_mailbox(ALICE, "INBOX", "old/mail"))
        assert house.contents(name="old/mail") == [delivered(), MESSAGE]
        moved = house.find(name="old/mail")
        assert moved.uid_validity > inbox.uid_validity
        assert house.find(name="INBOX/child")
        changes = house.wait(house.store.changes(inbox.mailbox_id, inbox.highest_modseq))
        assert changes.vanished == ((1, 2),)
        assert house.uids() == []
        house.deliver("2", ALICE)
        assert house.uids() == [3]
        selection = house.wait(house.store.select(ALICE, "old/mail", claim_recent=False))
        assert selection.keywords == ("$Forwarded",)
        assert house.append("old/mail").uids == (3,)
        house.verify()


def test_subscriptions_outlive_their_mailbox(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        house.wait(house.store.create_mailbox(ALICE, "a"))
        for _ in range(2):
            house.wait(house.store.set_subscribed(ALICE, "a", True))
        house.wait(house.store.delete_mailbox(ALICE, "a"))
        assert listed(house)["a"] == ListedMailbox("a", "", True, exists=False)
        for _ in range(2):
            house.wait(house.store.set_subscribed(ALICE, "a", False))
        assert "a" not in listed(house)


def test_status_counts(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        house.append("INBOX", MESSAGE, MESSAGE, flags=["\\Seen"])
        house.wait(house.store.select(ALICE, "INBOX", claim_recent=True))
        house.deliver("1", ALICE)
        status = house.wait(house.store.status(ALICE, "inbox"))
        assert (status.messages, status.recent, status.unseen) == (3, 1, 1)
        assert status.size_octets == 2 * len(MESSAGE) + len(delivered())
        assert status.mailbox.uid_next == 4
        with pytest.raises(NoSuchMailbox):
            house.wait(house.store.status(ALICE, "none"))


def test_P5_one_pop3_session_holds_a_maildrop_and_hinders_nobody_else(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        release = house.store.lock_maildrop(ALICE)
        with pytest.raises(MaildropInUse):
            house.store.lock_maildrop(ALICE)
        house.store.lock_maildrop(BOB)
        house.deliver("1", ALICE)
        assert house.wait(house.store.expunge(house.box(), None, only_deleted=False)) == (1,)
        release()
        again = house.store.lock_maildrop(ALICE)
        release()  # a second release does not take the next session's hold away
        with pytest.raises(MaildropInUse):
            house.store.lock_maildrop(ALICE)
        again()
