"""Loops over addresses here that lead to other servers, and back (SECURITY S34)."""

from __future__ import annotations

import pytest

from gateway.core.address import Address
from gateway.core.route import Expansion, LocalMailbox, Member, Outbound, Route
from gateway.edge.smtp.forwarding import MOST_PASSES
from tests.support.smtp_fakes import BOB, Client, SmtpBench, codes

OURS = "mail.example.test"
COPY = Member(Address("copy", "far.test"), Outbound())
ONLY_HERE = Expansion("staff", (Member(Address("bob", "example.test"), LocalMailbox(BOB)),))


class Forwarding:
    """bob forwards a copy; far.test is another server's; staff is people here."""

    async def route(self, recipient: Address, *, may_relay: bool) -> Route:
        if recipient.local_part == "staff":
            return ONLY_HERE
        if recipient.domain == "far.test":
            return Outbound()
        return Expansion("alias bob", (*ONLY_HERE.members, COPY))


def through(client: Client, times: int, hostname: str, wish: bytes = b"") -> bytes:
    """The answer to a message for bob that has been somewhere so many times."""
    field = f"Received: from x.test\r\n\tby {hostname} with ESMTP id 1; Thu\r\n"
    assert codes(client.say(b"MAIL FROM:<a@far.test>")) == [250]
    assert codes(client.say(b"RCPT TO:<bob@example.test>" + wish)) == [250]
    client.say(b"DATA")
    return client.send(field.encode() * times + b"Subject: x\r\n\r\nx\r\n.\r\n")


@pytest.mark.parametrize("wish", [b"", b" NOTIFY=SUCCESS"])
def test_S34_what_comes_back_again_and_again_is_not_sent_on(wish: bytes) -> None:
    bench = SmtpBench(router=Forwarding())
    client = bench.ready()
    assert through(client, MOST_PASSES - 1, OURS, wish).startswith(b"250 ")
    assert through(client, MOST_PASSES + 1, "elsewhere.test", wish).startswith(b"250 ")
    assert through(client, MOST_PASSES, OURS, wish).startswith(b"554 5.4.6 An address here leads")
    assert len(bench.intake.accepted) == 2


def test_S34_mail_that_stays_or_is_only_relayed_is_not_counted() -> None:
    bench = SmtpBench(router=Forwarding())
    client = bench.ready()
    message = f"Received: by {OURS}; Thu\r\n".encode() * 50 + b"\r\nx\r\n"
    for to in (b"<staff@example.test>", b"<x@far.test>"):
        assert client.deliver(message, to).startswith(b"250 ")


# -- Delivered-To


def test_copies_say_for_whom_they_came_and_what_is_sent_on_says_it_too() -> None:
    bench = SmtpBench(router=Forwarding())
    client = bench.ready()
    client.deliver(b"Subject: x\r\n\r\nx\r\n", b"<bob@example.test>")
    client.deliver(b"Subject: x\r\n\r\nx\r\n", b"<staff@example.test>")
    client.deliver(b"Subject: x\r\n\r\nx\r\n", b"<staff@example.test>", b"<bob@example.test>")
    sent_on, stays, several = bench.intake.accepted
    assert sent_on.trace_header.startswith(b"Delivered-To: bob@example.test\r\nReceived: ")
    assert b"Delivered-To" not in sent_on.local_header  # once
    assert stays.local_header.endswith(b"Delivered-To: staff@example.test\r\n")
    assert b"Delivered-To" not in several.local_header + several.trace_header


@pytest.mark.parametrize(
    ("field", "to", "refused"),
    [
        (b"Delivered-To: bob@example.test\r\n", [b"<bob@example.test>"], True),
        (b"delivered-to:  Bob@Example.Test\r\n", [b"<BOB@example.test>"], True),
        (b"Delivered-To: ann@example.test\r\n", [b"<bob@example.test>"], False),
        (b"X: 1\r\n Delivered-To: bob@example.test\r\n", [b"<bob@example.test>"], False),
        # Somebody elsewhere who got a copy sends it back to all of us, by hand.
        (b"Resent-From: x\r\nDelivered-To: bob@example.test\r\n", [b"<bob@example.test>"], False),
        # Where it stays nothing goes round.
        (b"Delivered-To: staff@example.test\r\n", [b"<staff@example.test>"], False),
        # Nobody loses mail because of somebody else's loop.
        (
            b"Delivered-To: bob@example.test\r\n",
            [b"<bob@example.test>", b"<staff@example.test>"],
            False,
        ),
    ],
)
def test_S34_what_was_sent_on_for_an_address_is_not_sent_on_for_it_again(
    field: bytes, to: list[bytes], refused: bool
) -> None:
    bench = SmtpBench(router=Forwarding())
    client = bench.ready()
    answer = client.deliver(field + b"Subject: x\r\n\r\nx\r\n", *to)
    assert answer.startswith(b"554 5.4.6 " if refused else b"250 ")


def test_people_who_are_logged_in_may_send_on_what_they_got() -> None:
    bench = SmtpBench(router=Forwarding(), protocol="submission")
    client = bench.submitter()
    answer = client.deliver(
        b"Delivered-To: bob@example.test\r\nFrom: alice@example.test\r\n\r\nx\r\n",
        b"<bob@example.test>",
        sender=b"<>",
    )
    assert answer.startswith(b"250 ")
