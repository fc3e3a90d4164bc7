"""The fields put before a message: what they show, and to whom they could do harm."""

from __future__ import annotations

from gateway.core.address import Address
from gateway.edge.smtp.trace_header import received


def field(recipient: Address | None, priority: int = 0) -> bytes:
    return received(
        host="client.example",
        peer_ip="192.0.2.1",
        hostname="mail.example.test",
        protocol="UTF8SMTP",
        ingest_id="1",
        recipient=recipient,
        at=0,
        priority=priority,
    )


def test_S31_our_own_field_keeps_no_message_from_a_server_without_utf8() -> None:
    """Mail to a name outside ASCII may be forwarded to one that is not."""
    assert b"\tfor <b@example.test>;" in field(Address("b", "example.test"))
    utf8 = field(Address("grün", "example.test"))
    assert utf8.isascii() and b" id 1;\r\n" in utf8


def test_a_priority_is_traced() -> None:
    assert b"\tfor <b@example.test> PRIORITY -3;" in field(Address("b", "example.test"), -3)
    assert b" id 1 PRIORITY 4;" in field(None, 4)
