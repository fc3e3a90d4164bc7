"""BODY=BINARYMIME at the doors: what is stored is text with the same contents, or nothing is."""

from __future__ import annotations

from dataclasses import replace
from email import message_from_bytes

import pytest
from twisted.internet.defer import Deferred

from gateway.core.envelope import BodyKind
from gateway.edge.smtp.extensions import honoured
from gateway.policy.checks import Answer
from gateway.policy.engine import Policy
from gateway.policy.facts import Facts
from gateway.policy.verdicts import Stage
from tests.support.smtp_fakes import AT_ONCE, Client, SmtpBench, codes

EVERY_OCTET = bytes(range(256))
HEADER = b"From: alice@example.test\r\nMIME-Version: 1.0\r\n"
FIELDS = b"Content-Type: image/png\r\nContent-Transfer-Encoding: binary\r\n\r\n"
IMAGE = HEADER + FIELDS + EVERY_OCTET
SIGNED = (
    HEADER
    + b"Content-Type: multipart/signed; boundary=s\r\n\r\n--s\r\n"
    + FIELDS
    + b"\r\n--s--\r\n"
)


def transaction(client: Client, *more: bytes) -> None:
    mail = b"MAIL FROM:<alice@example.test> BODY=BINARYMIME" + b"".join(more)
    assert client.say(mail).startswith(b"250 2.1.0 ")
    assert client.say(b"RCPT TO:<bob@example.test>").startswith(b"250 2.1.5 ")


def chunk(octets: bytes, *, last: bool = False) -> bytes:
    return b"BDAT %d%b\r\n%b" % (len(octets), b" LAST" if last else b"", octets)


def content(message: bytes) -> bytes:
    """Of a message that is one part, as an independent reader has it."""
    decoded = message_from_bytes(message).get_payload(decode=True)
    assert isinstance(decoded, bytes)
    return decoded


def ready(bench: SmtpBench, protocol: str) -> Client:
    if protocol == "submission":
        return bench.submitter()
    client = bench.connect()
    client.say(b"LHLO c.test" if protocol == "lmtp" else b"EHLO c.test")
    return client


@pytest.mark.parametrize("protocol", ["smtp", "submission", "lmtp"])
@pytest.mark.parametrize("step", [1, 5, 10_000])
def test_every_octet_arrives_by_chunks_of_any_size(protocol: str, step: int) -> None:
    bench = SmtpBench(protocol)
    client = ready(bench, protocol)
    transaction(client, b" SMTPUTF8")
    for at in range(0, len(IMAGE), step):
        assert codes(client.send(chunk(IMAGE[at : at + step]))) == [250]
    assert codes(client.send(b"BDAT 0 LAST\r\n")) == [250]
    stored = bench.intake.content()
    assert stored.isascii() and content(stored) == EVERY_OCTET
    options = bench.intake.accepted[0].options
    assert options.body is BodyKind.EIGHT_BIT and options.smtputf8


def test_every_door_shows_it() -> None:
    assert "BINARYMIME" in honoured(auth="no")
    assert b"250-BINARYMIME\r\n" in SmtpBench().connect().say(b"EHLO c.test")


def test_S13_it_comes_by_bdat_only_and_its_octets_are_no_commands() -> None:
    bench = SmtpBench()
    client = bench.ready()
    transaction(client)
    assert client.say(b"DATA").startswith(b"503 5.5.1 ")
    hidden = b"\r\nQUIT\r\n.\r\nRSET\r\n\0"
    assert codes(client.send(chunk(IMAGE + hidden, last=True) + b"NOOP\r\n")) == [250, 250]
    assert content(bench.intake.content()) == EVERY_OCTET + hidden


@pytest.mark.parametrize(
    ("message", "status"),
    [
        (HEADER + b"\r\nlone\nline feed", b"554 5.6.0 A NUL, or a CR or LF "),
        (b"no header at all\0", b"554 5.6.0 A NUL, or a CR or LF "),
        (
            b"From: alice@example.test\r\nX: a\rBcc: x@far.test\r\n\r\n",
            b"554 5.6.0 A NUL, or a CR ",
        ),
        (SIGNED, b"554 5.6.1 A part with Content-Transfer-Encoding: binary is signed"),
        (HEADER + FIELDS[:-2] + FIELDS, b"554 5.6.0 A part with Content-Transfer-Encoding"),
        (FIELDS[:-2] * 2 + b"\r\n", b"554 5.6.0 A part with Content-Transfer-Encoding"),
    ],
)
@pytest.mark.parametrize("protocol", ["smtp", "submission"])
def test_S14_what_cannot_be_text_is_refused_with_words(
    protocol: str, message: bytes, status: bytes
) -> None:
    bench = SmtpBench(protocol)
    client = ready(bench, protocol)
    transaction(client)
    assert codes(client.send(chunk(message[:9]))) == [250]
    assert client.send(chunk(message[9:], last=True)).startswith(status)
    assert bench.intake.accepted == [] and bench.intake.bodies[0].discarded
    transaction(client)
    assert codes(client.send(chunk(IMAGE, last=True))) == [250]
    assert content(bench.intake.content()) == EVERY_OCTET


def test_S11_sizes_count_what_is_sent() -> None:
    bench = SmtpBench(limits=replace(AT_ONCE, size_octets=len(IMAGE)))
    client = bench.ready()
    transaction(client, b" SIZE=%d" % len(IMAGE))
    assert codes(client.send(chunk(IMAGE, last=True))) == [250]
    assert len(bench.intake.content()) > len(IMAGE)
    assert client.say(b"MAIL FROM:<a@x.test> BODY=BINARYMIME SIZE=9999").startswith(b"552 5.3.4 ")
    transaction(client)
    assert client.send(chunk(IMAGE + b"x", last=True)).startswith(b"552 5.3.4 ")


def test_S12_a_large_part_streams() -> None:
    bench = SmtpBench()
    client = bench.ready()
    transaction(client)
    assert codes(client.send(chunk(HEADER + FIELDS))) == [250]
    client.send(b"BDAT 16000000 LAST\r\n")
    for number in range(1, 161):
        assert (client.send(b"\r\n--\0" * 20_000) == b"") is (number < 160)
        assert bench.intake.bodies[0].size_octets > number * 100_000 * 4 // 3
    assert content(bench.intake.content()) == b"\r\n--\0" * 3_200_000


@pytest.mark.parametrize("end", [b"RSET\r\n", b"QUIT\r\n", b"EHLO again\r\n", b""])
def test_S13_whoever_stops_leaves_nothing_for_the_next(end: bytes) -> None:
    bench = SmtpBench()
    client = bench.ready()
    transaction(client)
    client.send(chunk(IMAGE[:-7]))
    client.send(end)
    if end[:4] == b"RSET":
        client.say(b"MAIL FROM:<a@far.test>")
        client.say(b"RCPT TO:<bob@example.test>")
        assert codes(client.send(chunk(b"a: b\r\n\r\n", last=True))) == [250]
        assert bench.intake.content() == b"a: b\r\n\r\n"
    client.lose()
    assert bench.intake.bodies[0].discarded and client.connection.binary is None


def test_submission_looks_at_what_is_stored() -> None:
    bench = SmtpBench("submission")
    client = bench.submitter()
    transaction(client)
    message = b"Bcc: x@far.test\r\nMIME-Version: 1.0\r\n" + FIELDS + b"\0\r\n\r\nBcc: stays\r\n"
    assert codes(client.send(chunk(message, last=True))) == [250]
    stored = bench.intake.content()
    assert stored.startswith(b"MIME-Version: 1.0\r\nContent-Type: image/png\r\n")
    assert content(stored) == b"\0\r\n\r\nBcc: stays\r\n"
    assert b"From: alice@example.test\r\n" in bench.intake.accepted[0].trace_header


class Look:
    """Reads the whole message."""

    name = "look"
    stages = frozenset({Stage.CONTENT})
    defers_on_trouble = False

    def __init__(self) -> None:
        self.seen: list[bytes] = []

    async def _read(self, facts: Facts) -> Answer:
        assert facts.content is not None
        self.seen.append(await facts.content.read(0, 10_000))
        return None

    def judge(self, _: Stage, facts: Facts) -> Deferred[Answer]:
        return Deferred.fromCoroutine(self._read(facts))


def test_checks_look_at_what_is_stored() -> None:
    look = Look()
    bench = SmtpBench(policy=Policy("test", (look,)))
    client = bench.ready()
    transaction(client)
    assert codes(client.send(chunk(IMAGE, last=True))) == [250]
    assert look.seen == [bench.intake.content()]
