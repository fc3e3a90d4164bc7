"""A person's limits at the door: what waits is accepted, what is too much is refused in words."""

from __future__ import annotations

from gateway.core.envelope import Hold
from gateway.core.errors import StoreUnavailable
from gateway.core.ids import AccountId
from gateway.core.messages import LOCAL, Accepted, NewMessage
from gateway.core.submissions import HOUR_S, Hours, Sent
from gateway.edge.smtp.services import SubmissionServices
from gateway.policy.limit_notices import LimitNotices
from gateway.policy.person_limits import PersonBounds, PersonLimits
from gateway.policy.senders import Senders
from tests.support.smtp_fakes import NOW, FakeIntake, SmtpBench

HOUR = int(NOW) // HOUR_S
BODY = b"From: alice@example.test\r\nDate: x\r\nMessage-ID: <1@x>\r\nSubject: x\r\n\r\nhello\r\n"
ALICE = b"<alice@example.test>"


class Counts:
    def __init__(self) -> None:
        self.hours: dict[int, Sent] = {}
        self.fails = False

    async def sent_since(self, account_id: AccountId, hour: int) -> Hours:
        assert (account_id, hour) == ("a1", HOUR - 23)
        if self.fails:
            raise StoreUnavailable
        return self.hours


def bench_with(counts: Counts) -> SmtpBench:
    def services(bench: SmtpBench) -> SubmissionServices:
        bounds = PersonBounds(messages_per_hour=5, recipients_per_hour=20, most_waiting=3)
        return SubmissionServices(
            Senders(bench.router),
            limits=PersonLimits(counts, bounds),
            notices=LimitNotices(
                bench.intake,
                hostname="mail.example.test",
                ask="",
                wall_clock=lambda: NOW,
            ),
        )

    return SmtpBench("submission", submission=services)


def test_what_is_within_the_limits_counts() -> None:
    counts = Counts()
    bench = bench_with(counts)
    client = bench.submitter()
    to = (b"<bob@example.test>", b"<x@far.test>", b"<y@far.test>")
    assert client.deliver(BODY, *to, sender=ALICE).startswith(b"250 ")
    (message,) = bench.intake.accepted
    submission = message.submission
    assert submission is not None
    assert (submission.hour, submission.recipients) == (HOUR, 3)
    assert submission.room == Sent(5, 20)
    assert message.hold is None and message.local == ("b1",)
    assert [each.next_hop for each in message.held] == [LOCAL, "", ""]


def test_what_is_over_them_waits_for_everybody_and_the_person_hears_of_it() -> None:
    counts = Counts()
    counts.hours = {HOUR: Sent(5, 5)}
    bench = bench_with(counts)
    client = bench.submitter()
    for number in (1, 2):
        to = (b"<bob@example.test>", b"<x@far.test>")
        reply = client.deliver(BODY, *to, sender=ALICE)
        assert reply.endswith(
            b"-%d, held until Tue, 14 Nov 2023 23:00:00 +0000:" % number
            + b" limit: more than 5 messages in an hour\r\n"
        )
    first, notice, second = bench.intake.accepted
    until = (HOUR + 1) * HOUR_S
    for message in (first, second):
        assert message.hold == Hold("limit: more than 5 messages in an hour", until)
        assert message.local == ()
        assert [str(each.address) for each in message.remote] == ["bob@example.test", "x@far.test"]
        assert message.submission is not None and message.submission.hour == HOUR + 1
    assert notice.local == ("a1",) and notice.sender is None
    record = next(each for each in bench.trace.records if each.kind == "held")
    assert record.trace_id == first.ingest_id
    assert record.fields["reason"] == "limit: more than 5 messages in an hour"


def test_what_filled_up_at_the_last_moment_is_told_as_well() -> None:
    bench = bench_with(Counts())
    late = Hold("limit: more than 5 messages in an hour", (HOUR + 1) * HOUR_S)

    class Late(FakeIntake):
        async def accept(self, message: NewMessage) -> Accepted:
            accepted = await super().accept(message)
            return Accepted(accepted.ingest_id, accepted.queue_id, late)

    intake = bench.intake
    intake.__class__ = Late
    client = bench.submitter()
    reply = client.deliver(BODY, b"<bob@example.test>", sender=ALICE)
    assert reply.startswith(b"250 2.0.0 Accepted as ") and b", held until Tue, " in reply
    assert len(intake.accepted) == 2
    assert any(each.kind == "held" for each in bench.trace.records)


def test_who_does_not_stop_is_refused_and_told_why() -> None:
    counts = Counts()
    counts.hours = {HOUR: Sent(5, 5), HOUR + 1: Sent(5, 5), HOUR + 2: Sent(5, 5)}
    bench = bench_with(counts)
    client = bench.submitter()
    assert client.deliver(BODY, b"<bob@example.test>", sender=ALICE) == (
        b"450 4.7.1 alice may send 5 messages an hour, and 3 times as many have come and wait"
        b" already; try again later\r\n"
    )
    counts.hours = {}
    to = [b"<r%d@far.test>" % number for number in range(21)]
    assert client.deliver(BODY, *to, sender=ALICE) == (
        b"550 5.5.3 The message has 21 recipients, and alice may write to 20 an hour: send it to"
        b" fewer\r\n"
    )
    assert bench.intake.accepted == []


def test_D6_a_store_in_trouble_refuses_for_now() -> None:
    counts = Counts()
    counts.fails = True
    client = bench_with(counts).submitter()
    assert client.deliver(BODY, b"<bob@example.test>", sender=ALICE).startswith(b"451 4.3.0 ")
