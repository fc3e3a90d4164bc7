"""POP3 commands and capabilities: what a line means in which state."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire.pop3 import (
    ANY,
    CAPABILITIES,
    COMMANDS,
    Auth,
    Capa,
    Command,
    Dele,
    List,
    Noop,
    Pass,
    Quit,
    Refused,
    Retr,
    Rset,
    Situation,
    Stat,
    State,
    Stls,
    Top,
    Uidl,
    User,
    capability_lines,
    parse,
)

BEFORE = State.AUTHORIZATION
AFTER = State.TRANSACTION


@pytest.mark.parametrize(
    ("line", "state", "command"),
    [
        (b"USER alice", BEFORE, User(b"alice")),
        (b"user Alice Liddell", BEFORE, User(b"Alice Liddell")),
        (b"PASS a b  c ", BEFORE, Pass(b"a b  c ")),  # P1: the whole rest of the line
        (b"PASS", BEFORE, Pass(b"")),
        (b"AUTH", BEFORE, Auth("")),
        (b"AUTH plain", BEFORE, Auth("plain")),
        (b"AUTH PLAIN =", BEFORE, Auth("PLAIN", b"=")),
        (b"STLS", BEFORE, Stls()),
        (b"CAPA", BEFORE, Capa()),
        (b"capa", AFTER, Capa()),
        (b"QUIT", BEFORE, Quit()),
        (b"Quit", AFTER, Quit()),
        (b"STAT", AFTER, Stat()),
        (b"LIST", AFTER, List(None)),
        (b"LIST 2", AFTER, List(2)),
        (b"UIDL", AFTER, Uidl(None)),
        (b"UIDL 007", AFTER, Uidl(7)),
        (b"RETR 1 ", AFTER, Retr(1)),  # trailing space: deliberate leniency
        (b"DELE 4294967296", AFTER, Dele(4294967296)),
        (b"TOP 1 0", AFTER, Top(1, 0)),
        (b"TOP  1  999999999999", AFTER, Top(1, 999999999999)),
        (b"NOOP", AFTER, Noop()),
        (b"RSET", AFTER, Rset()),
    ],
)
def test_commands(line: bytes, state: State, command: Command) -> None:
    assert parse(line, state) == command


@pytest.mark.parametrize(
    "line",
    [
        b"RETR",
        b"RETR -1",
        b"RETR +1",
        b"RETR x",
        b"RETR 1 2",
        b"RETR 0x1",
        b"RETR \xb2",
        b"RETR 1\t",
        b"TOP 1",
        b"TOP 1 -1",
        b"TOP 1 2 3",
        b"LIST 1 2",
        b"LIST x",
        b"UIDL -1",
        b"DELE",
        b"STAT 1",
        b"NOOP now",
        b"",
        b" STAT",
        b"STATX",
        b"APOP alice c4c9334bac560ecc979e58001b3e22fb",
        b"XTND",
        b"\xff\xfe",
        b"STLS",
    ],
)
def test_P2_numbers_and_P1_misplaced_words_are_refused(line: bytes) -> None:
    with pytest.raises(Refused):
        parse(line, AFTER)


def test_every_command_is_refused_outside_its_states() -> None:
    for row in COMMANDS.values():
        for state in ANY - row.states:
            with pytest.raises(Refused):
                parse(row.keyword.encode(), state)


def test_passwords_stay_out_of_reprs() -> None:
    assert "secret" not in repr(parse(b"PASS secret", BEFORE))
    assert "c2VjcmV0" not in repr(parse(b"AUTH PLAIN c2VjcmV0", BEFORE))


@given(st.binary(max_size=260), st.sampled_from(State))
def test_any_line_is_a_command_or_refused_without_echo(line: bytes, state: State) -> None:
    try:
        parse(line, state)
    except Refused as refused:
        assert str(refused).isascii()


def test_capabilities_promise_only_commands_that_exist() -> None:
    for row in CAPABILITIES:
        assert row.rfc
        for keyword in row.commands:
            assert keyword.encode() in COMMANDS


def test_A1_login_is_announced_only_where_it_is_allowed() -> None:
    clear = capability_lines(Situation(False, True, ("PLAIN", "LOGIN")))
    assert b"STLS" in clear
    assert not any(line.startswith((b"USER", b"SASL")) for line in clear)
    secure = capability_lines(Situation(True, False, ("PLAIN", "LOGIN")))
    assert b"SASL PLAIN LOGIN" in secure
    assert b"USER" in secure
    assert b"STLS" not in secure


def test_capabilities_hold_the_whole_list_and_no_version() -> None:
    lines = capability_lines(Situation(True, True, ("PLAIN",)))
    assert {
        b"TOP",
        b"USER",
        b"SASL PLAIN",
        b"STLS",
        b"UIDL",
        b"RESP-CODES",
        b"AUTH-RESP-CODE",
        b"PIPELINING",
        b"EXPIRE NEVER",
        b"IMPLEMENTATION mail-gateway",
    } == set(lines)
