"""POP3 commands: octets to typed commands, the state table and the capability registry.

Owns the grammar of RFC 1939 with RFC 2449 (CAPA), RFC 2595 (STLS) and RFC 5034 (AUTH). Never
replies, logs or knows a maildrop. Lines come from ``wire.pop3_lines``; replies are rendered by
``wire.pop3_replies``.

Not offered: APOP (RFC 1939 section 7), as it needs the password in clear text at the server.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType


class State(Enum):
    """RFC 1939 section 3. UPDATE is not listed: it begins and ends inside QUIT."""

    AUTHORIZATION = "authorization"
    TRANSACTION = "transaction"


AUTHORIZATION = frozenset({State.AUTHORIZATION})
TRANSACTION = frozenset({State.TRANSACTION})
ANY = AUTHORIZATION | TRANSACTION


class Refused(Exception):
    """A line that is no command here; the text is ours alone, never the client's (S20)."""


# --- commands ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class User:
    """USER: the name is the whole rest of the line, octets as typed."""

    name: bytes


@dataclass(frozen=True, slots=True)
class Pass:
    """PASS: the password is the whole rest of the line, spaces included."""

    password: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Auth:
    """AUTH. ``mechanism`` empty: the client asks for the list, as older ones do.

    ``initial`` is base64 as on the wire, or None.
    """

    mechanism: str
    initial: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Stls:
    pass


@dataclass(frozen=True, slots=True)
class Capa:
    pass


@dataclass(frozen=True, slots=True)
class Quit:
    pass


@dataclass(frozen=True, slots=True)
class Stat:
    pass


@dataclass(frozen=True, slots=True)
class List:
    """LIST. ``number`` None: all messages."""

    number: int | None


@dataclass(frozen=True, slots=True)
class Uidl:
    """UIDL. ``number`` None: all messages."""

    number: int | None


@dataclass(frozen=True, slots=True)
class Retr:
    number: int


@dataclass(frozen=True, slots=True)
class Dele:
    number: int


@dataclass(frozen=True, slots=True)
class Top:
    """TOP: the header and so many lines of the body."""

    number: int
    lines: int


@dataclass(frozen=True, slots=True)
class Noop:
    pass


@dataclass(frozen=True, slots=True)
class Rset:
    pass


Command = (
    User | Pass | Auth | Stls | Capa | Quit | Stat | List | Uidl | Retr | Dele | Top | Noop | Rset
)


# --- arguments -----------------------------------------------------------------------------------


def _words(rest: bytes) -> list[bytes]:
    # RFC 1939 section 3: one space between arguments. More, and trailing ones, harm nobody.
    return [word for word in rest.split(b" ") if word]


def _no_argument(make: Callable[[], Command]) -> Callable[[bytes], Command]:
    def parse(rest: bytes) -> Command:
        if _words(rest):
            raise Refused("no argument expected")
        return make()

    return parse


def _number(word: bytes) -> int:
    # isdigit of bytes is ASCII only; the line's limit bounds the number of digits.
    if not word.isdigit():
        raise Refused("a number is expected")
    return int(word)


def _one_number(make: Callable[[int], Command]) -> Callable[[bytes], Command]:
    def parse(rest: bytes) -> Command:
        words = _words(rest)
        if len(words) != 1:
            raise Refused("one message number expected")
        return make(_number(words[0]))

    return parse


def _number_or_none(make: Callable[[int | None], Command]) -> Callable[[bytes], Command]:
    def parse(rest: bytes) -> Command:
        words = _words(rest)
        if len(words) > 1:
            raise Refused("at most one message number expected")
        return make(_number(words[0]) if words else None)

    return parse


def _top(rest: bytes) -> Command:
    words = _words(rest)
    if len(words) != 2:
        raise Refused("a message number and a number of lines expected")
    return Top(_number(words[0]), _number(words[1]))


def _user(rest: bytes) -> Command:
    if not rest:
        raise Refused("a name is expected")
    return User(rest)


def _pass(rest: bytes) -> Command:
    # RFC 1939 section 7: PASS has one argument, so spaces may be treated as part of it.
    return Pass(rest)


def _auth(rest: bytes) -> Command:
    words = _words(rest)
    if not words:
        return Auth("")
    if len(words) > 2:
        raise Refused("a mechanism and at most one initial response expected")
    # RFC 4422 section 3.1: mechanism names are ASCII; anything else is simply unknown.
    mechanism = words[0].decode("ascii", "replace")
    return Auth(mechanism, words[1] if len(words) == 2 else None)


# --- the registry --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CommandRow:
    """What is known about one keyword: its argument parser, where it is allowed, its source."""

    keyword: str
    parse: Callable[[bytes], Command]
    states: frozenset[State]
    rfc: str


COMMANDS: Mapping[bytes, CommandRow] = MappingProxyType(
    {
        row.keyword.encode("ascii"): row
        for row in (
            CommandRow("USER", _user, AUTHORIZATION, "RFC 1939 section 7"),
            CommandRow("PASS", _pass, AUTHORIZATION, "RFC 1939 section 7"),
            CommandRow("AUTH", _auth, AUTHORIZATION, "RFC 5034 section 4"),
            CommandRow("STLS", _no_argument(Stls), AUTHORIZATION, "RFC 2595 section 4"),
            CommandRow("CAPA", _no_argument(Capa), ANY, "RFC 2449 section 5"),
            CommandRow("QUIT", _no_argument(Quit), ANY, "RFC 1939 sections 4 and 6"),
            CommandRow("STAT", _no_argument(Stat), TRANSACTION, "RFC 1939 section 5"),
            CommandRow("LIST", _number_or_none(List), TRANSACTION, "RFC 1939 section 5"),
            CommandRow("RETR", _one_number(Retr), TRANSACTION, "RFC 1939 section 5"),
            CommandRow("DELE", _one_number(Dele), TRANSACTION, "RFC 1939 section 5"),
            CommandRow("NOOP", _no_argument(Noop), TRANSACTION, "RFC 1939 section 5"),
            CommandRow("RSET", _no_argument(Rset), TRANSACTION, "RFC 1939 section 5"),
            CommandRow("TOP", _top, TRANSACTION, "RFC 1939 section 7"),
            CommandRow("UIDL", _number_or_none(Uidl), TRANSACTION, "RFC 1939 section 7"),
        )
    }
)


def parse(line: bytes, state: State) -> Command:
    """The command in a line (without CRLF).

    Raises:
        Refused: unknown, malformed, or not allowed in this state.
    """
    keyword, _, rest = line.partition(b" ")
    row = COMMANDS.get(keyword.upper())
    if row is None:
        raise Refused("unknown command")
    if state not in row.states:
        raise Refused("log in first" if state is State.AUTHORIZATION else "already logged in")
    return row.parse(rest)


# --- capabilities --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Situation:
    """What the capability list depends on.

    Args:
        may_log_in: clear passwords are protected here (TLS), or allowed without (SECURITY A1).
        may_start_tls: STLS would be accepted now.
        mechanisms: SASL mechanisms offered.
        passwords: USER and PASS are wanted at all.
    """

    may_log_in: bool
    may_start_tls: bool
    mechanisms: Sequence[str]
    passwords: bool = True


@dataclass(frozen=True, slots=True)
class CapabilityRow:
    """One line of the CAPA reply, the keywords it promises, and its source."""

    line: str
    rfc: str
    commands: tuple[str, ...] = ()
    offered: Callable[[Situation], bool] = lambda _: True


def _has_mechanisms(situation: Situation) -> bool:
    return situation.may_log_in and bool(situation.mechanisms)


def _may_say_password(situation: Situation) -> bool:
    return situation.may_log_in and situation.passwords


CAPABILITIES: tuple[CapabilityRow, ...] = (
    CapabilityRow("TOP", "RFC 2449 section 6.1", ("TOP",)),
    CapabilityRow("USER", "RFC 2449 section 6.2", ("USER", "PASS"), _may_say_password),
    CapabilityRow("SASL", "RFC 2449 section 6.3, RFC 5034", ("AUTH",), _has_mechanisms),
    CapabilityRow("STLS", "RFC 2595 section 4", ("STLS",), lambda now: now.may_start_tls),
    CapabilityRow("UIDL", "RFC 2449 section 6.8", ("UIDL",)),
    CapabilityRow("RESP-CODES", "RFC 2449 section 6.4"),
    CapabilityRow("AUTH-RESP-CODE", "RFC 3206 section 6"),
    CapabilityRow("PIPELINING", "RFC 2449 section 6.6"),
    CapabilityRow("EXPIRE NEVER", "RFC 2449 section 6.7"),
    # RFC 2449 section 6.9. No version: it helps nobody but who looks for holes.
    CapabilityRow("IMPLEMENTATION mail-gateway", "RFC 2449 section 6.9"),
)


def capability_lines(situation: Situation) -> list[bytes]:
    """The lines of the CAPA reply as they are at this moment."""
    lines = []
    for row in CAPABILITIES:
        if row.offered(situation):
            line = row.line
            if line == "SASL":
                line = " ".join((line, *situation.mechanisms))
            lines.append(line.encode("ascii"))
    return lines
