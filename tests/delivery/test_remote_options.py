"""What senders ask for, and what a message holds, on the way to servers by script."""

from __future__ import annotations

import pytest

from gateway.core.address import Address
from gateway.core.envelope import BodyKind, DeliverBy, MessageOptions
from gateway.core.queue import Verdict
from tests.support.remote_world import (
    DELIVERED,
    FAILED,
    LOCAL_HEADER,
    Source,
    World,
)
from tests.support.scripted_server import Script

OLD = b"250 mx\r\n"
LONG = b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"


def test_the_time_that_is_left_counts_from_the_attempt() -> None:
    world = World()
    offer = b"250-mx.y.example\r\n250-DELIVERBY\r\n250 DSN\r\n"
    script = world.network.add("192.0.2.1", Script(ehlo=offer))
    world.clock.advance(100)
    for left in (60, 50):
        world.clock.advance(60 - left)
        (outcome,) = world.send(options=MessageOptions(deliver_by=DeliverBy(160, or_return=True)))
        assert f"MAIL FROM:<a@x.example> BY={left};R" in script.lines
        assert outcome.timed and outcome.reports_on
        if left == 60:
            world.part()
            world.clock.rightNow = 100.0
    world.part()
    plain = world.network.add("192.0.2.1")
    late = MessageOptions(deliver_by=DeliverBy(160, or_return=False))
    outcome = world.one(options=late)
    assert outcome.verdict is DELIVERED and not outcome.timed and not outcome.reports_on
    assert "MAIL FROM:<a@x.example> SIZE=29" in plain.lines


def test_wishes_of_one_message_do_not_stick_to_the_connection() -> None:
    world = World()
    script = world.network.add(
        "192.0.2.1", Script(ehlo=b"250-mx\r\n250-DSN\r\n250 MT-PRIORITY\r\n")
    )
    world.send(options=MessageOptions(envid="E1", ret="HDRS", priority=3))
    world.send()
    mails = [line for line in script.lines if line.startswith("MAIL")]
    assert mails == [
        "MAIL FROM:<a@x.example> RET=HDRS ENVID=E1 MT-PRIORITY=3",
        "MAIL FROM:<a@x.example>",
    ]
    assert len(script.connections) == 1


def test_S31_each_recipient_needs_utf8_by_itself() -> None:
    world = World()
    told = world.attempt("b@y.example", "grün@y.example")
    assert [(each.verdict, each.status) for each in told] == [
        (DELIVERED, "2.0.0"),
        (FAILED, "5.6.7"),
    ]
    sender = world.one(sender=Address("grün", "x.example"))
    assert (sender.verdict, sender.status) == (FAILED, "5.6.7")


@pytest.mark.parametrize("filler", [0, 200_000])
@pytest.mark.parametrize("asked", [BodyKind.EIGHT_BIT, BodyKind.SEVEN_BIT])
def test_S28_eight_bit_text_is_converted_where_it_is_not_taken(
    filler: int, asked: BodyKind
) -> None:
    content = LONG + b"x" * filler + b"\r\n.gr\xc3\xbcn\r\n"
    world = World(source=Source(LOCAL_HEADER + content))
    world.mx1.ehlo = OLD
    assert world.one(options=MessageOptions(asked)).verdict is DELIVERED
    (body,) = world.mx1.bodies
    assert body.isascii() and b"..gr=C3=BCn\r\n" in body
    assert b"Content-Transfer-Encoding: quoted-printable\r\n\r\n" in body


@pytest.mark.parametrize(
    "header, verdict",
    [(b"Subject: gr\xc3\xbcn\r\n\r\n", FAILED), (b"Subject: green\r\n\r\n", DELIVERED)],
)
@pytest.mark.parametrize("filler", [0, 200_000])
def test_S28_what_cannot_be_converted_comes_back(
    header: bytes, verdict: Verdict, filler: int
) -> None:
    world = World(source=Source(LOCAL_HEADER + header + b"x" * filler))
    world.mx1.ehlo = OLD
    outcome = world.one(eight_bit=True)
    assert outcome.verdict is verdict
    assert outcome.status == ("5.6.1" if verdict is FAILED else "2.0.0")


def test_a_message_that_the_server_finds_too_long_is_never_begun() -> None:
    world = World()
    world.mx1.ehlo = b"250-mx\r\n250 SIZE 10\r\n"
    outcome = world.one()
    assert (outcome.verdict, outcome.status) == (FAILED, "5.3.4")
    assert not any(line.startswith("MAIL") for line in world.mx1.lines)
