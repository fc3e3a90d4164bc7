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
