"""Greeting, capabilities, TLS and login: who may come in, and what they hear if not."""

from __future__ import annotations

import base64

import pytest
from twisted.internet.defer import Deferred

from gateway.core.errors import DirectoryUnavailable, StoreUnavailable
from gateway.edge.imap.services import ImapLimits
from tests.support.imap_client import Bench

CLEAR_TEXT = [
    b"LOGIN alice wonderland",
    b"AUTHENTICATE PLAIN " + base64.b64encode(b"\0alice\0wonderland"),
    b"AUTHENTICATE LOGIN",
]


def plain(login: bytes, password: bytes, authzid: bytes = b"") -> bytes:
    return base64.b64encode(authzid + b"\0" + login + b"\0" + password)


def test_the_greeting_tells_what_is_possible(bench: Bench) -> None:
    client = bench.connect()
    assert client.lines() == [
        b"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN AUTH=LOGIN ID SASL-IR] mail.example.test ready"
    ]


def test_capabilities_change_with_the_state(bench: Bench) -> None:
    bench.door = bench.make_door(implicit_tls=False)
    client = bench.connect()
    client.take()
    assert client.say(b"CAPABILITY") == [
        b"* CAPABILITY IMAP4rev1 ID LOGINDISABLED STARTTLS",
        b"T OK Capabilities listed",
    ]
    client.feed(b"s STARTTLS\r\n")
    client.protocol.handshakeCompleted()
    client.take()
    assert (
        client.say(b"CAPABILITY")[0] == b"* CAPABILITY IMAP4rev1 AUTH=PLAIN AUTH=LOGIN ID SASL-IR"
    )
    expected = b"IMAP4rev1 CHILDREN ID IDLE LITERAL- MOVE NAMESPACE SPECIAL-USE UIDPLUS UNSELECT"
    assert client.say(b"LOGIN alice wonderland") == [
        b"T OK [CAPABILITY " + expected + b"] Logged in"
    ]
    assert client.say(b"CAPABILITY")[0] == b"* CAPABILITY " + expected


@pytest.mark.parametrize("command", CLEAR_TEXT)
def test_A1_no_password_is_taken_before_tls(bench: Bench, command: bytes) -> None:
    bench.door = bench.make_door(implicit_tls=False)
    client = bench.connect()
    assert b"LOGINDISABLED" in client.take()
    assert client.last(command).startswith(b"T NO [PRIVACYREQUIRED]")
    assert bench.people.asked == []


def test_A1_the_demo_takes_passwords_from_the_machine_itself_only(bench: Bench) -> None:
    bench.door = bench.make_door(implicit_tls=False, clear_text_login=True)
    near, far = bench.connect("127.0.0.1"), bench.connect("192.0.2.1")
    assert b"AUTH=PLAIN" in near.take()
    assert near.last(b"LOGIN alice wonderland").startswith(b"T OK")
    assert b"LOGINDISABLED" in far.take()
    assert far.last(b"LOGIN alice wonderland").startswith(b"T NO [PRIVACYREQUIRED]")


def test_login_with_literals(bench: Bench) -> None:
    client = bench.connect()
    client.take()
    client.feed(b"a LOGIN {5}\r\n")
    assert client.lines() == [b"+ OK"]
    client.feed(b"alice {10}\r\n")
    assert client.lines() == [b"+ OK"]
    client.feed(b"wonderland\r\n")
    assert client.take().startswith(b"a OK [CAPABILITY")


def test_authenticate_with_and_without_an_initial_response(bench: Bench) -> None:
    client = bench.connect()
    assert client.last(b"AUTHENTICATE PLAIN " + plain(b"alice", b"wonderland")).startswith(b"T OK")
    client = bench.connect()
    client.take()
    assert client.say(b"AUTHENTICATE PLAIN") == [b"+ "]
    client.feed(plain(b"alice", b"wonderland") + b"\r\n")
    assert client.take().startswith(b"t1 OK")
    client = bench.connect()
    client.take()
    assert client.say(b"authenticate login") == [b"+ " + base64.b64encode(b"Username:")]
    client.feed(base64.b64encode(b"alice") + b"\r\n")
    assert client.lines() == [b"+ " + base64.b64encode(b"Password:")]
    client.feed(base64.b64encode(b"wonderland") + b"\r\n")
    assert client.take().startswith(b"t1 OK")


def test_A2_exchanges_that_end_without_a_login(bench: Bench) -> None:
    client = bench.connect()
    client.take()
    client.say(b"AUTHENTICATE PLAIN")
    client.feed(b"*\r\n")
    assert client.lines() == [b"t1 BAD Authentication cancelled"]
    client.say(b"AUTHENTICATE PLAIN")
    client.feed(b"not base64!\r\n")
    assert client.lines() == [b"t2 BAD The response is not base64"]
    assert client.last(b"AUTHENTICATE SCRAM-SHA-1") == (
        b"T NO [CANNOT] This mechanism is not offered"
    )
    assert bench.people.asked == []


def test_A2_an_endless_response_is_refused_and_the_stream_stays_in_step(bench: Bench) -> None:
    client = bench.connect()
    client.say(b"AUTHENTICATE PLAIN")
    client.feed(b"A" * 13_000 + b"\r\n")
    assert client.take().startswith(b"t1 BAD ")
    assert client.say(b"NOOP") == [b"T OK Done"]


def test_A2_a_client_that_goes_away_in_an_exchange_leaves_nothing(bench: Bench) -> None:
    client = bench.connect()
    client.say(b"AUTHENTICATE LOGIN")
    client.lose()
    assert client.take() == b"" and not client.protocol.busy
    assert not bench.clock.getDelayedCalls() and not bench.sessions.open


@pytest.mark.parametrize(
    "response",
    [
        base64.b64encode(b"alice\0wonderland"),
        base64.b64encode(b"a\0b\0c\0d"),
        plain(b"", b"wonderland"),
        plain(b"alice", b""),
        plain(b"alice", b"wonderland", authzid=b"bob"),
        plain(b"\xff\xfe", b"wonderland"),
        b"=",
    ],
)
def test_A3_responses_of_the_wrong_shape_are_wrong_credentials(
    bench: Bench, response: bytes
) -> None:
    client = bench.connect()
    assert client.last(b"AUTHENTICATE PLAIN " + response) == (
        b"T NO [AUTHENTICATIONFAILED] Authentication failed"
    )


def test_A4_three_failures_end_the_connection(bench: Bench) -> None:
    client = bench.connect()
    for _ in range(2):
        assert client.last(b"LOGIN alice wrong").startswith(b"T NO [AUTHENTICATIONFAILED]")
    assert client.say(b"LOGIN alice wrong") == [
        b"T NO [AUTHENTICATIONFAILED] Authentication failed",
        b"* BYE Too many failed logins",
    ]
    assert client.closed


def test_A4_A6_unknown_and_wrong_are_told_alike_and_late() -> None:
    """Same words, same time, whatever the directory's own time."""
    bench = Bench(limits=ImapLimits())
    for login, directory_s in ((b"alice", 0.4), (b"nobody", 0.0), (b'""', 0.1)):
        client = bench.connect()
        client.take()
        held: Deferred[None] = Deferred()
        bench.people.held = held
        client.feed(b"T LOGIN " + login + b" wrong\r\n")
        bench.clock.advance(directory_s)
        bench.people.held = None
        held.callback(None)
        bench.clock.advance(0.99 - directory_s)
        assert client.take() == b""
        bench.clock.advance(0.01)
        assert client.lines() == [b"T NO [AUTHENTICATIONFAILED] Authentication failed"]
        client.lose()


def test_A6_a_client_that_leaves_during_the_wait_leaves_no_timer() -> None:
    bench = Bench(limits=ImapLimits())
    client = bench.connect()
    client.feed(b"T LOGIN alice wrong\r\n")
    client.lose()
    assert not bench.clock.getDelayedCalls()


def test_A5_directory_trouble_is_never_a_wrong_password(bench: Bench) -> None:
    client = bench.connect()
    bench.people.trouble = DirectoryUnavailable()
    for _ in range(4):
        assert client.last(b"LOGIN alice wonderland").startswith(b"T NO [UNAVAILABLE]")
    bench.people.trouble = None
    bench.store.fail("ensure_account", StoreUnavailable())
    assert client.last(b"LOGIN alice wonderland").startswith(b"T NO [UNAVAILABLE]")
    bench.store.fail("ensure_account", None)
    assert client.last(b"LOGIN alice wonderland").startswith(b"T OK")


@pytest.mark.parametrize("behind", [b"b NOOP\r\n", b"\r\n", b"\x16\x03\x01", b"b LOGIN a b\r\n"])
def test_S16_F1a_octets_behind_starttls_end_the_connection(behind: bytes) -> None:
    bench = Bench()
    bench.door = bench.make_door(implicit_tls=False)
    client = bench.connect()
    client.take()
    client.feed(b"a STARTTLS\r\n" + behind)
    assert client.transport.aborted
    assert client.transport.tls_started == 0
    assert b"OK" not in client.take()
    bench.close()


def test_starttls_begins_anew(bench: Bench) -> None:
    bench.door = bench.make_door(implicit_tls=False)
    client = bench.connect()
    client.take()
    assert client.say(b"STARTTLS") == [b"T OK Begin TLS negotiation now"]
    assert client.transport.tls_started == 1
    client.protocol.handshakeCompleted()
    assert client.last(b"STARTTLS").startswith(b"T BAD")
    assert client.last(b"LOGIN alice wonderland").startswith(b"T OK")


def test_I11_starttls_after_login_or_without_tls_is_refused(bench: Bench) -> None:
    client = bench.log_in()
    assert client.say(b"STARTTLS") == [b"T BAD STARTTLS is not possible when authenticated"]
    bench.door = bench.make_door(tls=False, implicit_tls=False)
    client = bench.connect()
    assert b"STARTTLS" not in client.take()
    assert client.last(b"STARTTLS").startswith(b"T BAD")
    assert client.transport.tls_started == 0


def test_I11_what_is_pipelined_behind_login_waits_for_it(bench: Bench) -> None:
    bench.people.held = Deferred()
    client = bench.connect()
    client.take()
    client.feed(b"a LOGIN alice wonderland\r\nb SELECT INBOX\r\nc LOGIN bob builder\r\n")
    assert client.take() == b""
    bench.people.held.callback(None)
    tags = [line[:4] for line in client.lines() if not line.startswith(b"*")]
    assert tags == [b"a OK", b"b OK", b"c BA"]
    assert bench.people.asked == ["alice"]


def test_I11_a_client_that_goes_away_while_the_directory_answers(bench: Bench) -> None:
    bench.people.held = Deferred()
    client = bench.connect()
    client.feed(b"a LOGIN alice wonderland\r\n")
    client.lose()
    assert bench.realm.open_sessions == 0
