"""XCLIENT: who a trusted proxy says its client is, each value checked for what it claims to be."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire.smtp_commands import SyntaxRefused, Xclient
from gateway.wire.smtp_replies import BAD_XCLIENT
from gateway.wire.smtp_xclient import parse_xclient


@pytest.mark.parametrize(
    ("text", "command"),
    [
        (b"NAME=x.test", Xclient(name="x.test")),
        (b"name=x.test addr=192.0.2.1", Xclient(name="x.test", address="192.0.2.1")),
        (b"ADDR=IPV6:2001:DB8::1 PORT=4711", Xclient(address="2001:db8::1", port=4711)),
        (b"NAME=[UNAVAILABLE] PORT=[unavailable]", Xclient(name="", port=0)),
        (b"NAME=[TEMPUNAVAIL]", Xclient(name="")),
        (b"PROTO=esmtp HELO=[192.0.2.1]", Xclient(protocol="ESMTP", hello="[192.0.2.1]")),
        (b"LOGIN=al+2Bx+40e.test", Xclient(login="al+x@e.test")),
        (b"HELO=M+C3+BCller+20PC", Xclient(hello="M?ller?PC")),
        (
            b"DESTADDR=192.0.2.2 DESTPORT=25",
            Xclient(local_address="192.0.2.2", local_port=25),
        ),
    ],
)
def test_attributes(text: bytes, command: Xclient) -> None:
    assert parse_xclient(text) == command


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"   ",
        b"NAME",
        b"NAME=",
        b"X=y",
        b"N\xc4ME=y",
        b"NAME=a NAME=b",
        b"ADDR=example.test",
        b"ADDR=192.0.2.256",
        b"ADDR=2001:db8::1",
        b"ADDR=IPV6:fe80::1%eth0",
        b"PORT=0",
        b"PORT=65536",
        b"PORT=-1",
        b"PORT=+C2+B2",
        b"PROTO=LMTP",
        b"LOGIN=a+0D+0Ab",
        b"LOGIN=a+00",
        b"LOGIN=+FF",
        b"HELO=" + b"x" * 256,
    ],
)
def test_S9_what_is_refused(text: bytes) -> None:
    with pytest.raises(SyntaxRefused) as caught:
        parse_xclient(text)
    assert caught.value.reply is BAD_XCLIENT


@given(st.binary(max_size=80))
def test_any_argument_is_taken_or_refused(value: bytes) -> None:
    for name in (b"", b"NAME=", b"ADDR=", b"PORT=", b"PROTO=", b"HELO=", b"LOGIN=", b"DESTADDR="):
        try:
            command = parse_xclient(name + value)
        except SyntaxRefused:
            continue
        for said in (command.name, command.hello, command.login, command.address):
            assert said is None or said.splitlines() == ([said] if said else [])
