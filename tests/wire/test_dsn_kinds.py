"""The other reports: successes, delays, whole messages, and those in UTF-8 (RFC 6533)."""

from __future__ import annotations

from email import message_from_bytes
from email.message import Message
from typing import Any

import pytest

from gateway.core.address import Address
from gateway.wire.dsn import render
from gateway.wire.dsn_values import Action, Report, Reported

BOB = Address("bob", "y.example")
GREEN = Address("grün", "y.example")
MESSAGE = b"Subject: hello\r\n\r\nThe text.\r\n"


def parts(*recipients: Reported, **fields: Any) -> tuple[Message, list[Message]]:
    told: dict[str, Any] = {"original": b"Subject: hello\r\n", **fields}
    octets = render(
        Report(
            report_id="report-Q1-1",
            hostname="mail.x.example",
            to=told.pop("to", Address("alice", "x.example")),
            recipients=recipients,
            arrived_at=1_700_000_000,
            reported_at=1_700_003_600,
            **told,
        )
    )
    message = message_from_bytes(octets)
    payload = message.get_payload()
    assert isinstance(payload, list) and len(payload) == 3
    return message, [each for each in payload if isinstance(each, Message)]


def blocks(part: Message) -> list[Message]:
    if part.get_content_type() == "message/delivery-status":
        payload = part.get_payload()
        assert isinstance(payload, list)
        return [each for each in payload if isinstance(each, Message)]
    text = part.get_payload(decode=True)  # a type that the standard library does not take apart
    if text is None:
        text = bytes(part.as_bytes().partition(b"\n\n")[2])
    assert isinstance(text, bytes)
    return [message_from_bytes(each) for each in text.strip().split(b"\n\n")]


@pytest.mark.parametrize(
    ("action", "subject", "words"),
    [
        (Action.DELIVERED, "Your message was delivered", "It is in the mailbox."),
        (Action.RELAYED, "Your message was passed on", "passed on to the server mx.y.example"),
        (Action.EXPANDED, "Your message was passed on", "This address stands for others"),
        (Action.DELAYED, "Your message is delayed", "You need not send it again."),
    ],
)
def test_each_kind_says_what_it_is(action: Action, subject: str, words: str) -> None:
    reported = Reported(BOB, action, "2.1.5", "250 2.1.5 ok", "mx.y.example")
    message, (text, status, _) = parts(reported)
    assert message["Subject"] == f"{subject}: hello"
    assert words in str(text.get_payload()).replace("\n    ", " ")
    _, block = blocks(status)
    assert block["Action"] == action.value
    assert block["Status"] == ("4.0.0" if action is Action.DELAYED else "2.1.5")


def test_the_senders_own_names_for_things_come_back() -> None:
    reported = Reported(
        BOB, Action.DELAYED, "4.4.1", "no connection", original="rfc822;robert@old.example",
        retry_until=1_700_400_000,
    )  # fmt: skip
    _, (_, status, _) = parts(reported, envelope_id="QQ 314")
    fields, block = blocks(status)
    assert fields["Original-Envelope-Id"] == "QQ 314"
    assert block["Original-Recipient"] == "rfc822; robert@old.example"
    assert block["Final-Recipient"] == "rfc822; bob@y.example"
    assert block["Will-Retry-Until"].startswith("Sun, 19 Nov 2023")


def test_the_whole_message_is_returned_on_request() -> None:
    failed = Reported(BOB, Action.FAILED, "5.1.1", "no")
    _, (text, _, original) = parts(failed, original=MESSAGE, whole=True)
    assert original.get_content_type() == "message/rfc822"
    inner = original.get_payload(0)
    assert isinstance(inner, Message)
    assert inner["Subject"] == "hello" and str(inner.get_payload()).strip() == "The text."
    assert "Your message follows below." in str(text.get_payload())
    eight_bit = MESSAGE + b"gr\xfcn\r\n"
    _, (_, _, original) = parts(failed, original=eight_bit, whole=True)
    assert original["Content-Transfer-Encoding"] == "8bit"


@pytest.mark.parametrize(
    "message",
    [
        b"Subject: a\r\n\r\n\0\r\n",
        b"Subject: a\r\n\r\n" + b"x" * 1200,
        b"Subject: \xff\r\n\r\nx",
        "Subject: ü\r\n\r\nx".encode(),
    ],
)
def test_a_message_that_cannot_stand_in_a_report_is_reduced_to_its_header(message: bytes) -> None:
    failed = Reported(BOB, Action.FAILED, "5.1.1", "no")
    _, (text, _, original) = parts(failed, original=message, whole=True)
    assert original.get_content_type() == "text/rfc822-headers"
    assert b"Subject: " in (original.get_payload(decode=True) or b"")
    assert "its text does not" in str(text.get_payload())


def test_S31_a_report_is_ascii_when_its_way_is() -> None:
    failed = Reported(GREEN, Action.FAILED, "5.6.7", "no", original="utf-8;grün@old.example")
    header = "Subject: grün\r\n".encode()
    message, (_, status, original) = parts(failed, original=header)
    assert message.as_bytes().isascii()
    _, block = blocks(status)
    assert block["Final-Recipient"] == r"utf-8; gr\x{FC}n@y.example"
    assert block["Original-Recipient"] == r"utf-8; gr\x{FC}n@old.example"
    assert original.get_payload(decode=True) == header


def test_S31_a_report_in_utf8_has_the_types_of_rfc_6533() -> None:
    failed = Reported(GREEN, Action.FAILED, "5.1.1", "no", original="utf-8;grün@old.example")
    header = "Subject: grün\r\n".encode()
    message, (text, status, original) = parts(failed, original=header, to=GREEN, utf8=True)
    assert message.get_param("report-type") == "global-delivery-status"
    assert status.get_content_type() == "message/global-delivery-status"
    assert original.get_content_type() == "message/global-headers"
    octets = message.as_bytes()
    assert "Final-Recipient: utf-8; grün@y.example".encode() in octets
    assert "To: grün@y.example".encode() in octets and header.rstrip() in octets
    assert text.get_content_charset() == "utf-8" and text["Content-Transfer-Encoding"] == "8bit"
    whole = "Subject: grün\r\n\r\ntext\r\n".encode()
    _, (_, _, original) = parts(failed, original=whole, whole=True, to=GREEN, utf8=True)
    assert original.get_content_type() == "message/global"
