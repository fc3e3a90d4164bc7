"""POP3: greeting, TLS, login and what keeps strangers out."""

from __future__ import annotations

import base64

import pytest
from twisted.internet.defer import Deferred

from gateway.core.errors import DirectoryUnavailable, StoreUnavailable
from gateway.edge.pop3 import Pop3Limits
from tests.support.pop3_fakes import Client, Pop3Bench

WRONG = b"-ERR [AUTH] authentication failed\r\n"
AT_ONCE = Pop3Limits(failed_login_s=0.0)


def b64(text: bytes) -> bytes:
    return base64.b64encode(text)


def capabilities(client: Client) -> set[bytes]:
    reply = client.say(b"CAPA")
    assert reply.startswith(b"+OK") and reply.endswith(b"\r\n.\r\n")
    return set(reply.split(b"\r\n")[1:-2])


def test_greeting_offers_no_apop() -> None:
    greeting = Pop3Bench().connect
    client = Client(Pop3Bench(), "127.0.0.1")
    assert client.read() == b"+OK mail.example.test POP3 server ready\r\n"
    assert greeting().say(b"APOP alice 0123") == b"-ERR unknown command\r\n"


def test_user_and_pass_with_spaces_inside() -> None:
    bench = Pop3Bench()
    client = bench.connect()
    client.say(b"USER alice")
    client.say(b"PASS  two  words ")
    assert bench.checker.asked[0].password == b" two  words "
    assert bench.checker.asked[0].protocol == "pop3"


def test_pass_needs_user_and_takes_it_away() -> None:
    bench = Pop3Bench(limits=AT_ONCE)
    client = bench.connect()
    assert client.say(b"PASS secret") == b"-ERR send USER first\r\n"
    client.say(b"USER alice")
    assert client.say(b"PASS wrong") == WRONG
    assert client.say(b"PASS secret") == b"-ERR send USER first\r\n"


def test_dialogue_byte_by_byte_equals_one_segment() -> None:
    dialogue = b"USER alice\r\nPASS secret\r\nSTAT\r\nUIDL\r\nQUIT\r\n"
    whole = Pop3Bench(b"one\r\n").connect().send(dialogue)
    assert Pop3Bench(b"one\r\n").connect().drip(dialogue) == whole
    assert whole.endswith(b"+OK 1 5\r\n+OK 1 messages (5 octets)\r\n1 777.10\r\n.\r\n+OK bye\r\n")


def test_A1_no_login_before_tls() -> None:
    bench = Pop3Bench(clear_text_login=False)
    client = bench.connect()
    assert not any(line.startswith((b"USER", b"SASL")) for line in capabilities(client))
    assert client.say(b"USER alice") == b"-ERR login needs TLS here\r\n"
    assert client.say(b"AUTH PLAIN " + b64(b"\0alice\0secret")) == b"-ERR login needs TLS here\r\n"
    client = bench.connect()
    assert client.say(b"PASS secret") == b"-ERR login needs TLS here\r\n"
    client.start_tls()
    assert {b"USER", b"SASL PLAIN LOGIN"} <= capabilities(client)
    assert client.say(b"AUTH PLAIN " + b64(b"\0alice\0secret")).startswith(b"+OK 0 messages")
    assert [asked.over_tls for asked in bench.checker.asked] == [True]


def test_A1_clear_text_login_is_for_loopback_only() -> None:
    bench = Pop3Bench(clear_text_login=True)
    assert b"USER" in capabilities(bench.connect("127.0.0.9"))
    assert b"USER" in capabilities(bench.connect("::ffff:127.0.0.1"))
    stranger = bench.connect("192.0.2.1")
    assert b"USER" not in capabilities(stranger)
    assert stranger.say(b"USER alice").startswith(b"-ERR")


@pytest.mark.parametrize("mechanism", [b"PLAIN", b"plain"])
def test_A2_auth_plain_with_and_without_initial_response(mechanism: bytes) -> None:
    response = b64(b"\0alice\0secret")
    assert Pop3Bench().connect().say(b"AUTH " + mechanism + b" " + response).startswith(b"+OK 0")
    client = Pop3Bench().connect()
    assert client.say(b"AUTH " + mechanism) == b"+ \r\n"
    assert client.say(response).startswith(b"+OK 0 messages")


def test_A2_auth_login() -> None:
    client = Pop3Bench().connect()
    assert client.say(b"AUTH LOGIN") == b"+ " + b64(b"Username:") + b"\r\n"
    assert client.say(b64(b"alice")) == b"+ " + b64(b"Password:") + b"\r\n"
    assert client.say(b64(b"secret")).startswith(b"+OK 0 messages")


@pytest.mark.parametrize("response", [b"*", b"!!!!", b"AAA", b"a b", b"AGE\x80"])
def test_A2_cancelled_and_malformed_exchanges(response: bytes) -> None:
    bench = Pop3Bench()
    client = bench.connect()
    client.say(b"AUTH PLAIN")
    assert client.say(response).startswith(b"-ERR ")
    assert not bench.checker.asked
    # The exchange is over: the next line is a command again.
    assert client.say(b"AUTH PLAIN " + b64(b"\0alice\0secret")).startswith(b"+OK")


def test_A2_odd_auth_commands() -> None:
    bench = Pop3Bench(limits=AT_ONCE)
    assert bench.connect().say(b"AUTH NTLM").startswith(b"-ERR")
    assert bench.connect().say(b"AUTH PLAIN a b").startswith(b"-ERR")
    assert bench.connect().say(b"AUTH PLAIN =") == WRONG
    assert bench.connect().say(b"AUTH") == b"+OK mechanisms follow\r\nPLAIN\r\nLOGIN\r\n.\r\n"
    assert bench.login().say(b"AUTH PLAIN") == b"-ERR already logged in\r\n"
    client = bench.connect()
    client.say(b"AUTH PLAIN")
    client.send(b"A" * 12300)
    assert client.closed()  # too long even for an exchange
    client = bench.connect()
    client.say(b"AUTH LOGIN")
    client.lose()  # in mid exchange


@pytest.mark.parametrize(
    "message",
    [
        b"alice",
        b"\0alice",
        b"a\0alice\0secret\0",
        b"\0\0secret",
        b"\0alice\0",
        b"bob\0alice\0secret",
        b"\0\xff\xfe\0secret",
        b"\0" + b"a" * 6000 + b"\0secret",
    ],
)
def test_A3_plain_shapes(message: bytes) -> None:
    bench = Pop3Bench(limits=AT_ONCE)
    assert bench.connect().say(b"AUTH PLAIN " + b64(message)) == WRONG


def test_A4_third_failure_closes_after_the_reply() -> None:
    client = Pop3Bench(limits=AT_ONCE).connect()
    for attempt in (1, 2, 3):
        client.say(b"USER alice")
        assert client.say(b"PASS wrong") == WRONG
        assert client.closed() == (attempt == 3)
    assert client.say(b"USER alice") == b""


def test_A5_trouble_is_never_a_wrong_password() -> None:
    bench = Pop3Bench()
    bench.checker.fails = DirectoryUnavailable()
    client = bench.connect()
    for _ in range(5):  # and never counted as a failure
        client.say(b"USER alice")
        assert client.say(b"PASS secret").startswith(b"-ERR [SYS/TEMP] ")
    bench.checker.fails = None
    bench.store.fails = StoreUnavailable()
    client.say(b"USER alice")
    assert client.say(b"PASS secret").startswith(b"-ERR [SYS/TEMP] ")
    bench.store.fails = None
    client.say(b"USER alice")
    assert client.say(b"PASS secret").startswith(b"+OK 0 messages")


def test_A6_unknown_and_wrong_look_alike() -> None:
    """Same words, same time, whatever the directory's own time; USER is always answered +OK."""
    bench = Pop3Bench()
    for login, directory_s in ((b"alice", 0.4), (b"nobody", 0.0), (b"\xff", 0.1)):
        client = bench.connect()
        assert client.say(b"USER " + login) == b"+OK send the password\r\n"
        held: Deferred[None] = Deferred()
        bench.checker.held = held
        client.say(b"PASS wrong")
        bench.clock.advance(directory_s)
        held.callback(None)
        bench.clock.advance(0.99 - directory_s)
        assert client.read() == b""
        bench.clock.advance(0.01)
        assert client.read() == WRONG


def test_A6_peer_that_leaves_during_the_wait_leaves_no_timer() -> None:
    bench = Pop3Bench()
    client = bench.connect()
    client.send(b"USER alice\r\nPASS wrong\r\n")
    client.lose()
    assert not bench.clock.getDelayedCalls()


def test_P1_S16_F1a_octets_behind_stls_are_never_run() -> None:
    for behind in (b"USER alice\r\nPASS secret\r\n", b"CAPA\r\n", b"\x16\x03\x01", b"R"):
        bench = Pop3Bench(clear_text_login=False)
        client = bench.connect()
        reply = client.send(b"STLS\r\n" + behind)
        assert reply == b"-ERR octets behind STLS\r\n"
        assert client.closed() and client.transport.tls is None and not bench.checker.asked


def test_P1_stls_forgets_the_name_and_is_refused_later() -> None:
    bench = Pop3Bench()
    client = bench.connect()
    client.say(b"USER alice")
    client.start_tls()
    assert b"STLS" not in capabilities(client)
    assert client.say(b"PASS secret") == b"-ERR send USER first\r\n"
    assert client.say(b"STLS") == b"-ERR TLS is active already\r\n"
    client.say(b"USER alice")
    assert client.say(b"PASS secret").startswith(b"+OK")
    assert client.say(b"STLS") == b"-ERR already logged in\r\n"
    assert Pop3Bench(tls=False).connect().say(b"STLS") == b"-ERR no TLS here\r\n"
    assert Pop3Bench(implicit_tls=True).connect().say(b"STLS") == b"-ERR TLS is active already\r\n"


def test_P1_S16_unfinished_handshake_is_dropped() -> None:
    bench = Pop3Bench()
    client = bench.connect()
    client.say(b"STLS")
    bench.clock.advance(31)
    assert client.closed()


@pytest.mark.parametrize(
    "junk",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST / HTTP/1.0\r\n",
        b"CONNECT a:25 HTTP/1.1\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"NTLM\0\0\r\n",
        b"EHLO x\r\n",
    ],
)
def test_S20_other_protocols_are_closed_without_echo(junk: bytes) -> None:
    client = Pop3Bench().connect()
    reply = client.send(junk)
    assert client.closed()
    assert reply.startswith(b"-ERR ") and reply.count(b"\r\n") == 1
    assert b"HTTP" not in reply and b"NTLM" not in reply


def test_S20_bad_commands_end_the_connection() -> None:
    client = Pop3Bench().connect()
    assert client.say(b"XONE <script>") == b"-ERR unknown command\r\n"
    client.say(b"XTWO")
    assert client.say(b"XTHREE") == b"-ERR too many bad commands\r\n"
    assert client.closed()
    client = Pop3Bench().login()
    for _ in range(19):
        assert client.say(b"XONE") == b"-ERR unknown command\r\n"
    client.say(b"XONE")
    assert client.closed()


def test_N1_slow_octets_buy_no_time_before_the_login() -> None:
    bench = Pop3Bench()
    client = bench.connect()
    for octet in b"USER aaaaaaaaaaaa":
        client.send(bytes([octet]))
        bench.clock.advance(10)
    assert not client.closed()
    client.say(b"")
    bench.clock.advance(11)
    assert client.closed()


def test_N2_a_refused_connection_is_told_why() -> None:
    bench = Pop3Bench()
    bench.sessions.reason = "too many connections from your address"
    client = bench.connect()
    assert client.read() == b"-ERR [SYS/TEMP] too many connections from your address\r\n"
    assert client.closed()


def test_A9_unexpected_errors_are_generic_and_close(recorded_failures: list[object]) -> None:
    bench = Pop3Bench()
    bench.checker.fails = RuntimeError("secret detail")
    client = bench.connect()
    client.say(b"USER alice")
    reply = client.say(b"PASS secret")
    assert reply.startswith(b"-ERR [SYS/TEMP] internal error, reference ")
    assert b"detail" not in reply and client.closed()
    assert len(recorded_failures) == 1
