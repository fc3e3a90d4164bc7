"""The core of an SMTP session: order, framing of lines, bounds (SECURITY S6, S22, S23, S26)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire.smtp_commands import Data, Ehlo, Mail, Rcpt, Simple, Verb
from gateway.wire.smtp_events import AuthResponse, ChunkEnded, ContentEnded, Event, Refused
from gateway.wire.smtp_extensions import Offer
from gateway.wire.smtp_limits import SmtpLimits
from gateway.wire.smtp_order import TRANSITIONS, Phase
from gateway.wire.smtp_server import SmtpServer
from tests.support.smtp_core import EHLO, MAIL, RCPT, Talk, door_offer

LIMITS = SmtpLimits(line_octets=100, auth_line_octets=200, line_discard_octets=1000)
OFFER = Offer(door_offer(), mechanisms=("PLAIN",))


def session(*lines: bytes, limits: SmtpLimits = LIMITS) -> SmtpServer:
    """A session in which these commands succeeded."""
    core = SmtpServer(limits, "reject", OFFER)
    for line in lines:
        core.feed(line + b"\r\n")
        event = core.next_event()
        assert isinstance(event, (Ehlo, Mail, Rcpt, Simple)), event
        core.succeeded(event.verb)
    return core


def ask(core: SmtpServer, octets: bytes) -> Event | None:
    core.feed(octets)
    return core.next_event()


def reply(event: Event | None) -> str:
    assert isinstance(event, Refused)
    return f"{event.reply.code} {event.reply.status}"


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
        ((EHLO, MAIL), b"ETRN d.test", "503 5.5.1"),
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
    event = ask(SmtpServer(LIMITS, "reject", OFFER), b"\x16\x03\x01\x02\x00\x01")
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
    core = SmtpServer(SmtpLimits(), "reject", OFFER)
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
        elif not isinstance(event, (Refused, AuthResponse, ContentEnded, ChunkEnded)):
            assert (core.phase, event.verb) in TRANSITIONS
            core.succeeded(event.verb)


def test_S16_S17_starttls_forgets_what_was_said() -> None:
    for before in ((EHLO,), (EHLO, MAIL), (EHLO, MAIL, RCPT)):
        talk = Talk(*before)
        assert talk.say(b"STARTTLS\r\n") == ["STARTTLS"]
        talk.core.offer(Offer(door_offer(), tls=True, mechanisms=("PLAIN",)))
        assert not talk.core.esmtp
        assert talk.say(b"MAIL FROM:<> SIZE=1\r\n") == ["555 5.5.4"]
        assert talk.say(MAIL + b"\r\nRCPT TO:<a@b>\r\nAUTH PLAIN\r\nDATA\r\n") == ["503 5.5.1"] * 4
        assert talk.say(EHLO + b"\r\nSTARTTLS\r\n") == ["EHLO", "503 5.5.1"]


def test_S16_octets_behind_starttls_are_never_taken_into_tls() -> None:
    core = session(EHLO)
    assert ask(core, b"STARTTLS\r\nRSET\r\n") == Simple(Verb.STARTTLS)
    with pytest.raises(AssertionError):
        core.start_tls()


def test_S17_starttls_takes_no_argument() -> None:
    assert Talk(EHLO).say(b"STARTTLS x\r\n") == ["501 5.5.4"]


def test_what_ehlo_showed_counts_until_the_next() -> None:
    """AUTH= is for people who have logged in, whom a new EHLO shows no AUTH (RFC 4954)."""
    talk = Talk(EHLO)
    talk.core.offer(Offer(door_offer(), logged_in=True))
    assert talk.say(b"MAIL FROM:<> AUTH=<>\r\nRSET\r\n") == ["MAIL", "RSET"]
    assert talk.say(EHLO + b"\r\nMAIL FROM:<> AUTH=<>\r\nAUTH PLAIN\r\n") == [
        "EHLO",
        "555 5.5.4",
        "503 5.5.1",
    ]


def test_xclient_begins_the_session_anew() -> None:
    talk = Talk(EHLO, offer=Offer(door_offer(), proxy=True))
    assert talk.say(b"XCLIENT ADDR=192.0.2.1\r\n") == ["XCLIENT"]
    assert talk.core.phase is Phase.GREETED
    assert talk.say(b"MAIL FROM:<>\r\nEHLO x\r\nMAIL FROM:<>\r\n") == ["503 5.5.1", "EHLO", "MAIL"]
    assert talk.say(b"XCLIENT ADDR=192.0.2.1\r\n") == ["503 5.5.1"]


def test_S4_an_abandoned_transaction_leaves_nothing() -> None:
    talk = Talk(EHLO, MAIL, RCPT)
    talk.core.abandon()
    assert talk.say(b"DATA\r\nSubject: x\r\n") == ["503 5.5.1 closed"]
    fresh = Talk()
    fresh.core.abandon()
    assert fresh.say(MAIL + b"\r\n") == ["503 5.5.1"]
    reading = Talk(EHLO, MAIL, RCPT)
    assert reading.say(b"DATA\r\nSubject: x\r\n") == ["DATA"]
    reading.core.abandon()
    assert reading.say(b"QUIT\r\n.\r\nNOOP\r\n") == ["ContentEnded", "NOOP"]
    again = Talk(EHLO, MAIL)
    again.core.abandon()
    assert again.say(MAIL + b"\r\n") == ["MAIL"]


def test_S31_what_is_refused_leaves_the_state_as_it_was() -> None:
    talk = Talk(EHLO)
    assert talk.say("MAIL FROM:<ä@b.test>\r\n".encode() + RCPT + b"\r\n") == [
        "553 5.6.7",
        "503 5.5.1",
    ]
    assert talk.say(MAIL + "\r\nRCPT TO:<ä@b.test>\r\n".encode() + RCPT + b"\r\nDATA\r\n") == [
        "MAIL",
        "553 5.6.7",
        "RCPT",
        "DATA",
    ]
    assert talk.say(b".\r\nMAIL FROM:<> SMTPUTF8\r\n") == ["ContentEnded", "MAIL"]
    assert talk.say("RCPT TO:<ä@b.test>\r\nRSET\r\n".encode() + MAIL + b"\r\n") == [
        "RCPT",
        "RSET",
        "MAIL",
    ]
    assert talk.say("RCPT TO:<ä@b.test>\r\n".encode()) == ["553 5.6.7"]
