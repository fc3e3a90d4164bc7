"""Groups and aliases at RCPT: one copy each, full mailboxes aside, and the same cost for each."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest

from gateway.core.account import Account
from gateway.core.address import Address
from gateway.core.errors import OverQuota
from gateway.core.ids import AccountId
from gateway.core.messages import LOCAL
from gateway.core.quota import Quota
from gateway.core.route import Expansion, LocalMailbox, Member, Outbound, Route
from gateway.core.submissions import Hours
from gateway.edge.smtp.services import SubmissionServices
from gateway.policy.person_limits import PersonBounds, PersonLimits
from gateway.policy.quota import QuotaPolicy
from gateway.policy.senders import Senders
from tests.support.quota_fakes import FakeQuotaStore
from tests.support.smtp_fakes import ALICE, BOB, SmtpBench, codes

BODY = b"Subject: x\r\n\r\nhello\r\n"
SUBMITTED = b"From: alice@example.test\r\n" + BODY


def person(number: int) -> Account:
    address = f"p{number}@example.test"
    return Account(AccountId(f"id{number}"), f"p{number}", address, (address,))


def member(account: Account) -> Member:
    local_part, _, domain = account.primary_address.partition("@")
    return Member(Address(local_part, domain), LocalMailbox(account))


class Groups:
    """staff is alice, bob and somebody elsewhere; everybody else is a person of that name."""

    def __init__(self, size: int = 0) -> None:
        far = Member(Address("carol", "far.test"), Outbound())
        self.staff: tuple[Member, ...] = (member(ALICE), member(BOB), far)
        if size:
            self.staff = tuple(member(person(number)) for number in range(size))

    async def route(self, recipient: Address, *, may_relay: bool) -> Route:
        name = recipient.local_part
        if name == "staff":
            return Expansion("staff", self.staff)
        if name in ("alice", "bob"):
            return LocalMailbox(ALICE if name == "alice" else BOB)
        return LocalMailbox(person(int(name[1:])))


def test_a_group_is_one_recipient_with_a_copy_for_each_member() -> None:
    bench = SmtpBench(router=Groups())
    client = bench.ready()
    sent = client.deliver(BODY, b"<staff@example.test>", b"<alice@example.test>")
    assert sent.startswith(b"250 ")
    (message,) = bench.intake.accepted
    assert message.local == (ALICE.account_id, BOB.account_id)
    assert [str(each.address) for each in message.remote] == ["carol@far.test"]


@pytest.mark.parametrize("check", ["rcpt", "data"])
def test_one_full_member_holds_up_nobody(check: Any) -> None:
    store = FakeQuotaStore()
    quota = QuotaPolicy(store, default=Quota(octets=1000), check=check)
    bench = SmtpBench(router=Groups(), quota=quota)
    client = bench.ready()
    store.kept[ALICE.account_id] = (1000, 1)
    assert client.deliver(BODY, b"<staff@example.test>").startswith(b"250 ")
    (message,) = bench.intake.accepted
    assert message.local == (BOB.account_id,)
    assert [(each.address.local_part, each.next_hop) for each in message.remote] == [
        ("alice", LOCAL),
        ("carol", ""),
    ]


def test_a_member_who_fills_up_between_rcpt_and_the_dot_waits_in_the_queue() -> None:
    store = FakeQuotaStore()
    quota = QuotaPolicy(store, default=Quota(octets=1000), check="data")
    bench = SmtpBench(router=Groups(), quota=quota)
    client = bench.ready()
    client.open_content(b"<staff@example.test>")
    store.kept[BOB.account_id] = (1000, 1)
    assert codes(client.send(BODY + b".\r\n")) == [250]
    (message,) = bench.intake.accepted
    assert message.local == (ALICE.account_id,)
    assert {each.address.local_part for each in message.remote} == {"bob", "carol"}


def test_who_is_named_beside_the_group_is_refused_as_ever() -> None:
    store = FakeQuotaStore()
    quota = QuotaPolicy(store, default=Quota(octets=1000), check="data")
    bench = SmtpBench(router=Groups(), quota=quota)
    client = bench.ready()
    client.open_content(b"<staff@example.test>", b"<bob@example.test>")
    store.kept[BOB.account_id] = (1000, 1)
    assert client.send(BODY + b".\r\n").startswith(b"452 4.2.2 ")
    assert bench.intake.accepted == []


def test_a_store_that_is_full_for_one_says_so_for_all() -> None:
    bench = SmtpBench(router=Groups())
    bench.intake.fails = OverQuota((ALICE.account_id,))
    client = bench.ready()
    assert client.deliver(BODY, b"<staff@example.test>").startswith(b"452 4.2.2 ")


# -- one copy for each, also where some of it waits in the queue


def recipients_of(bench: SmtpBench, *to: bytes) -> tuple[list[str], list[str]]:
    """Whose copies are made with the answer, and what the queue gets."""
    client = bench.ready()
    client.say(b"MAIL FROM:<a@far.test>")
    for each in to:
        assert codes(client.say(b"RCPT TO:" + each)) == [250]
    client.say(b"DATA")
    assert codes(client.send(BODY + b".\r\n")) == [250]
    (message,) = bench.intake.accepted
    return list(message.local), [each.address.local_part for each in message.remote]


def test_S24_who_waits_by_one_address_gets_no_copy_by_another() -> None:
    class Names(Groups):
        async def route(self, recipient: Address, *, may_relay: bool) -> Route:
            return LocalMailbox(ALICE)

    success, plain = b"<alice@example.test> NOTIFY=SUCCESS", b"<al@example.test>"
    for to in ((success, plain), (plain, success)):
        assert recipients_of(SmtpBench(router=Names()), *to) == ([], ["alice"])


def test_S24_members_of_a_group_that_the_queue_expands_get_one_copy() -> None:
    """Who is in it is found out later: the queue, which has all of them then, gives each one."""
    group, alice = b"<staff@example.test> NOTIFY=SUCCESS", b"<alice@example.test>"
    for to in ((group, alice), (alice, group)):
        local, queued = recipients_of(SmtpBench(router=Groups()), *to)
        assert local == [] and sorted(queued) == ["alice", "staff"]


# -- what it costs


def calls(work: Callable[[], object]) -> int:
    """Function calls of the interpreter: a count that no other process disturbs."""
    count = 0

    def one(_frame: object, event: str, _argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(one)
    try:
        work()
    finally:
        sys.setprofile(before)
    return count


def cost_of_message(recipients: int) -> int:
    bench = SmtpBench(router=Groups())
    client = bench.ready()
    names = b"".join(b"RCPT TO:<p%d@example.test>\r\n" % number for number in range(recipients))

    def work() -> None:
        client.say(b"MAIL FROM:<a@far.test>")
        assert codes(client.send(names)) == [250] * recipients
        client.say(b"DATA")
        assert codes(client.send(BODY + b".\r\n")) == [250]

    cost = calls(work)
    assert len(bench.intake.accepted[0].local) == recipients
    return cost


class NothingSent:
    async def sent_since(self, account_id: AccountId, hour: int) -> Hours:
        return {}


def cost_of_group(size: int) -> int:
    bench = SmtpBench(router=Groups(size))
    client = bench.ready()
    return calls(lambda: client.deliver(BODY, b"<staff@example.test>"))


def cost_of_submission(recipients: int) -> int:
    """From one of our people who has limits, to people here and elsewhere."""
    limits = PersonLimits(NothingSent(), PersonBounds(messages_per_day=9, recipients_per_hour=5000))
    bench = SmtpBench(
        "submission",
        router=Groups(),
        submission=lambda bench: SubmissionServices(Senders(bench.router), limits=limits),
    )
    client = bench.submitter()
    to = [b"<p%d@example.test>" % number for number in range(recipients)]
    cost = calls(lambda: client.deliver(SUBMITTED, *to, sender=b"<alice@example.test>"))
    (message,) = bench.intake.accepted
    assert message.submission is not None and message.submission.recipients == recipients
    assert len(message.held) == recipients
    return cost


@pytest.mark.parametrize("cost", [cost_of_message, cost_of_group, cost_of_submission])
def test_each_recipient_costs_the_same_from_1_to_1000(cost: Callable[[int], int]) -> None:
    cost(1)  # what is made once
    nothing, few, many = cost(1), cost(101), cost(1000)
    each = (few - nothing) / 100
    assert (many - nothing) / 999 < 1.1 * each
