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
    b"LHLO c.test",
    b"MAIL FROM:<alice@example.test>",
    b"MAIL FROM:<> SIZE=100 BODY=8BITMIME",
    b"MAIL FROM:<a@b@c>",
    b"MAIL FROM:<alice@example.test> BODY=BINARYMIME SMTPUTF8 RET=FULL ENVID=x BY=60;R",
    b"MAIL FROM:<alice@example.test> HOLDFOR=60 MT-PRIORITY=5 SOLICIT=net.test:ADV",
    b"MAIL FROM:<alice@example.test> REQUIRETLS",
    b"RCPT TO:<alice@example.test>",
    b"RCPT TO:<nobody@example.test>",
    b"RCPT TO:<x@far.test>",
    b"RCPT TO:<bob@example.test> NOTIFY=SUCCESS ORCPT=rfc822;b@x.test",
    b"DATA",
    b"RSET",
    b"NOOP",
    b"VRFY x",
    b"EXPN x",
    b"HELP",
    b"STARTTLS",
    b"BDAT 0",
    b"BDAT 0 LAST",
    b"ETRN example.test",
    b"XCLIENT ADDR=198.51.100.7 LOGIN=alice",
    b"XCLIENT ADDR=198.51.100.8",
    b"TURN",
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
    st.sampled_from(LINES),
    st.sampled_from([b"router", b"intake", b"room", b"well"]).map(lambda w: b"!" + w),
)


PROTOCOLS = st.sampled_from(["smtp", "submission", "lmtp"])


def bench_for(protocol: str, *, in_clear: bool) -> SmtpBench:
    """A door that takes all that a client can say."""
    return SmtpBench(
        protocol,
        clear_text_login=in_clear,
        limits=PATIENT,
        auth="required" if protocol == "submission" else "offered",
        may_xclient=lambda ip: ip == "127.0.0.1",
        may_etrn=lambda ip: True,
    )


@given(PROTOCOLS, st.booleans(), st.lists(steps, max_size=40))
@settings(max_examples=300)
def test_one_reply_to_each_line(protocol: str, in_clear: bool, script: list[bytes]) -> None:
    bench = bench_for(protocol, in_clear=in_clear)
    client = bench.connect("127.0.0.1")
    for line in script:
        if line.startswith(b"!"):
            bench.router.fails = DirectoryUnavailable() if line == b"!router" else None
            bench.intake.fails = StoreFull() if line == b"!intake" else None
            bench.has_room = line != b"!room"
            continue
        follow(client, line)
        if client.closed():
            break
    assert len(client.refusals) == len(client.ids), "every refusal ends in an id"
    client.lose()
    assert bench.clock.getDelayedCalls() == []
    assert bench.sessions.open == set()
    check_bodies(bench)


def check_bodies(bench: SmtpBench) -> None:
    """Whatever came in is with the store or gone."""
    kept = [message.body for message in bench.intake.accepted]
    assert all(body.discarded or body in kept for body in bench.intake.bodies)


def follow(client: Client, line: bytes) -> None:
    """One command and what it leads to; each step has just one reply, in LMTP one a recipient."""
    transaction = client.connection.transaction
    at_the_end = 1
    if client.connection.is_lmtp and transaction is not None:
        at_the_end = transaction.accepted
    reply = client.say(line)
    ends = line == b"BDAT 0 LAST"
    assert len(codes(reply)) == 1 or (ends and len(codes(reply)) == at_the_end), (line, reply)
    while (code := codes(reply)[0]) == 334:
        reply = client.say(b"YWxpY2U=")
        assert len(codes(reply)) == 1
    if code == 354:
        assert client.send(b"From: alice@example.test\r\n\r\nRSET\r\n..\r\n") == b""
        replies = codes(client.send(b".\r\n"))
        assert len(replies) == at_the_end and set(replies) <= {250, 452}, replies
    elif code == 220 and line == b"STARTTLS":
        client.connection.handshakeCompleted()


@given(
    PROTOCOLS,
    st.binary(max_size=300),
    st.lists(st.sampled_from([*LINES, b".", b"\r\n.\r\n", b"BDAT 7\r\nQUIT\r\n"]), max_size=12),
    st.lists(st.integers(1, 50), min_size=1, max_size=6),
)
@settings(max_examples=200)
def test_no_octets_cause_an_exception(
    protocol: str, junk: bytes, lines: list[bytes], sizes: list[int]
) -> None:
    bench = bench_for(protocol, in_clear=True)
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
    check_bodies(bench)


@given(PROTOCOLS, st.lists(st.sampled_from(LINES), max_size=25))
@settings(max_examples=150)
def test_the_segments_do_not_matter(protocol: str, lines: list[bytes]) -> None:
    """Byte by byte, line by line and in one chunk: the same replies, where order permits it."""
    hello = b"LHLO c.test" if protocol == "lmtp" else b"EHLO c.test"
    # What must be the last of a group ends a session that goes on; it has tests of its own.
    group = [line for line in lines if line.split(b" ")[0] not in _ENDS_A_GROUP]
    told = []
    for step in (1, 4096, 10**9):
        bench = bench_for(protocol, in_clear=True)
        client = bench.connect("192.0.2.9")
        client.say(hello)
        octets = b"\r\n".join(group) + b"\r\n"
        replies = [client.send(octets[i : i + step]) for i in range(0, len(octets), step)]
        told.append((b"".join(replies), client.closed()))
        client.lose()
    assert told[0] == told[1] == told[2]


_ENDS_A_GROUP = (b"EHLO", b"HELO", b"LHLO", b"DATA", b"STARTTLS", b"AUTH", b"XCLIENT")
