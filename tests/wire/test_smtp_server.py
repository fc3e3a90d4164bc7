"""The core of an SMTP session: order, framing of lines, bounds (SECURITY S6, S22, S23, S26)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire.smtp_commands import _PARSERS, Data, Ehlo, Mail, Rcpt, Simple, Verb
from gateway.wire.smtp_limits import SmtpLimits
from gateway.wire.smtp_server import (
    TRANSITIONS,
    AuthResponse,
    ContentEnded,
    Event,
    Phase,
    Refused,
    SmtpServer,
)

LIMITS = SmtpLimits(line_octets=100, auth_line_octets=200, line_discard_octets=1000)


def session(*lines: bytes, limits: SmtpLimits = LIMITS) -> SmtpServer:
    """A session in which these commands succeeded."""
    core = SmtpServer(limits, "reject")
    for line in lines:
        core.feed(line + b"\r\n")
        event = core.next_event()
        assert isinstance(event, (Ehlo, Mail, Rcpt, Simple)), event
        core.succeeded(event.verb)
    return core


EHLO, MAIL, RCPT = b"EHLO c.test", b"MAIL FROM:<a@b.test>", b"RCPT TO:<c@d.test>"


def ask(core: SmtpServer, octets: bytes) -> Event | None:
    core.feed(octets)
    return core.next_event()


def reply(event: Event | None) -> str:
    assert isinstance(event, Refused)
    return f"{event.reply.code} {event.reply.status}"


def test_every_verb_has_a_parser_and_a_place() -> None:
    assert {verb.value.encode() for verb in Verb} == set(_PARSERS)
    assert {verb for _, verb in TRANSITIONS} == set(Verb)
    assert not [pair for pair in TRANSITIONS if pair[0] is Phase.CONTENT]


@pytest.mark.parametrize(
    ("before", "line", "expected"),
    [
        ((), MAIL, "503 5.5.1"),
        ((), RCPT, "503 5.5.1"),
        ((), b"DATA", "503 5.5.1"),
        ((), b"AUTH PLAIN", "503 5.5.1"),
        ((), b"STARTTLS", "503 5.5.1"),
        ((EHLO,), RCPT, "503 5.5.1"),
        ((EHLO,), b"DATA", "503 5.5.1"),
        ((EHLO, MAIL), MAIL, "503 5.5.1"),
        ((EHLO, MAIL), b"DATA", "503 5.5.1"),
        ((EHLO, MAIL), b"AUTH PLAIN", "503 5.5.1"),
        ((EHLO, MAIL, RCPT), MAIL, "503 5.5.1"),
        ((EHLO, MAIL, RCPT, b"RSET"), RCPT, "503 5.5.1"),
        ((EHLO, MAIL, RCPT, EHLO), b"DATA", "503 5.5.1"),
        ((EHLO, MAIL, RCPT, b"HELO x"), RCPT, "503 5.5.1"),
        ((EHLO, MAIL, RCPT, b"STARTTLS"), MAIL, "503 5.5.1"),
    ],
)
def test_S23_order(before: tuple[bytes, ...], line: bytes, expected: str) -> None:
    assert reply(ask(session(*before), line + b"\r\n")) == expected


def test_S22_data_after_refused_recipients_only() -> None:
    core = session(EHLO, MAIL)
    assert isinstance(ask(core, RCPT + b"\r\n"), Rcpt)
    core.recipient_refused()
    assert reply(ask(core, b"DATA\r\n")) == "554 5.5.1"


def test_S22_text_behind_a_refused_data_is_never_run() -> None:
    core = session(EHLO, MAIL)
    event = ask(core, b"DATA\r\nSubject: x\r\n\r\nQUIT\r\n.\r\n")
    assert isinstance(event, Refused) and event.close
    later = session(EHLO, MAIL)
    event = ask(later, b"DATA\r\n")
    assert isinstance(event, Refused) and not event.close
    event = ask(later, b"Subject: x\r\n")
    assert isinstance(event, Refused) and event.close
    # A client that has understood goes on as it likes.
    polite = session(EHLO, MAIL)
    ask(polite, b"DATA\r\n")
    assert isinstance(ask(polite, RCPT + b"\r\n"), Rcpt)
    event = ask(polite, b"WIZ\r\n")
    assert isinstance(event, Refused) and not event.close


def test_S4_the_transaction_ends_with_its_content() -> None:
    core = session(EHLO, MAIL, RCPT)
    assert isinstance(ask(core, b"DATA\r\n"), Data)
    written: list[bytes] = []
    core.start_content(written.append)
    event = ask(core, b"bare\nline\r\n.\r\nRCPT TO:<c@d.test>\r\nDATA\r\n")
    assert isinstance(event, ContentEnded) and event.refusal is not None
    assert reply(core.next_event()) == "503 5.5.1"
    assert reply(core.next_event()) == "503 5.5.1"


def test_S6_only_crlf_ends_a_line() -> None:
    core = session(EHLO)
    assert ask(core, b"NOOP\nRSET\rQUIT\n") is None
    assert reply(ask(core, b"\r\n")) == "500 5.5.2"
    assert core.next_event() is None


def test_crlf_split_between_segments() -> None:
    core = session(EHLO)
    assert ask(core, b"NOOP\r") is None
    assert ask(core, b"\nRSET") == Simple(Verb.NOOP)
    assert core.next_event() is None
    assert ask(core, b"\r\n") == Simple(Verb.RSET)


def test_S26_lines_are_bounded() -> None:
    core = session(EHLO)
    assert ask(core, b"NOOP " + b"x" * 93 + b"\r\n") == Simple(Verb.NOOP)
    event = ask(core, b"NOOP " + b"x" * 94 + b"\r\nRSET\r\n")
    assert reply(event) == "500 5.5.2" and core.next_event() == Simple(Verb.RSET)


def test_S26_an_endless_line_is_thrown_away_then_closes() -> None:
    core = session(EHLO)
    for _ in range(10):
        assert ask(core, b"x" * 100) is None
        assert core.buffered <= 100
    event = ask(core, b"x" * 100)
    assert isinstance(event, Refused) and event.close and reply(event) == "500 5.5.2"


def test_S26_a_line_that_ends_within_the_bound_is_one_error() -> None:
    core = session(EHLO)
    for octet in [b"x"] * 300 + [b"\r"]:
        assert ask(core, octet) is None
    assert reply(ask(core, b"\nNOOP\r\n")) == "500 5.5.2"
    assert core.next_event() == Simple(Verb.NOOP)


def test_S26_auth_lines_have_their_own_bound() -> None:
    core = session(EHLO)
    event = ask(core, b"AUTH PLAIN " + b"x" * 150 + b"\r\n")
    assert not isinstance(event, Refused)
    assert ask(core, b"AUTH PLAIN " + b"x" * 250) is None
    assert reply(ask(core, b"\r\n")) == "500 5.5.6"
    core.expect_auth_response(True)
    assert isinstance(ask(core, b"x" * 198 + b"\r\n"), AuthResponse)
    core.expect_auth_response(True)
    assert reply(ask(core, b"x" * 199 + b"\r\n")) == "500 5.5.6"
    assert isinstance(ask(core, b"NOOP\r\n"), Simple)


def test_S20_binary_before_any_line_closes() -> None:
    event = ask(SmtpServer(LIMITS, "reject"), b"\x16\x03\x01\x02\x00\x01")
    assert isinstance(event, Refused) and event.close


LINES = [
    EHLO,
    b"HELO x",
    MAIL,
    RCPT,
    b"DATA",
    b"RSET",
    b"NOOP",
    b"VRFY x",
    b"STARTTLS",
    b"AUTH PLAIN",
    b"WIZ",
    b"",
    b"MAIL FROM:<a@b.test> SIZE=x",
]


@given(st.lists(st.sampled_from(LINES), max_size=30), st.lists(st.integers(1, 40), min_size=1))
def test_one_event_for_each_line_however_it_is_cut(lines: list[bytes], sizes: list[int]) -> None:
    """The table's sides are kept: what is offered to the door is always listed."""
    core = SmtpServer(SmtpLimits(), "reject")
    for number, line in enumerate(lines):
        octets = line + b"\r\n"
        size = sizes[number % len(sizes)]
        events: list[Event] = []
        for start in range(0, len(octets), size):
            event = ask(core, octets[start : start + size])
            if event is not None:
                events.append(event)
        assert len(events) == 1
        event = events[0]
        if isinstance(event, Data):
            core.start_content(lambda _: None)
            assert isinstance(ask(core, b"x\r\n.\r\n"), ContentEnded)
            assert core.phase is Phase.READY
        elif not isinstance(event, (Refused, AuthResponse, ContentEnded)):
            assert (core.phase, event.verb) in TRANSITIONS
            core.succeeded(event.verb)
