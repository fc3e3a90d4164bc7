"""Who hears of what: the wishes of RFC 3461, RFC 2852 and RFC 8689, read back from the reports."""

from __future__ import annotations

from email import message_from_bytes
from email.message import Message
from typing import Any

import pytest

from gateway.core.envelope import (
    BodyKind,
    DeliverBy,
    MessageOptions,
    Notify,
    RecipientOptions,
)
from gateway.core.queue import Verdict
from gateway.queue.schedule import DAY_S
from gateway.wire.dsn_original import MAX_RETURNED_OCTETS
from tests.support.queue_world import World

DELIVERED, DEFERRED, FAILED = Verdict.DELIVERED, Verdict.DEFERRED, Verdict.FAILED
SUCCESS, FAILURE, DELAY = Notify.SUCCESS, Notify.FAILURE, Notify.DELAY
HOUR_S = 3600


def asked(notify: Notify | None, original: str = "") -> RecipientOptions:
    return RecipientOptions(notify, original)


def reports(world: World) -> list[Message]:
    return [message_from_bytes(octets) for _, octets in world.queue.reports]


def block(report: Message, number: int = 1) -> Message:
    """Of the machine's part: 0 for the message, then one for each recipient."""
    status = report.get_payload(1)
    assert isinstance(status, Message)
    found = status.get_payload(number)
    assert isinstance(found, Message)
    return found


def actions(world: World) -> list[str]:
    return [str(block(report)["Action"]) for report in reports(world)]


@pytest.mark.parametrize(
    ("notify", "verdict", "told"),
    [
        (None, FAILED, ["failed"]),
        (FAILURE, FAILED, ["failed"]),
        (SUCCESS | DELAY, FAILED, []),
        (Notify.NEVER, FAILED, []),
        (None, DELIVERED, []),
        (FAILURE | DELAY, DELIVERED, []),
        (SUCCESS, DELIVERED, ["relayed"]),
        (Notify.NEVER, DELIVERED, []),
    ],
)
def test_S36_the_sender_hears_of_what_was_asked_for(
    notify: Notify | None, verdict: Verdict, told: list[str]
) -> None:
    world = World()
    world.delivery.default = verdict
    world.add("b@y.example", asked=asked(notify))
    assert actions(world) == told and world.queue.rows == {}


def test_a_next_hop_that_reports_by_itself_leaves_us_nothing_to_say() -> None:
    world = World()
    world.delivery.reports_on = True
    world.add("b@y.example", asked=asked(SUCCESS))
    assert world.queue.reports == [] and world.queue.rows == {}


def test_the_senders_names_for_message_and_recipient_come_back() -> None:
    world = World()
    world.delivery.default = FAILED
    options = MessageOptions(envid="QQ314")
    world.add("b@y.example", options=options, asked=asked(FAILURE, "rfc822;old@z.example"))
    (report,) = reports(world)
    assert block(report, 0)["Original-Envelope-Id"] == "QQ314"
    assert block(report)["Original-Recipient"] == "rfc822; old@z.example"


def test_S35_success_is_not_reported_to_nobody() -> None:
    world = World()
    world.add("b@y.example", sender=None, asked=asked(SUCCESS))
    assert world.queue.reports == [] and world.queue.rows == {}


# -- what is returned


@pytest.mark.parametrize(
    ("ret", "size", "require_tls", "whole"),
    [
        ("", 100, False, False),
        ("HDRS", 100, False, False),
        ("FULL", 100, False, True),
        ("FULL", MAX_RETURNED_OCTETS, False, False),
        ("FULL", 100, True, False),
    ],
)
def test_S36_the_message_is_returned_when_asked_for_and_small(
    ret: Any, size: int, require_tls: bool, whole: bool
) -> None:
    world = World()
    world.delivery.default = FAILED
    world.queue.content = (
        b"Return-Path: <>\r\n" + b"Subject: hi\r\n\r\n" + b"text \r\n" * (size // 7)
    )
    world.add("b@y.example", options=MessageOptions(ret=ret, require_tls=require_tls))
    ((new, octets),) = world.queue.reports
    assert (b"text" in octets.rpartition(b"Subject: hi")[2]) is whole
    # RFC 8689 section 5: what is reported about it needs TLS as well.
    assert new.options.require_tls is require_tls


def test_successes_and_delays_return_the_header_only() -> None:
    world = World()
    world.add("b@y.example", options=MessageOptions(ret="FULL"), asked=asked(SUCCESS))
    assert b"body" not in world.queue.reports[0][1]


@pytest.mark.parametrize(("sender", "whole"), [("alice@x.example", True), ("a@far.example", False)])
def test_content_with_8_bits_comes_back_where_its_way_takes_them(sender: str, whole: bool) -> None:
    world = World()
    world.delivery.answers["b@y.example"] = FAILED
    world.queue.content = b"Return-Path: <>\r\nSubject: hi\r\n\r\ngr\xfcn\r\n"
    world.add("b@y.example", sender=sender, options=MessageOptions(ret="FULL"))
    new, octets = world.queue.reports[0]
    assert (b"gr\xfcn" in octets) is whole
    assert new.options.body is (BodyKind.EIGHT_BIT if whole else BodyKind.SEVEN_BIT)


@pytest.mark.parametrize(
    ("sender", "utf8"),
    [("alice@x.example", True), ("a@far.example", False), ("älice@far.example", True)],
)
def test_S31_a_report_is_in_utf8_only_where_its_way_takes_it(sender: str, utf8: bool) -> None:
    world = World()
    world.delivery.answers["grün@y.example"] = FAILED
    world.add("grün@y.example", sender=sender, options=MessageOptions(smtputf8=True))
    new, octets = world.queue.reports[0]
    assert octets.isascii() is not utf8
    assert new.options.smtputf8 is utf8


# -- delays


def test_the_sender_hears_once_that_it_takes_longer() -> None:
    world = World()
    world.delivery.default = DEFERRED
    world.add("b@y.example")
    world.pass_time(4 * HOUR_S - 10)
    assert world.queue.reports == []
    world.pass_time(60)
    (report,) = reports(world)
    assert report["Subject"] == "Your message is delayed: hi"
    assert block(report)["Action"] == "delayed" and block(report)["Status"] == "4.2.0"
    assert block(report)["Will-Retry-Until"]
    world.pass_time(2 * DAY_S, step=600)
    assert len(world.queue.reports) == 1
    world.delivery.default = DELIVERED
    world.pass_time(5 * HOUR_S, step=600)
    assert world.queue.rows == {} and len(world.queue.reports) == 1


@pytest.mark.parametrize(
    ("notify", "told"), [(DELAY, 1), (FAILURE | SUCCESS, 0), (Notify.NEVER, 0)]
)
def test_delays_are_told_to_those_who_want_to_hear(notify: Notify, told: int) -> None:
    world = World()
    world.delivery.default = DEFERRED
    world.add("b@y.example", asked=asked(notify))
    world.add("b@y.example", queue_id="Q2", sender=None, asked=asked(DELAY))
    world.pass_time(12 * HOUR_S, step=600)
    assert actions(world) == ["delayed"] * told


def test_D7_a_clock_that_jumps_forward_makes_nothing_late() -> None:
    world = World()
    world.delivery.default = DEFERRED
    world.add("b@y.example")
    world.time.offset_s += 10 * DAY_S
    world.pass_time(1800)
    assert world.queue.reports == [] and len(world.queue.rows) == 1


def test_a_notice_that_cannot_be_made_is_made_after_the_next_attempt() -> None:
    world = World()
    world.delivery.default = DEFERRED
    world.add("b@y.example")
    world.pass_time(3 * HOUR_S)
    world.queue.record_problem = None
    world.router.problem = None
    world.queue.read_problem = RuntimeError("a bug")
    world.pass_time(HOUR_S + 60)
    assert world.queue.reports == []
    world.queue.read_problem = None
    world.pass_time(5 * HOUR_S, step=60)
    assert actions(world) == ["delayed"]


# -- the time by which to deliver (RFC 2852)


def by(world: World, seconds: int, **fields: Any) -> MessageOptions:
    return MessageOptions(deliver_by=DeliverBy(world.time.now + seconds, **fields))


def test_what_must_come_back_in_time_comes_back_when_it_is_over() -> None:
    world = World()
    world.delivery.default = DEFERRED
    world.add("b@y.example", options=by(world, 600, or_return=True))
    world.pass_time(590)
    assert world.queue.reports == []
    tried = len(world.tried)
    world.pass_time(30)
    (report,) = reports(world)
    assert (block(report)["Action"], block(report)["Status"]) == ("failed", "5.4.7")
    assert world.queue.rows == {} and len(world.tried) == tried


def test_what_need_not_come_back_is_told_late_once_and_tried_on() -> None:
    world = World()
    world.delivery.default = DEFERRED
    world.add("b@y.example", options=by(world, 600, or_return=False), asked=asked(FAILURE))
    world.pass_time(590)
    assert world.queue.reports == []
    world.pass_time(20, step=1)
    assert actions(world) == ["delayed"]
    world.pass_time(6 * HOUR_S)
    assert len(world.queue.reports) == 1 and len(world.queue.rows) == 1


@pytest.mark.parametrize(
    ("trace", "timed", "notify", "told"),
    [
        (False, True, None, []),
        (True, True, None, ["relayed"]),
        (False, False, None, ["relayed"]),
        (True, False, Notify.NEVER, []),
    ],
)
def test_the_sender_hears_of_relays_that_keep_no_time(
    trace: bool, timed: bool, notify: Notify | None, told: list[str]
) -> None:
    world = World()
    world.delivery.timed = timed
    wanted = by(world, 600, or_return=False, trace=trace)
    world.add("b@y.example", options=wanted, asked=asked(notify))
    assert actions(world) == told
