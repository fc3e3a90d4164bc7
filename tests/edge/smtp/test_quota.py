"""What a client hears of a full mailbox, at RCPT and after DATA, and what is stored then."""

from __future__ import annotations

from typing import Literal

import pytest
from twisted.internet.defer import Deferred

from gateway.core.errors import OverQuota
from gateway.core.quota import Quota
from gateway.policy.quota import QuotaPolicy
from tests.support.quota_fakes import FakeQuotaStore
from tests.support.smtp_fakes import ALICE, BOB, SmtpBench

BODY = b"Subject: x\r\n\r\nhello\r\n"
A, B = b"<alice@example.test>", b"<bob@example.test>"


class World:
    """A door whose people may keep 1,000 octets."""

    def __init__(
        self,
        check: Literal["rcpt", "data"] = "rcpt",
        *,
        rejects: bool = False,
        protocol: str = "smtp",
    ) -> None:
        self.store = FakeQuotaStore()
        policy = QuotaPolicy(self.store, default=Quota(octets=1000), check=check, rejects=rejects)
        self.bench = SmtpBench(protocol, quota=policy)
        self.client = self.bench.submitter() if protocol == "submission" else self.bench.ready()

    def fill(self, octets: int = 1000) -> None:
        """Alice's mailbox, up to so much."""
        self.store.kept[ALICE.account_id] = (octets, 1)


@pytest.mark.parametrize(
    ("rejects", "answer"), [(False, b"452 4.2.2 "), (True, b"552 5.2.2 ")], ids=["defer", "reject"]
)
@pytest.mark.parametrize("check", ["rcpt", "data"])
def test_D6_a_full_mailbox_is_told_at_rcpt_and_the_others_get_their_mail(
    check: Literal["rcpt", "data"], rejects: bool, answer: bytes
) -> None:
    world = World(check, rejects=rejects)
    world.fill()
    assert world.client.say(b"MAIL FROM:<a@far.test>").startswith(b"250 ")
    assert world.client.say(b"RCPT TO:" + A).startswith(answer)
    assert world.client.say(b"RCPT TO:" + B).startswith(b"250 ")
    world.client.say(b"DATA")
    assert world.client.send(BODY + b".\r\n").startswith(b"250 ")
    (message,) = world.bench.intake.accepted
    assert message.local == (BOB.account_id,)


def test_the_announced_size_decides_at_rcpt() -> None:
    world = World()
    world.fill(900)
    world.client.say(b"MAIL FROM:<a@far.test> SIZE=101")
    assert world.client.say(b"RCPT TO:" + A).startswith(b"452 4.2.2 ")
    world.client.say(b"RSET")
    world.client.say(b"MAIL FROM:<a@far.test> SIZE=100")
    assert world.client.say(b"RCPT TO:" + A).startswith(b"250 ")


@pytest.mark.parametrize(("check", "answer"), [("data", b"452 4.2.2 "), ("rcpt", b"250 ")])
def test_what_is_too_much_with_its_trace_is_told_at_rcpt_not_to_all_after_data(
    check: Literal["rcpt", "data"], answer: bytes
) -> None:
    world = World(check)
    world.fill(900)
    world.client.say(b"MAIL FROM:<a@far.test> SIZE=100")
    assert world.client.say(b"RCPT TO:" + A).startswith(answer)


def test_what_was_promised_at_rcpt_is_taken_though_it_overshoots() -> None:
    world = World()
    world.fill(999)
    assert world.client.deliver(BODY * 100, A).startswith(b"250 ")
    assert world.bench.intake.accepted[0].may_exceed_quota


@pytest.mark.parametrize("protocol", ["smtp", "submission"])
def test_after_data_the_one_recipient_is_answered_as_set(protocol: str) -> None:
    for rejects, answer in ((False, b"452 4.2.2 "), (True, b"552 5.2.2 ")):
        world = World("data", rejects=rejects, protocol=protocol)
        world.fill(999)
        sender = b"<alice@example.test>" if protocol == "submission" else b"<a@far.test>"
        assert world.client.deliver(BODY, A, sender=sender).startswith(answer)
        assert world.bench.intake.accepted == [] and world.bench.intake.bodies[0].discarded
        # S4: the transaction is over, the connection is not.
        assert world.client.say(b"DATA").startswith(b"503 ")
        assert world.client.deliver(BODY, B, sender=sender).startswith(b"250 ")
        assert not world.bench.intake.accepted[0].may_exceed_quota


def test_after_data_nobody_with_room_is_turned_away_for_good() -> None:
    world = World("data", rejects=True)
    world.fill(999)
    assert world.client.deliver(BODY, A, B).startswith(b"452 4.2.2 ")
    assert world.bench.intake.accepted == []
    # The sender comes again and asks for each: now the answer concerns the full mailbox alone.
    world.fill(1000)
    world.client.say(b"MAIL FROM:<a@far.test>")
    assert world.client.say(b"RCPT TO:" + A).startswith(b"552 5.2.2 ")
    assert world.client.say(b"RCPT TO:" + B).startswith(b"250 ")


def test_after_data_mail_for_elsewhere_is_not_turned_away_for_good_either() -> None:
    world = World("data", rejects=True, protocol="submission")
    world.fill(999)
    reply = world.client.deliver(BODY, A, b"<x@far.test>", sender=A)
    assert reply.startswith(b"452 4.2.2 ")


@pytest.mark.parametrize(("rejects", "answer"), [(False, b"452 4.2.2 "), (True, b"552 5.2.2 ")])
def test_the_store_has_the_last_word(rejects: bool, answer: bytes) -> None:
    world = World("data", rejects=rejects)
    world.bench.intake.fails = OverQuota((ALICE.account_id,))
    assert world.client.deliver(BODY, A).startswith(answer)
    assert world.bench.intake.bodies[0].discarded


def test_a_client_that_leaves_while_room_is_looked_for_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World("data")
    waiting: list[Deferred[None]] = []

    async def hang(*_: object) -> None:
        waiting.append(Deferred())
        await waiting[0]

    quota = world.bench.factory.services.quota
    monkeypatch.setattr(quota, "admit_message", hang)
    assert world.client.deliver(BODY, A) == b""
    world.client.lose()
    assert world.bench.intake.bodies[0].discarded and world.bench.intake.accepted == []
