"""STARTTLS against whoever sends something with it, twice, or in the midst of a message."""

from __future__ import annotations

import pytest

from tests.support.smtp_fakes import SmtpBench, codes, plain

PROTOCOLS = pytest.mark.parametrize("protocol", ["smtp", "submission", "lmtp"])
HELLO = {"smtp": b"EHLO x", "submission": b"EHLO x", "lmtp": b"LHLO x"}


@PROTOCOLS
@pytest.mark.parametrize(
    "behind",
    [
        b"RSET\r\n",
        b"MAIL FROM:<evil@far.test>\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"\r\n",
        b"\0",
        b"x",
    ],
)
def test_S16_any_octet_behind_starttls_ends_the_connection(protocol: str, behind: bytes) -> None:
    bench = SmtpBench(protocol)
    client = bench.connect()
    client.say(HELLO[protocol])
    assert client.send(b"STARTTLS\r\n" + behind) == b""
    assert client.aborted() and client.transport.tls is None
    assert client.send(b"NOOP\r\n") == b""


@PROTOCOLS
def test_S16_nothing_of_before_is_known_inside(protocol: str) -> None:
    bench = SmtpBench(protocol, auth="offered", clear_text_login=True)
    client = bench.connect("127.0.0.1")
    client.say(HELLO[protocol])
    assert codes(client.say(b"AUTH PLAIN " + plain(b"alice", b"secret"))) == [235]
    client.say(b"MAIL FROM:<alice@example.test>")
    client.say(b"RCPT TO:<bob@example.test>")
    client.start_tls()
    session = client.connection
    assert (session.login, session.client.account, session.client.hello) == ("", None, "")
    assert session.transaction is None
    for line in (b"MAIL FROM:<a@far.test>", b"RCPT TO:<bob@example.test>", b"STARTTLS"):
        assert codes(client.say(line)) == [503], line
    assert codes(client.send(b"BDAT 2 LAST\r\nhi")) == [503]
    assert codes(client.say(b"DATA")) == [503]


@PROTOCOLS
def test_S17_starttls_once_and_bare(protocol: str) -> None:
    client = SmtpBench(protocol).connect()
    client.say(HELLO[protocol])
    assert client.say(b"STARTTLS x").startswith(b"501 5.5.4 ")
    assert client.say(b"MAIL FROM:<a@far.test>")[:3] in (b"250", b"530")
    client.start_tls()
    assert b"STARTTLS" not in client.say(HELLO[protocol])
    assert client.say(b"STARTTLS").startswith(b"503 5.5.1 ")


@PROTOCOLS
def test_S17_with_implicit_tls_it_is_over_already(protocol: str) -> None:
    client = SmtpBench(protocol, implicit_tls=True).connect()
    client.connection.handshakeCompleted()
    assert b"STARTTLS" not in client.say(HELLO[protocol])
    assert codes(client.say(b"STARTTLS"))[0] in (502, 503)


@PROTOCOLS
def test_S17_without_a_certificate_it_does_not_exist(protocol: str) -> None:
    client = SmtpBench(protocol, tls=False).connect()
    assert b"STARTTLS" not in client.say(HELLO[protocol])
    assert codes(client.say(b"STARTTLS"))[0] in (502, 503) and not client.aborted()


def test_S19_a_handshake_that_does_not_go_on_ends() -> None:
    bench = SmtpBench()
    client = bench.ready()
    assert client.say(b"STARTTLS").startswith(b"220 ")
    bench.clock.advance(29)
    assert not client.aborted()
    bench.clock.advance(2)
    assert client.aborted()
    implicit = SmtpBench("submission", implicit_tls=True)
    client = implicit.connect()
    implicit.clock.advance(31)
    assert client.aborted()
