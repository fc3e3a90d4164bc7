"""What administrators are shown: why mail waits, where it would go, what was tried."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from gateway.core.address import Address
from gateway.core.errors import DirectoryUnavailable
from gateway.core.ids import BlobId, QueueId
from gateway.core.messages import LOCAL
from gateway.core.queue import (
    DestinationStatus,
    QueuedMessage,
    QueueEntry,
    QueueFilter,
    QueueItem,
    QueuePart,
    QueueState,
    ShapeRow,
    Verdict,
    WaitingRecipient,
    WaitingStatus,
)
from gateway.core.route import Outbound, Route
from gateway.core.trace import TraceRecord
from gateway.delivery.targets import NoRoute, Protection, Target, TlsDemand
from gateway.queue.desk_forms import CallRefused
from gateway.queue.desk_reroute import Rerouting, next_hop_of
from gateway.queue.desk_views import ROUTE_S, Views

NOW = 1_700_000_000
ALICE = Address("alice", "x.example")
ID = QueueId("0000002A")


def waiting(
    number: int, domain: str, *, attempts: int = 1, at: int | None = NOW + 60, hop: str = ""
) -> WaitingStatus:
    recipient = WaitingRecipient(
        number, Address(f"r{number}", domain), hop, attempts, "451 4.7.1 later"
    )
    return WaitingStatus(recipient, at, hop or domain)


def entry(*recipients: WaitingStatus, state: QueueState = QueueState.WAITING) -> QueueEntry:
    """A message whose parts are all in the same state."""
    hold = "look first" if state is QueueState.HELD else ""
    due_at = None if hold else recipients[0].next_attempt_at
    waiting_ones = tuple(each.recipient for each in recipients)
    destinations = tuple(dict.fromkeys(each.destination for each in recipients))
    message = QueuedMessage(
        ID, "0abc-1", ALICE, 900, NOW - 500, due_at, hold, state is QueueState.SENDING,
        len(recipients), tuple(each.address for each in waiting_ones), "451 4.7.1 later", state,
        destinations,
    )  # fmt: skip
    item = QueueItem(ID, ALICE, BlobId(7), 0, 900, NOW - 500, waiting_ones, message_id="0abc-1")
    parts = tuple(QueuePart(each, state, due_at) for each in destinations)
    return QueueEntry(message, item, recipients, parts)


class Runner:
    def __init__(self, *statuses: DestinationStatus) -> None:
        self.statuses = statuses

    def snapshot(self) -> Sequence[DestinationStatus]:
        return self.statuses


class Control:
    """Answers with what it was made of, and takes down what is rerouted."""

    def __init__(self, *rows: ShapeRow) -> None:
        self.rows = rows
        self.rerouted: list[tuple[list[QueueId], str, QueueFilter]] = []

    async def shape(self, now: int, *, by_sender: bool = False) -> Sequence[ShapeRow]:
        return self.rows

    async def reroute(
        self, queue_ids: Sequence[QueueId], next_hop: str, which: QueueFilter
    ) -> Sequence[QueueId]:
        self.rerouted.append((list(queue_ids), next_hop, which))
        return queue_ids


class Ways:
    """Knows one host; nobody else's name servers answer."""

    def __init__(self) -> None:
        self.asked: list[QueueItem] = []

    def rule(self, item: QueueItem) -> str:
        return "MX records"

    async def targets(self, item: QueueItem) -> Sequence[Target]:
        self.asked.append(item)
        if item.destination == "silent.example":
            await Deferred()
        if item.destination != "good.example":
            raise NoRoute(Verdict.DEFERRED, "4.4.3", "name servers fail")
        demand = TlsDemand(Protection.VERIFIED, policy="sts")
        return [Target("mx.good.example", "192.0.2.1", 25, 10, demand=demand)]


class Trace:
    def __init__(self, *records: TraceRecord) -> None:
        self.records = records

    async def find(self, term: str, **span: Any) -> Sequence[TraceRecord]:
        assert term == "0abc-1" and span["since"] <= NOW - 500
        return self.records

    def note(self, record: TraceRecord) -> None: ...


def views(
    control: Any = None, runner: Runner | None = None, trace: Any = None, ways: Ways | None = None
) -> tuple[Views, Clock]:
    clock = Clock()
    seen: Any = control or Control()
    rule_of = None if ways is None else ways.rule
    return Views(seen, lambda: NOW, runner, trace, rule_of, ways, clock), clock


def result(flow: Any) -> Any:
    ended: list[Any] = []
    Deferred.fromCoroutine(flow).addBoth(ended.append)
    if hasattr(ended[0], "raiseException"):
        ended[0].raiseException()
    return ended[0]


def status(name: str, **fields: Any) -> DestinationStatus:
    return DestinationStatus(**{"destination": name, "window": 5, "in_flight": 0, **fields})


@pytest.mark.parametrize(
    ("state", "at", "attempts", "seen", "why"),
    [
        (QueueState.HELD, None, 1, status("good.example"), "held: look first"),
        (
            QueueState.WAITING, NOW + 60, 1,
            status("good.example", dead_until=NOW + 9, problem="connection refused"),
            "nobody at good.example can be talked to: connection refused",
        ),
        (
            QueueState.WAITING, NOW + 60, 1,
            status("good.example", dead_until=NOW - 1, problem="connection refused"),
            "deferred by the last answer",
        ),
        (QueueState.WAITING, NOW + 60, 0, None, "for its time to come"),
        (QueueState.SENDING, NOW, 0, status("good.example"), "in the line for good.example"),
        (QueueState.SENDING, NOW, 0, None, "it is being sent, or about to be"),
        (
            QueueState.READY, NOW, 0, status("good.example", in_flight=5),
            "for room: 5 of 5 connections to good.example are in use",
        ),
        (
            QueueState.READY, NOW, 0, status("good.example", limited_until=NOW + 3),
            "as many messages as its rate allows go to good.example",
        ),
        (QueueState.READY, NOW, 0, None, "due"),
    ],
)  # fmt: skip
def test_why_a_recipient_waits_is_said(
    state: QueueState, at: int | None, attempts: int, seen: DestinationStatus | None, why: str
) -> None:
    shown = entry(waiting(1, "good.example", attempts=attempts, at=at), state=state)
    desk, _ = views(runner=Runner(*filter(None, [seen])))
    (recipient,) = result(desk.message(shown))["recipients"]
    assert recipient["why"] == why and recipient["destination"] == "good.example"


def test_each_destination_of_a_message_has_its_route() -> None:
    ways = Ways()
    desk, _ = views(ways=ways, runner=Runner(status("bad.example", problem="no route to host")))
    shown = result(
        desk.message(
            entry(
                waiting(1, "good.example"), waiting(2, "bad.example"),
                waiting(3, "good.example"), waiting(4, "x.example", hop=LOCAL),
            )
        )
    )  # fmt: skip
    good, bad, local = shown["parts"]
    assert shown["destinations"] == ["good.example", "bad.example", LOCAL]
    assert good["route"]["rule"] == "MX records" and "now" not in good
    (host,) = good["route"]["hosts"]
    assert host["host"] == "mx.good.example" and host["ip"] == "192.0.2.1"
    assert (host["tls"], host["tls_policy"]) == ("verified", "sts")
    assert bad["route"]["problem"] == "4.4.3 name servers fail"
    assert bad["now"]["problem"] == "no route to host"
    assert local["route"]["rule"] == "a mailbox here"
    assert [[each.number for each in asked.recipients] for asked in ways.asked] == [[1, 3], [2]]


def test_a_route_that_nobody_can_tell_does_not_keep_the_rest_from_being_shown() -> None:
    desk, clock = views(ways=Ways())
    ended: list[Any] = []
    Deferred.fromCoroutine(desk.message(entry(waiting(1, "silent.example")))).addBoth(ended.append)
    assert not ended
    clock.advance(ROUTE_S)
    (part,) = ended[0]["parts"]
    assert "no answer from name servers" in part["route"]["problem"]
    assert not clock.getDelayedCalls()


def test_without_a_running_gateway_no_route_is_pretended() -> None:
    desk, _ = views()
    (part,) = result(desk.message(entry(waiting(1, "good.example"))))["parts"]
    assert part["route"]["hosts"] == [] and "running gateway" in part["route"]["problem"]


def test_the_trace_tells_every_attempt_what_the_checks_said_and_who_did_what() -> None:
    verdict = {"stage": "mail", "check": "lists", "action": "pass", "reason": "fine"}

    def record(kind: str, at: int, **fields: Any) -> TraceRecord:
        return TraceRecord("0abc-1", at, kind, (), {"queue_id": ID, **fields})

    trace = Trace(
        record("accepted", NOW - 500, ip="192.0.2.9", hello="h.example", verdicts=[verdict]),
        record("deferred", NOW - 400, reply="451 4.7.1 later", remote="mx.example", attempt=1),
        TraceRecord("0abd-1", NOW - 399, "deferred", (), {"reply": "of another message"}),
        record("held", NOW - 300, by="uid 0 (root)", reason="look first"),
        record("reported", NOW - 200, about="delay"),
    )
    desk, _ = views(trace=trace)
    shown = result(desk.message(entry(waiting(1, "good.example"))))
    assert shown["traced"] and shown["policy"] == [verdict]
    assert shown["accepted"] == {"ip": "192.0.2.9", "hello": "h.example"}
    (attempt,) = shown["attempts"]
    assert (attempt["at"], attempt["outcome"], attempt["remote"]) == (
        NOW - 400, "deferred", "mx.example",
    )  # fmt: skip
    assert [each["by"] for each in shown["deeds"]] == ["uid 0 (root)"]
    assert [each["what"] for each in shown["reports"]] == ["reported"]


def test_where_nothing_is_traced_that_is_said() -> None:
    desk, _ = views()
    shown = result(desk.message(entry(waiting(1, "good.example"))))
    assert shown["traced"] is False and shown["attempts"] == []
    assert shown["recipients"][0]["last_reply"] == "451 4.7.1 later"


ROWS = (
    ShapeRow("few.example", (0, 0, 0, 0, 0, 0, 2), 20),
    ShapeRow("many.example", (5, 0, 1, 0, 0, 0, 0), 60),
    ShapeRow("some.example", (0, 3, 0, 0, 0, 0, 0), 30),
)


def test_a_shape_is_sorted_bounded_and_sums_up_the_rest() -> None:
    desk, _ = views(Control(*ROWS))
    shown = result(desk.shape({"limit": 1}))
    assert [(each["name"], each["total"]) for each in shown["rows"]] == [("many.example", 6)]
    assert shown["more_rows"] == 2 and shown["rest"]["messages"] == [0, 3, 0, 0, 0, 0, 2]
    assert (shown["total"]["total"], shown["total"]["octets"]) == (11, 110)
    assert len(shown["ages_s"]) + 1 == len(shown["rest"]["messages"])
    for arguments in ({"limit": 0}, {"limit": 1001}, {"by": "size"}):
        with pytest.raises(CallRefused):
            result(desk.shape(arguments))


def test_destinations_in_trouble_come_first_and_idle_ones_are_shown_too() -> None:
    runner = Runner(
        status("few.example", dead_until=NOW + 60, problem="connection refused"),
        status("idle.example", in_flight=1),
    )
    desk, _ = views(Control(*ROWS), runner)
    shown = result(desk.destinations({}))
    names = [each["destination"] for each in shown["destinations"]]
    assert names == ["few.example", "many.example", "some.example", "idle.example"]
    first = shown["destinations"][0]
    assert (first["waiting"], first["octets"], first["problem"]) == (2, 20, "connection refused")
    assert shown["runs_here"] and not shown["destinations"][1]["known"]
    assert result(desk.destinations({"limit": 1}))["more_rows"] == 3
    desk, _ = views(Control(*ROWS))
    assert result(desk.destinations({}))["runs_here"] is False


# -- rerouting


class Router:
    """Relays one domain; knows nothing else, or cannot say."""

    def __init__(self, trouble: bool = False) -> None:
        self.trouble = trouble

    async def route(self, recipient: Address, *, may_relay: bool) -> Route:
        if self.trouble:
            raise DirectoryUnavailable()
        return Outbound("smtp://old:25" if recipient.domain == "plant.example" else "")


PLANT = entry(waiting(1, "plant.example"), waiting(2, "good.example"))


def test_only_the_recipients_who_are_meant_are_sent_another_way() -> None:
    control: Any = Control()
    which = QueueFilter(destination="good.example")
    assert result(Rerouting(control, None).reroute([PLANT], "smtp://a:25", which)) == [ID]
    assert control.rerouted == [([ID], "smtp://a:25", which)]


def test_undoing_asks_routing_where_each_recipient_belongs() -> None:
    control: Any = Control()
    result(Rerouting(control, Router()).reroute([PLANT], "", QueueFilter()))
    assert control.rerouted == [
        ([ID], "", QueueFilter()),
        ([ID], "smtp://old:25", QueueFilter(recipient="r1@plant.example")),
    ]
    control.rerouted.clear()
    result(
        Rerouting(control, Router()).reroute([PLANT], "", QueueFilter(recipient="@good.example"))
    )
    assert len(control.rerouted) == 1


def test_undoing_changes_nothing_while_nobody_can_say_where_mail_goes() -> None:
    control: Any = Control()
    for router, words in ((None, "running gateway"), (Router(trouble=True), "nobody can say")):
        with pytest.raises(CallRefused, match=words):
            result(Rerouting(control, router).reroute([PLANT], "", QueueFilter()))
    assert control.rerouted == []


def test_next_hops_are_urls_or_two_words() -> None:
    known = frozenset({"u@relay.example"})
    assert next_hop_of(["smtp://RELAY.example"], known) == "smtp://relay.example:25"
    chain = next_hop_of(["smtps://u@relay.example", "smtp://[::1]:26"], known)
    assert chain == "smtps://u@relay.example:465 smtp://[::1]:26"
    assert next_hop_of(["mx"], known) == "mx" and next_hop_of(["settings"], known) == ""
    for wrong, words in (
        (["relay.example"], "expected a server such as"),
        (["smtp://u:secret@relay.example"], "password does not belong"),
        (["smtps://v@relay.example"], r'outbound.logins."v@relay.example"'),
        (["mx", "smtp://a"], "found mx"),
        (["smtp://a"] * 11, "expected 10 at most"),
    ):
        with pytest.raises(CallRefused, match=words):
            next_hop_of(wrong, known)


def test_a_password_in_a_url_is_not_echoed() -> None:
    with pytest.raises(CallRefused) as refused:
        next_hop_of(["smtp://u:secret@relay.example"], frozenset())
    assert "secret" not in str(refused.value)


def test_a_message_is_shown_as_long_as_its_parts_are_not_known_yet() -> None:
    desk, _ = views()
    shown = result(desk.message(replace(PLANT, parts=())))
    assert shown["parts"] == [] and len(shown["recipients"]) == 2
