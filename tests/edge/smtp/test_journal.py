"""What the doors tell the trace: whom it was about, what was said and asked; never a secret."""

from __future__ import annotations

import json
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from gateway.core.address import Address
from gateway.core.errors import StoreUnavailable
from gateway.core.route import Expansion, LocalMailbox, Member, Route
from gateway.core.trace import MAX_KEYS, TraceRecord
from gateway.edge.smtp.journal import MAX_REFUSALS, MAX_SHOWN
from gateway.wire.smtp_limits import SmtpLimits
from tests.support.smtp_fakes import ALICE, AT_ONCE, FakeRouter, SmtpBench, plain

MESSAGE = b"Subject: private\r\nMessage-ID: <One@Far.Test>\r\n\r\nprivate\r\n"


def noted(bench: SmtpBench) -> list[TraceRecord]:
    return bench.trace.records


def test_a_refused_recipient_is_named_and_not_the_one_before() -> None:
    bench = SmtpBench()
    client = bench.ready()
    client.say(b"MAIL FROM:<a@far.test>")
    client.say(b"RCPT TO:<alice@example.test>")
    client.say(b"RCPT TO:<Nobody@example.test>")
    (record,) = noted(bench)
    assert record.trace_id == client.ids[-1], "the id in the reply finds it"
    assert record.fields["recipient"] == "<Nobody@example.test>"
    assert {"192.0.2.9", "a@far.test", "nobody@example.test"} == set(record.keys)
    client.say(b"RCPT TO:<bob@example.test>")
    client.say(b"BOGUS")
    assert "recipient" not in noted(bench)[-1].fields


def test_a_refused_sender_is_named() -> None:
    bench = SmtpBench(limits=SmtpLimits(size_octets=100_000, greet_pause_s=0.0))
    bench.ready().say(b"MAIL FROM:<a@far.test> SIZE=99999999")
    (record,) = noted(bench)
    assert record.fields["sender"] == "<a@far.test>"
    assert "a@far.test" in record.keys


def test_an_accepted_message_is_found_by_all_that_is_known_of_it() -> None:
    bench = SmtpBench()
    client = bench.ready()
    client.say(b"MAIL FROM:<A@far.test> SMTPUTF8 RET=HDRS ENVID=e1")
    client.say(b"RCPT TO:<alice@example.test> NOTIFY=FAILURE ORCPT=rfc822;x@y.test")
    client.say(b"DATA")
    assert client.send(MESSAGE + b".\r\n").startswith(b"250 ")
    trace = bench.intake.accepted[0].trace
    assert trace is not None
    assert trace.trace_id == bench.intake.accepted[0].ingest_id
    assert set(trace.keys) == {
        "192.0.2.9", "a@far.test", "alice@example.test", "one@far.test"
    }  # fmt: skip
    assert trace.fields["options"] == ["SMTPUTF8", "RET=HDRS", "ENVID=e1"]
    assert trace.fields["recipients"] == [
        {
            "address": "alice@example.test", "to": "mailbox of alice", "notify": "FAILURE",
            "original": "rfc822;x@y.test",
        }
    ]  # fmt: skip
    assert "private" not in repr(trace)
    assert noted(bench) == []


def test_a_body_that_cannot_be_read_is_traced_without_its_message_id() -> None:
    bench = SmtpBench()
    client = bench.ready()
    client.open_content()

    async def fail(offset: int, length: int) -> bytes:
        raise StoreUnavailable

    body: Any = bench.intake.bodies[0]
    body.read = fail
    assert client.send(MESSAGE + b".\r\n").startswith(b"250 ")
    trace = bench.intake.accepted[0].trace
    assert trace is not None and "message_id" not in trace.fields


class Crowd(FakeRouter):
    """Every address is a group of all these people."""

    members = tuple(
        Member(Address(f"p{number}", "example.test"), LocalMailbox(ALICE)) for number in range(6000)
    )

    async def route(self, recipient: Address, *, may_relay: bool) -> Route:
        return Expansion("crowd", self.members)


def test_groups_of_thousands_named_again_and_again_make_a_bounded_record() -> None:
    bench = SmtpBench(router=Crowd(), limits=AT_ONCE)
    client = bench.ready()
    client.say(b"MAIL FROM:<a@far.test>")
    for name in (b"crowd", b"crowd", b"crowd", b"others"):
        client.say(b"RCPT TO:<%b@example.test>" % name)
    client.say(b"DATA")
    assert client.send(MESSAGE + b".\r\n").startswith(b"250 ")
    trace = bench.intake.accepted[0].trace
    assert trace is not None
    recipients = trace.fields["recipients"]
    assert isinstance(recipients, list) and len(recipients) == MAX_SHOWN
    assert trace.fields["recipients_in_all"] == 2 * 6000, "each name once"
    assert len(trace.keys) <= MAX_KEYS + 4
    assert {"crowd@example.test", "p0@example.test", "p4000@example.test"} <= set(trace.keys)


def test_a_flood_of_refusals_by_one_connection_ends_in_one_count() -> None:
    limits = SmtpLimits(recipients=100, greet_pause_s=0.0, errors_hard=10_000, errors_soft=10_000)
    bench = SmtpBench(limits=limits)
    client = bench.ready()
    client.say(b"MAIL FROM:<a@far.test>")
    for number in range(500):
        client.say(b"RCPT TO:<nobody%d@example.test>" % number)
    assert len(noted(bench)) == MAX_REFUSALS
    client.lose()
    assert len(noted(bench)) == MAX_REFUSALS + 1
    assert noted(bench)[-1].fields["more_refusals"] == 500 - MAX_REFUSALS
    assert noted(bench)[-1].trace_id == client.connection.connection_id


def test_a_connection_without_refusal_and_message_leaves_nothing() -> None:
    bench = SmtpBench()
    client = bench.ready()
    client.say(b"QUIT")
    client.lose()
    assert noted(bench) == []


@pytest.mark.parametrize("wrong", [b"secret0", b"other-secret"])
def test_A9_no_password_reaches_the_trace(wrong: bytes) -> None:
    bench = SmtpBench("submission", limits=AT_ONCE)
    client = bench.ready()
    client.start_tls()
    client.say(b"EHLO client.test")
    offer = plain(b"alice", wrong)
    bench.checker.fails = None
    client.say(b"AUTH PLAIN " + offer)
    client.say(b"AUTH LOGIN")
    client.say(b"YWxpY2U=")
    client.say(offer)
    client.say(b"MAIL FROM:<a@far.test> AUTH=<" + wrong + b">")
    shown = json.dumps([[*record[:4], dict(record.fields)] for record in noted(bench)])
    assert noted(bench)
    assert wrong.decode() not in shown and offer.decode() not in shown
    assert isinstance(client.connection._running, Deferred | None)
