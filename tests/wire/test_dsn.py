"""Reports as a mail program reads them: parsed back with the standard library (RFC 3464)."""

from __future__ import annotations

from email import message_from_bytes
from email.message import Message
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.address import Address
from gateway.wire.dsn import render
from gateway.wire.dsn_original import MAX_HEADER_OCTETS, header_of
from gateway.wire.dsn_values import Action, Report, Reported

FAILED = Action.FAILED
HEADER = b"From: a@x.example\r\nSubject: hello\r\n"
REFUSED = Reported(
    Address("bob", "y.example"),
    Action.FAILED,
    "5.1.1",
    "550 5.1.1 no such user",
    "mx.y.example",
)


def report(
    *recipients: Reported, header: bytes = HEADER, to: Address | None = None, **fields: Any
) -> Report:
    return Report(
        report_id="report-Q1-0",
        hostname="mail.x.example",
        to=to or Address("alice", "x.example"),
        recipients=recipients or (REFUSED,),
        arrived_at=1_700_000_000,
        reported_at=1_700_003_600,
        original=header,
        **fields,
    )


def parts_of(octets: bytes) -> tuple[Message, str, list[Message], str]:
    """The message, its words, the blocks for machines, the original's header."""
    message = message_from_bytes(octets)
    assert message.get_content_type() == "multipart/report"
    assert message.get_param("report-type") == "delivery-status"
    parts = message.get_payload()
    assert isinstance(parts, list)
    words, status, original = parts
    assert isinstance(words, Message) and isinstance(status, Message)
    assert isinstance(original, Message)
    assert words.get_content_type() == "text/plain"
    assert status.get_content_type() == "message/delivery-status"
    assert original.get_content_type() == "text/rfc822-headers"
    blocks = status.get_payload()
    assert isinstance(blocks, list)
    fields = [block for block in blocks if isinstance(block, Message)]
    header = original.get_payload(decode=True)
    assert isinstance(header, bytes)
    return message, str(words.get_payload()), fields, header.decode("latin-1")


def test_a_report_has_words_a_machine_part_and_the_header_only() -> None:
    message, words, blocks, header = parts_of(render(report()))
    assert message["To"] == "alice@x.example"
    assert message["From"] == "Mail Delivery System <MAILER-DAEMON@mail.x.example>"
    assert message["Auto-Submitted"] == "auto-replied"
    assert message["Message-ID"] == "<report-Q1-0@mail.x.example>"
    assert "<bob@y.example>" in words
    assert "The server mx.y.example answered: 550 5.1.1 no such user" in words
    assert blocks[0]["Reporting-MTA"] == "dns; mail.x.example"
    assert blocks[0]["Arrival-Date"].startswith("Tue, 14 Nov 2023")
    assert blocks[1]["Final-Recipient"] == "rfc822; bob@y.example"
    assert blocks[1]["Action"] == "failed"
    assert blocks[1]["Status"] == "5.1.1"
    assert blocks[1]["Remote-MTA"] == "dns; mx.y.example"
    assert blocks[1]["Diagnostic-Code"] == "smtp; 550 5.1.1 no such user"
    assert "Subject: hello" in header


def test_an_expired_recipient_says_so_and_our_own_words_are_no_smtp() -> None:
    failed = Reported(
        Address("bob", "y.example"), FAILED, "4.4.1", "no connection to mx", expired=True
    )
    _, words, blocks, _ = parts_of(render(report(failed)))
    assert "tried again and again" in words
    assert blocks[1]["Status"] == "4.4.7"
    assert "Remote-MTA" not in blocks[1]
    assert blocks[1]["Diagnostic-Code"] == "x-gateway; no connection to mx"


def test_every_recipient_has_a_block() -> None:
    many = tuple(
        Reported(Address(f"p{n}", "y.example"), FAILED, "5.1.1", "no", "mx") for n in range(100)
    )
    _, words, blocks, _ = parts_of(render(report(*many)))
    assert len(blocks) == 101
    assert words.count("@y.example>") == 100


def test_S9_what_a_server_said_cannot_make_header_fields_or_parts() -> None:
    evil = Reported(
        Address("b\r\nBcc: x@y\r\n\r\n", "y.example"),
        FAILED,
        "5.0.0\r\nX: y",
        "550 no\r\nAction: delivered\r\n\r\n--report-report-Q1-0\r\n\0ä",
        "mx\r\nAction: delivered",
        "rfc822\r\nX: y;b\r\nAction: delivered",
    )
    to = Address("a\r\nBcc: z@y", "x.example")
    octets = render(report(evil, to=to, envelope_id="1\r\nBcc: q@y"))
    message, _, blocks, _ = parts_of(octets)
    assert "Bcc" not in message and len(blocks) == 2
    assert blocks[1].get_all("Action") == ["failed"]
    assert blocks[1]["Status"] == "5.0.0"


@given(st.text(max_size=300), st.text(max_size=80), st.text(max_size=40), st.binary(max_size=300))
def test_S9_any_text_gives_a_wellformed_seven_bit_report(
    reply: str, remote: str, local: str, start: bytes
) -> None:
    failed = Reported(Address(local, "y.example"), FAILED, "5.0.0", reply, remote)
    octets = render(report(failed, header=header_of(start)))
    message, _, blocks, header = parts_of(octets)
    assert octets.isascii() and b"\0" not in octets
    assert octets.count(b"\n") == octets.count(b"\r\n") == octets.count(b"\r")
    assert max(map(len, octets.split(b"\r\n"))) <= 998
    assert message["To"] == "alice@x.example"
    assert len(blocks) == 2 and blocks[1]["Action"] == "failed"
    assert header.replace("\r\n", "\n").rstrip("\n").encode("latin-1") == header_of(start).replace(
        b"\r\n", b"\n"
    ).rstrip(b"\n")


def test_a_header_with_eight_bit_octets_survives() -> None:
    eight_bit = "Subject: grün\r\n".encode()
    octets = render(report(header=eight_bit))
    assert octets.isascii()
    assert parts_of(octets)[3].encode("latin-1").rstrip() == eight_bit.rstrip()


def test_a_boundary_inside_the_original_is_avoided() -> None:
    octets = render(report(header=b"X: 1\r\n--report-report-Q1-0--\r\nY: 2\r\n"))
    assert "Y: 2" in parts_of(octets)[3]


@pytest.mark.parametrize(
    "start, header",
    [
        (b"", b""),
        (b"\r\nbody", b""),
        (b"A: 1\r\n\r\nsecret", b"A: 1\r\n"),
        (b"A: 1\nB: 2\n\nsecret", b"A: 1\r\nB: 2\r\n"),
        (b"A: 1\r\n", b"A: 1\r\n"),
        (b"A: 1\r\nB: cut off", b"A: 1\r\n"),
        (b"A: 1\r\rsecret", b"A: 1\r\n"),
    ],
)
def test_S36_only_the_header_is_returned(start: bytes, header: bytes) -> None:
    assert header_of(start) == header


def test_S36_the_returned_header_is_bounded() -> None:
    header = header_of(b"X: y\r\n" * 20_000)
    assert len(header) <= MAX_HEADER_OCTETS * 6 / 5
    assert header.endswith(b"X: y\r\n")
