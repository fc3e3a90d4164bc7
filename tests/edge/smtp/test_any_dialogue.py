"""Any dialogue at all: one reply to each command, in order, and never an exception."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.errors import DirectoryUnavailable, StoreFull
from tests.support.smtp_fakes import AT_ONCE, Client, SmtpBench, codes, plain

PATIENT = replace(AT_ONCE, errors_hard=10_000, idle_commands=10_000, failed_logins=10_000)

LINES = [
    b"EHLO c.test",
    b"HELO c.test",
    b"MAIL FROM:<alice@example.test>",
    b"MAIL FROM:<> SIZE=100 BODY=8BITMIME",
    b"MAIL FROM:<a@b@c>",
    b"RCPT TO:<alice@example.test>",
    b"RCPT TO:<nobody@example.test>",
    b"RCPT TO:<x@far.test>",
    b"DATA",
    b"RSET",
    b"NOOP",
    b"VRFY x",
    b"EXPN x",
    b"HELP",
    b"STARTTLS",
    b"AUTH PLAIN " + plain(b"alice", b"secret"),
    b"AUTH PLAIN " + plain(b"alice", b"wrong"),
    b"AUTH LOGIN",
    b"AUTH X",
    b"WIZ",
    b"",
    b"NOOP\0",
    b"N\xff",
    b"x" * 3000,
]

steps = st.one_of(
    st.sampled_from(LINES), st.sampled_from([b"router", b"intake", b"well"]).map(lambda w: b"!" + w)
)


@given(st.sampled_from(["smtp", "submission"]), st.booleans(), st.lists(steps, max_size=40))
@settings(max_examples=300)
def test_one_reply_to_each_line(protocol: str, in_clear: bool, script: list[bytes]) -> None:
    bench = SmtpBench(protocol, clear_text_login=in_clear, limits=PATIENT)
    client = bench.connect("127.0.0.1")
    for line in script:
        if line.startswith(b"!"):
            bench.router.fails = DirectoryUnavailable() if line == b"!router" else None
            bench.intake.fails = StoreFull() if line == b"!intake" else None
            continue
        follow(client, line)
        if client.closed():
            break
    client.lose()
    assert bench.clock.getDelayedCalls() == []
    assert bench.sessions.open == set()


def follow(client: Client, line: bytes) -> None:
    """One command and what it leads to; each step has just one reply."""
    reply = client.say(line)
    assert len(codes(reply)) == 1, (line, reply)
    while (code := codes(reply)[0]) == 334:
        reply = client.say(b"YWxpY2U=")
        assert len(codes(reply)) == 1
    if code == 354:
        assert client.send(b"Subject: x\r\n\r\nRSET\r\n..\r\n") == b""
        assert codes(client.send(b".\r\n"))[0] in (250, 452)
    elif code == 220:
        client.connection.handshakeCompleted()


@given(
    st.sampled_from(["smtp", "submission"]),
    st.binary(max_size=300),
    st.lists(st.sampled_from([*LINES, b".", b"\r\n.\r\n"]), max_size=12),
    st.lists(st.integers(1, 50), min_size=1, max_size=6),
)
@settings(max_examples=200)
def test_no_octets_cause_an_exception(
    protocol: str, junk: bytes, lines: list[bytes], sizes: list[int]
) -> None:
    bench = SmtpBench(protocol, clear_text_login=True, limits=PATIENT)
    client = bench.connect("127.0.0.1")
    octets = b"\r\n".join(lines) + b"\r\n" + junk
    turn = 0
    while octets and not client.closed() and not client.aborted():
        size = sizes[turn % len(sizes)]
        client.send(octets[:size])
        octets = octets[size:]
        turn += 1
    client.lose()
    assert bench.clock.getDelayedCalls() == []
    kept = [message.body for message in bench.intake.accepted]
    assert all(body.discarded or body in kept for body in bench.intake.bodies)
