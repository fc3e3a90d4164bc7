"""One attempt, seen from the queue: outcomes for every way a server can behave."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import TCPTimedOutError
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from gateway.core.address import Address
from gateway.core.errors import StoreDamaged
from gateway.core.ids import BlobId, QueueId
from gateway.core.queue import Outcome, QueueItem, Verdict, WaitingRecipient
from gateway.delivery.mx import MxLookup
from gateway.delivery.next_hop import parse_next_hop
from gateway.delivery.remote import RemoteDelivery
from gateway.delivery.tls import ClientTls
from tests.support.fake_resolver import FakeResolver
from tests.support.scripted_server import CLOSE, HANG, TLS_EHLO, Network, Script

MESSAGE = b"Subject: hi\r\n\r\n.dot\nbare\r\nend"
WIRE = b"Subject: hi\r\n\r\n..dot\r\nbare\r\nend\r\n"
LOCAL_HEADER = b"Return-Path: <a@x.example>\r\n"
RESOLVER = FakeResolver(
    mx={"y.example": [(10, "mx1.y.example"), (20, "mx2.y.example")], "null.example": [(0, "")]},
    a={
        "mx1.y.example": ["192.0.2.1"],
        "mx2.y.example": ["192.0.2.2"],
        "relay.example": ["192.0.2.9"],
    },
)
DELIVERED, DEFERRED, FAILED = Verdict.DELIVERED, Verdict.DEFERRED, Verdict.FAILED


class Source:
    """The store's read; ``content`` may be exchanged for trouble."""

    def __init__(self, content: bytes = LOCAL_HEADER + MESSAGE) -> None:
        self.content = content
        self.problem: Exception | None = None
        self.problem_from = 0
        self.reads = 0

    async def read(self, blob_id: BlobId, offset: int, length: int) -> bytes:
        assert length <= 65_536
        self.reads += 1
        if self.problem is not None and offset >= self.problem_from:
            raise self.problem
        return self.content[offset : offset + length]


class World:
    def __init__(self, smart_host: str = "", password: bytes = b"", source: Source | None = None):
        self.clock = Clock()
        self.network = Network(self.clock)
        self.source = source or Source()
        self.delivery = RemoteDelivery(
            "mail.x.example",
            source=self.source,
            mx=MxLookup(RESOLVER, Random(1), own_names=["mail.x.example"]),
            endpoints=self.network,
            tls=ClientTls(),
            timers=self.clock,
            smart_host=parse_next_hop(smart_host) if smart_host else None,
            smart_host_password=password,
        )
        self.mx1 = self.network.add("192.0.2.1")
        self.mx2 = self.network.add("192.0.2.2")

    def start(self, *recipients: str, next_hop: str = "", **fields: Any) -> Deferred[list[Outcome]]:
        waiting = recipients_of(*(recipients or ("b@y.example",)), next_hop=next_hop)
        item = item_of(waiting, size=len(self.source.content) - len(LOCAL_HEADER), **fields)
        return Deferred.fromCoroutine(self.delivery.attempt(item, waiting, next_hop))

    def attempt(self, *recipients: str, next_hop: str = "", **fields: Any) -> list[Outcome]:
        deferred = self.start(*recipients, next_hop=next_hop, **fields)
        outcomes: list[Any] = []
        deferred.addBoth(outcomes.append)
        for _ in range(3000):
            if outcomes:
                break
            # Instant steps first; a silent server makes time pass.
            self.clock.advance(0 if _step_due(self.clock) else 5)
        (result,) = outcomes
        if isinstance(result, Failure):
            result.raiseException()
        self.clock.pump([0, 0, 0, 20, 0, 0])
        assert self.clock.getDelayedCalls() == [], "a timer was left behind"
        assert isinstance(result, list)
        return sorted(result, key=lambda outcome: outcome.number)

    def one(self, next_hop: str = "", **fields: Any) -> Outcome:
        (outcome,) = self.attempt(next_hop=next_hop, **fields)
        return outcome


def _step_due(clock: Clock) -> bool:
    calls: Any = clock.getDelayedCalls()
    return any(call.getTime() <= clock.seconds() for call in calls)


def recipients_of(*addresses: str, next_hop: str = "") -> tuple[WaitingRecipient, ...]:
    return tuple(
        WaitingRecipient(number, Address(*address.rsplit("@", 1)), next_hop, 0)
        for number, address in enumerate(addresses)
    )


def item_of(
    recipients: tuple[WaitingRecipient, ...],
    *,
    size: int = len(MESSAGE),
    sender: Address | None = Address("a", "x.example"),  # noqa: B008
    eight_bit: bool = False,
) -> QueueItem:
    return QueueItem(
        QueueId("Q1"), sender, BlobId(1), len(LOCAL_HEADER), size, eight_bit, 0, recipients
    )


def test_a_message_arrives_without_its_local_header_and_with_whole_line_ends() -> None:
    world = World()
    assert world.one() == Outcome(0, DELIVERED, "2.0.0", "250 ok", "mx1.y.example")
    assert world.mx1.bodies == [WIRE]
    assert world.mx1.lines == [
        "EHLO mail.x.example",
        f"MAIL FROM:<a@x.example> SIZE={len(MESSAGE)}",
        "RCPT TO:<b@y.example>",
        "DATA",
        ".",
        "QUIT",
    ]
    assert world.network.tried == [("192.0.2.1", 25)]


def test_the_null_sender_is_written_as_such() -> None:
    world = World()
    world.one(sender=None)
    assert world.mx1.lines[1].startswith("MAIL FROM:<> ")


def test_every_recipient_gets_exactly_one_outcome() -> None:
    world = World()
    world.mx1.replies = {
        "RCPT TO:<b@y.example>": b"550 5.1.1 no\r\n",
        "RCPT TO:<c@y.example>": b"450 4.2.0 grey\r\n",
    }
    outcomes = world.attempt("a@y.example", "b@y.example", "c@y.example", "d\r\nx@y.example")
    assert [(o.verdict, o.status) for o in outcomes] == [
        (DELIVERED, "2.0.0"),
        (FAILED, "5.1.1"),
        (DEFERRED, "4.2.0"),
        (FAILED, "5.1.3"),
    ]
    assert [o.number for o in outcomes] == [0, 1, 2, 3]
    assert world.network.tried == [("192.0.2.1", 25)]


def test_S8_an_envelope_that_could_inject_never_gets_a_connection() -> None:
    world = World()
    outcome = world.one(sender=Address("a>\r\nRCPT TO:<evil", "x.example"))
    assert (outcome.verdict, outcome.status) == (FAILED, "5.1.3")
    assert world.network.tried == []


@pytest.mark.parametrize(
    "change",
    [
        {"greeting": b"421 busy\r\n"},
        {"greeting": b"450 busy\r\n"},
        {"greeting": b"554 no\r\n"},
        {"greeting": CLOSE},
        {"greeting": HANG},
        {"greeting": b"junk\r\n", "next_host": False},
        {"ehlo": b"421 busy\r\n"},
        {"ehlo": CLOSE},
        {"ehlo": HANG},
        {"replies": {"MAIL": b"451 busy\r\n"}},
        {"replies": {"MAIL": CLOSE}},
        {"ehlo": b"250 slow\r\n", "replies": {"RCPT": HANG}},
        {"replies": {"RCPT": b"421 busy\r\n"}},
        {"replies": {"DATA": CLOSE}},
        {"replies": {"DATA": HANG}},
    ],
    ids=str,
)
def test_a_host_that_cannot_take_it_makes_room_for_the_next(change: dict[str, Any]) -> None:
    next_host = change.pop("next_host", True)
    world = World()
    world.mx1 = world.network.add("192.0.2.1", Script(**change))
    outcome = world.one()
    if next_host:
        assert (outcome.verdict, outcome.remote) == (DELIVERED, "mx2.y.example")
        assert world.mx2.bodies == [WIRE]
    else:
        assert outcome.verdict is DEFERRED
    assert world.mx1.bodies == []


def test_no_connection_makes_room_for_the_next_host_and_the_last_word_is_told() -> None:
    world = World()
    del world.network.scripts["192.0.2.1"]
    assert world.one().verdict is DELIVERED
    world.network.problems["192.0.2.2"] = TCPTimedOutError()
    del world.network.scripts["192.0.2.2"]
    outcome = world.one()
    assert (outcome.verdict, outcome.status, outcome.remote) == (DEFERRED, "4.4.1", "")
    assert outcome.reply == "no connection to mx2.y.example[192.0.2.2]:25: no answer in time"


def test_hosts_that_all_refuse_for_good_fail_and_one_that_may_defers() -> None:
    world = World()
    world.mx1.greeting = world.mx2.greeting = b"554 5.7.1 we do not like you\r\n"
    outcome = world.one()
    assert (outcome.verdict, outcome.reply) == (FAILED, "554 5.7.1 we do not like you")
    world.mx1.greeting = b"450 later\r\n"
    assert world.one().verdict is DEFERRED


def test_a_refused_sender_is_final_though_another_host_was_down() -> None:
    world = World()
    del world.network.scripts["192.0.2.1"]
    world.mx2.replies["MAIL"] = b"550 5.7.1 blocked\r\n"
    assert world.one() == Outcome(0, FAILED, "5.7.1", "550 5.7.1 blocked", "mx2.y.example")


@pytest.mark.parametrize(
    "reply, verdict",
    [(b"554 5.7.1 spam\r\n", FAILED), (b"451 later\r\n", DEFERRED)],
)
def test_a_refusal_after_the_dot_is_final_for_this_attempt(reply: bytes, verdict: Verdict) -> None:
    world = World()
    world.mx1.replies["."] = reply
    assert world.one().verdict is verdict
    assert world.mx2.lines == []


@pytest.mark.parametrize("reply", [CLOSE, HANG, b"421 bye\r\n"])
def test_D5_no_answer_to_the_dot_defers(reply: bytes) -> None:
    world = World()
    world.mx1.replies["."] = reply
    outcome = world.one()
    assert outcome.verdict is DEFERRED
    assert len(world.mx1.bodies) == 1 and world.mx2.lines == []


def test_a_connection_lost_in_the_message_defers() -> None:
    world = World(source=Source(LOCAL_HEADER + b"x" * 300_000))
    world.mx1.close_in_body = True
    assert world.one().verdict is DEFERRED
    assert world.mx2.lines == []


def test_a_silent_server_costs_its_time_and_no_more() -> None:
    world = World()
    world.mx1.greeting = HANG
    world.one()
    assert 300 <= world.clock.seconds() < 400
    assert world.mx1.connections[0].aborted


def test_N1_dripping_octets_do_not_move_the_deadline() -> None:
    world = World()
    world.mx1.greeting = HANG
    deferred = world.start()
    for _ in range(61):
        transport = world.mx1.connections[0]
        if transport.open:
            transport.protocol.dataReceived(b"2")
        world.clock.advance(5)
    assert not world.mx1.connections[0].open
    world.clock.pump([0] * 20)
    assert deferred.called


@pytest.mark.parametrize("problem_from", [0, 70_000])
@pytest.mark.parametrize("problem", [StoreDamaged(), OSError("disk")], ids=str)
def test_an_unreadable_message_is_never_completed(problem: Exception, problem_from: int) -> None:
    source = Source(LOCAL_HEADER + b"x" * 200_000)
    source.problem, source.problem_from = problem, problem_from
    world = World(source=source)
    outcome = world.one()
    assert (outcome.verdict, outcome.status) == (DEFERRED, "4.3.0")
    assert not world.mx1.connections[0].written.endswith(b".\r\n")
    assert world.mx1.bodies == [] and world.mx2.lines == []


def test_a_message_shorter_than_recorded_is_never_completed() -> None:
    world = World()
    world.source.content = LOCAL_HEADER + b"x" * 10
    waiting = recipients_of("b@y.example")
    deferred = Deferred.fromCoroutine(
        world.delivery.attempt(item_of(waiting, size=99), waiting, "")
    )
    world.clock.pump([0] * 30)
    outcomes: list[list[Outcome]] = []
    deferred.addCallback(outcomes.append)
    assert [outcome.verdict for outcome in outcomes[0]] == [DEFERRED]
    assert world.mx1.bodies == []


def test_a_slow_reader_pauses_the_reading_of_the_store() -> None:
    source = Source(LOCAL_HEADER + b"x" * 1_000_000)
    world = World(source=source)
    world.start()
    while world.mx1.connections[0].producer is None:
        world.mx1.replies["."] = HANG
        # Block at the moment the body starts.
        world.mx1.connections[0].registerProducer = _blocking(world)  # type: ignore[method-assign]
        world.clock.advance(0)
    world.clock.pump([0] * 20)
    reads = source.reads
    assert reads == 1
    world.mx1.connections[0].producer.resumeProducing()
    world.clock.pump([0] * 20)
    assert source.reads > 10


def _blocking(world: World) -> Any:
    def register(producer: Any, streaming: bool) -> None:
        world.mx1.connections[0].producer = producer
        producer.pauseProducing()

    return register


# -- routes


def test_dns_verdicts_become_outcomes() -> None:
    world = World()
    assert world.attempt("b@null.example")[0].status == "5.1.10"
    assert world.attempt("b@gone.example")[0].status == "5.1.2"
    assert world.attempt("b@[127.0.0.1]")[0].status == "5.4.6"
    assert world.attempt("b@grün.example")[0].status == "5.6.7"
    assert world.network.tried == []


def test_a_next_hop_needs_no_mx_and_may_be_loopback() -> None:
    world = World()
    server = world.network.add("127.0.0.1")
    assert world.one(next_hop="smtp://127.0.0.1:2525").verdict is DELIVERED
    assert world.network.tried == [("127.0.0.1", 2525)]
    assert server.bodies == [WIRE]


def test_a_smart_host_takes_all_that_has_no_next_hop() -> None:
    world = World(smart_host="smtp://relay.example")
    relay, old = world.network.add("192.0.2.9"), world.network.add("192.0.2.8")
    assert world.one().verdict is DELIVERED
    assert world.one(next_hop="smtp://192.0.2.8").verdict is DELIVERED
    assert (len(relay.bodies), len(old.bodies)) == (1, 1)
    one, two = recipients_of("b@y.example", "c@z.example")
    assert world.delivery.destination(one) == world.delivery.destination(two)


def test_without_a_smart_host_the_domain_is_the_destination() -> None:
    world = World()
    one, two = recipients_of("b@y.example", "c@z.example")
    assert world.delivery.destination(one) != world.delivery.destination(two)


@pytest.mark.parametrize("next_hop", ["http://x", "smtp://me@relay.example"])
def test_a_wrong_next_hop_defers_until_it_is_mended(next_hop: str) -> None:
    outcome = World().one(next_hop=next_hop)
    assert (outcome.verdict, outcome.status) == (DEFERRED, "4.3.5")


def test_S34_a_host_with_our_name_is_a_loop() -> None:
    world = World()
    world.mx1.ehlo = b"250 mail.x.example\r\n"
    outcome = world.one()
    assert (outcome.verdict, outcome.status) == (FAILED, "5.4.6")


# -- TLS and login


def test_starttls_is_taken_when_offered() -> None:
    world = World()
    world.mx1.ehlo = TLS_EHLO
    assert world.one().verdict is DELIVERED
    assert world.mx1.lines[:3] == ["EHLO mail.x.example", "STARTTLS", "EHLO mail.x.example"]


def test_a_failing_opportunistic_handshake_goes_on_in_clear_text() -> None:
    world = World()
    world.mx1.ehlo, world.mx1.handshake = TLS_EHLO, "fail"
    assert world.one().verdict is DELIVERED
    assert len(world.mx1.connections) == 2 and world.mx1.bodies == [WIRE]


@pytest.mark.parametrize("handshake", ["fail", "hang"])
def test_S18_a_failing_required_handshake_defers(handshake: str) -> None:
    world = World()
    relay = world.network.add("192.0.2.9", Script(ehlo=TLS_EHLO, handshake=handshake))
    outcome = world.one(next_hop="smtp://relay.example?tls=required")
    assert outcome.verdict is DEFERRED
    assert relay.bodies == [] and len(relay.connections) == 1
    if handshake == "fail":
        assert outcome.reply == "TLS failed: certificate verify failed"


def test_S18_a_required_tls_that_is_not_offered_defers() -> None:
    world = World()
    world.network.add("192.0.2.9")
    outcome = world.one(next_hop="smtp://relay.example?tls=required")
    assert (outcome.verdict, outcome.status) == (DEFERRED, "4.7.4")


def test_S18_octets_injected_before_tls_defer() -> None:
    world = World()
    for server in world.mx1, world.mx2:
        server.ehlo = TLS_EHLO
        server.replies["STARTTLS"] = b"220 go\r\n250-evil\r\n250 SIZE 1\r\n"
    outcome = world.one()
    assert (outcome.verdict, outcome.status) == (DEFERRED, "4.7.5")
    assert world.mx1.bodies == []


def test_a_smart_host_gets_the_login_under_tls_only() -> None:
    world = World(smart_host="smtp://me@relay.example:587", password=b"secret")
    relay = world.network.add("192.0.2.9", Script(ehlo=TLS_EHLO, tls_ehlo=TLS_EHLO))
    assert world.one().verdict is DELIVERED
    assert relay.lines[3] == "AUTH PLAIN AG1lAHNlY3JldA=="
    plain = world.network.add("192.0.2.9", Script(ehlo=b"250-x\r\n250 AUTH PLAIN\r\n"))
    assert world.one().verdict is DEFERRED
    assert not any("AUTH" in line for line in plain.lines)


def test_a_wrong_smart_host_password_defers_and_is_not_shown() -> None:
    world = World(smart_host="smtp://me@127.0.0.1", password=b"secret")
    world.network.add(
        "127.0.0.1", Script(ehlo=b"250-x\r\n250 AUTH PLAIN\r\n", replies={"AUTH": b"535 no\r\n"})
    )
    outcome = world.one()
    assert (outcome.verdict, outcome.status) == (DEFERRED, "4.7.8")
    assert "secret" not in outcome.reply


def test_a_user_without_password_defers() -> None:
    assert World(smart_host="smtp://me@relay.example").one().status == "4.3.5"


# -- 8 bit, stopping


def test_S28_eight_bit_octets_fail_where_they_are_not_taken() -> None:
    for content, verdict in ((b"gr\xc3\xbcn\r\n", FAILED), (b"green\r\n", DELIVERED)):
        world = World(source=Source(LOCAL_HEADER + content))
        world.mx1.ehlo = b"250 mx\r\n"
        outcome = world.one(eight_bit=True)
        assert outcome.verdict is verdict
        assert outcome.status == ("5.6.1" if verdict is FAILED else "2.0.0")


@pytest.mark.parametrize("hang_at", ["greeting", "."])
def test_breaking_off_closes_the_connection(hang_at: str) -> None:
    world = World()
    if hang_at == "greeting":
        world.mx1.greeting = HANG
    else:
        world.mx1.replies[hang_at] = HANG
    deferred = world.start()
    world.clock.pump([0] * 30)
    deferred.cancel()
    failures: list[Any] = []
    deferred.addErrback(failures.append)
    assert failures[0].check(CancelledError)
    world.clock.pump([0] * 5)
    assert not world.mx1.connections[0].open
    assert world.clock.getDelayedCalls() == [] and world.mx2.lines == []
