"""Who may send in the name of a group with a mailbox (SECURITY S32)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from gateway.core.account import Account
from gateway.core.address import Address
from gateway.core.shared_mailboxes import MEMBERS, WRITE, Share
from gateway.policy.group_rules import GroupRules, Rule
from gateway.policy.senders import Senders, Standing
from gateway.routing.domains import Domain, DomainRouter
from tests.policy.test_senders import now
from tests.support.people import People as Directory
from tests.support.people import person

INFO = Address("info", "example.test")
ALICE, BOB = person("alice@example.test"), person("bob@example.test")


def senders(*named: str) -> Senders:
    """alice is a member of info@, which has a mailbox."""
    known: Any = Directory(*ALICE.addresses, *BOB.addresses)
    known.add_group("info@example.test", "alice@example.test")
    group = replace(known.groups["info@example.test"], group_id="7")
    known.groups["info@example.test"] = group
    share = Share(INFO, "info", {MEMBERS: WRITE})
    router = DomainRouter(
        {"example.test": Domain("example.test")}, known, shares={"info@example.test": share}
    )
    groups: Any = _NoGroups()
    return Senders(
        router,
        groups=groups,
        rules={"info@example.test": Rule.of(named)},
        meaning=GroupRules(groups, lambda _: True),
    )


@pytest.mark.parametrize(
    ("named", "alice", "bob"),
    [
        (("members",), Standing.SHARED, None),
        (("bob@example.test",), None, Standing.SHARED),
        (("nobody",), None, None),
        ((), Standing.SHARED, None),
    ],
)
def test_S32_a_shared_mailbox_is_written_from_by_whom_its_rule_names(
    named: tuple[str, ...], alice: Standing | None, bob: Standing | None
) -> None:
    rule = senders(*named)
    assert now(rule.of(ALICE).find(INFO)) is alice
    assert now(rule.of(BOB).find(INFO)) is bob


class _NoGroups:
    async def groups_of(self, account: object) -> tuple[()]:
        return ()

    async def find_recipient(self, addresses: Sequence[Address]) -> Account | None:
        return {"alice": ALICE, "bob": BOB}.get(addresses[0].local_part)
