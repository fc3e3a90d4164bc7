"""A group's shared mailbox at the door: full or not as a person's is."""

from __future__ import annotations

from typing import Literal

import pytest

from gateway.core.account import Account
from gateway.core.address import Address
from gateway.core.errors import OverQuota
from gateway.core.group import Group
from gateway.core.ids import AccountId
from gateway.core.quota import Quota
from gateway.core.route import Expansion, LocalMailbox, Member, Route
from gateway.policy.quota import QuotaPolicy
from tests.support.quota_fakes import FakeQuotaStore
from tests.support.smtp_fakes import ALICE, BOB, FakeRouter, SmtpBench

INFO = AccountId("group=7")
ADDRESS = "info@example.test"
MAILBOX = Member(
    Address("info", "example.test"),
    LocalMailbox(Account(INFO, ADDRESS, ADDRESS, (ADDRESS,)), is_shared=True),
)
GROUP = Group("7", (ADDRESS,), ())
BODY = b"Subject: x\r\n\r\nhello\r\n"
TO_INFO, B = b"<info@example.test>", b"<bob@example.test>"


class Router(FakeRouter):
    """info@ has a mailbox, and as many members as a test wants."""

    def __init__(self, *members: Account) -> None:
        super().__init__()
        copies = (
            Member(Address(each.login, "example.test"), LocalMailbox(each)) for each in members
        )
        self.expansion = Expansion("group info", (MAILBOX, *copies), groups=(GROUP,))

    async def route(self, recipient: Address, *, may_relay: bool) -> Route:
        if recipient.local_part == "info":
            return self.expansion
        return await super().route(recipient, may_relay=may_relay)


class World:
    """A door whose mailboxes may keep 1,000 octets."""

    def __init__(
        self, *members: Account, check: Literal["rcpt", "data"] = "rcpt", protocol: str = "smtp"
    ) -> None:
        self.store = FakeQuotaStore()
        policy = QuotaPolicy(self.store, default=Quota(octets=1000), check=check)
        self.bench = SmtpBench(protocol, quota=policy, router=Router(*members))
        self.client = self.bench.ready()

    def local(self) -> list[AccountId]:
        return [each for message in self.bench.intake.accepted for each in message.local]

    def queued(self) -> list[str]:
        accepted = self.bench.intake.accepted
        return [str(each.address) for message in accepted for each in message.remote]


def test_one_transaction_holds_the_groups_and_the_peoples_copies() -> None:
    world = World(ALICE)
    assert world.client.deliver(BODY, TO_INFO, B, b"<alice@example.test>").startswith(b"250 ")
    (message,) = world.bench.intake.accepted
    assert sorted(message.local) == sorted([INFO, ALICE.account_id, BOB.account_id])
    assert message.remote == ()


@pytest.mark.parametrize("check", ["rcpt", "data"])
def test_a_full_one_is_told_at_rcpt(check: Literal["rcpt", "data"]) -> None:
    world = World(check=check)
    world.store.kept[INFO] = (1000, 1)
    world.client.say(b"MAIL FROM:<a@far.test>")
    assert world.client.say(b"RCPT TO:" + TO_INFO).startswith(b"452 4.2.2 ")
    assert world.client.say(b"RCPT TO:" + B).startswith(b"250 ")


def test_with_copies_to_the_members_one_of_them_waits() -> None:
    world = World(ALICE)
    world.store.kept[INFO] = (1000, 1)
    assert world.client.deliver(BODY, TO_INFO).startswith(b"250 ")
    assert (world.local(), world.queued()) == ([ALICE.account_id], ["info@example.test"])


def test_after_data_it_is_answered_as_a_persons() -> None:
    world = World(check="data")
    world.store.kept[INFO] = (999, 1)
    assert world.client.deliver(BODY, TO_INFO).startswith(b"452 4.2.2 ")
    world = World()
    world.bench.intake.fails = OverQuota((INFO,))
    assert world.client.deliver(BODY, TO_INFO).startswith(b"452 4.2.2 ")
    assert world.bench.intake.bodies[0].discarded
