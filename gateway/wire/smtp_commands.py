"""SMTP command lines to typed commands: the grammar of RFC 5321 section 4.1 and of the extensions.

Owns syntax. Never knows the session's state, except for what the extensions in force allow, and
never answers: a line that is no command raises SyntaxRefused with the reply that fits.

Deliberately lenient: blanks behind a command (section 4.1.1 asks for it) and between the colon and
the path; any printable host name in EHLO and HELO, as section 4.1.4 forbids to refuse mail for it.
Deliberately strict: a line with CR, LF or NUL inside is no command at all (SECURITY S6), and an
argument where none belongs is an error.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache
from typing import ClassVar, Literal

from gateway.core.address import Address
from gateway.core.envelope import NOTHING_ASKED, BodyKind, RecipientOptions
from gateway.wire.address import AddressSyntax, parse_path
from gateway.wire.foreign import HTTP_VERBS, is_binary
from gateway.wire.smtp_replies import (
    BAD_ARGUMENTS,
    BAD_HELO,
    BAD_MAIL,
    BAD_OCTETS,
    BAD_RCPT,
    NEEDS_SMTPUTF8,
    NOT_SMTP,
    UNKNOWN_COMMAND,
    UNKNOWN_PARAMETER,
    Reply,
    bad_recipient,
    bad_sender,
)


class Verb(Enum):
    """Every command the doors know."""

    __hash__ = object.__hash__  # Enum's own costs a call for every look-up of TRANSITIONS

    EHLO = "EHLO"
    HELO = "HELO"
    MAIL = "MAIL"
    RCPT = "RCPT"
    DATA = "DATA"
    RSET = "RSET"
    NOOP = "NOOP"
    QUIT = "QUIT"
    VRFY = "VRFY"
    EXPN = "EXPN"
    HELP = "HELP"
    STARTTLS = "STARTTLS"
    AUTH = "AUTH"


class SyntaxRefused(Exception):
    """Not a command. ``foreign``: no mail client says this, so close at once (SECURITY S6, S20)."""

    def __init__(self, reply: Reply, *, foreign: bool = False) -> None:
        super().__init__(reply.text)
        self.reply = reply
        self.foreign = foreign


@dataclass(frozen=True, slots=True)
class Ehlo:
    """EHLO or HELO; ``host`` is printable ASCII without blanks, as claimed."""

    verb: Verb
    host: str


@dataclass(frozen=True, slots=True)
class By:
    """BY= (RFC 2852): seconds from now, which may be negative; ``or_return``: mode R, else N."""

    seconds: int
    or_return: bool
    trace: bool = False


@dataclass(frozen=True, slots=True)
class Mail:
    """MAIL. ``sender`` None is the null reverse-path, ``size_octets`` 0 means not declared.

    AUTH= (RFC 4954 section 5) is checked for its form and otherwise taken as ``<>``: nobody who
    sends here is trusted to speak for others.

    Args:
        ret, envid: RFC 3461; ``envid`` is decoded from xtext.
        hold_s, hold_until: HOLDFOR in seconds or HOLDUNTIL as Unix time (RFC 4865), at most one.
        priority: MT-PRIORITY (RFC 6710), None if not said.
        solicit: SOLICIT= (RFC 3865 section 2.4), lower case.
    """

    verb: ClassVar[Verb] = Verb.MAIL
    sender: Address | None
    size_octets: int = 0
    body: BodyKind = BodyKind.SEVEN_BIT
    smtputf8: bool = False
    ret: Literal["", "FULL", "HDRS"] = ""
    envid: str = ""
    by: By | None = None
    hold_s: int | None = None
    hold_until: int | None = None
    priority: int | None = None
    require_tls: bool = False
    solicit: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rcpt:
    """RCPT."""

    verb: ClassVar[Verb] = Verb.RCPT
    recipient: Address
    options: RecipientOptions = NOTHING_ASKED


@dataclass(frozen=True, slots=True)
class Auth:
    """AUTH. ``initial`` is the initial response as on the wire, None when there is none."""

    verb: ClassVar[Verb] = Verb.AUTH
    mechanism: str
    initial: bytes | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Data:
    """DATA."""

    verb: ClassVar[Verb] = Verb.DATA


@dataclass(frozen=True, slots=True)
class Simple:
    """Any other command; its argument, if it may have one, does not matter here."""

    verb: Verb


Command = Ehlo | Mail | Rcpt | Auth | Data | Simple

_REPEATED = 1024  # the same few people write and are written to; at most 2 MiB of lines

_FORBIDDEN_OCTETS = re.compile(rb"[\r\n\0]")
_HOST = re.compile(rb"[!-~\x80-\xff]{1,255}\Z")
# sasl-mech = 1*20mech-char (RFC 4422 section 3.1).
_AUTH = re.compile(rb"([A-Za-z0-9_-]{1,20})(?: +([^ ]++))?\Z")
# esmtp-param = esmtp-keyword ["=" esmtp-value] (RFC 5321 section 4.1.2).
_PARAMETER = re.compile(rb"([A-Za-z0-9][A-Za-z0-9-]*+)(?:=([!-<>-~]++))?\Z")
# size-value = 1*20DIGIT (RFC 1870 section 4).
_SIZE = re.compile(rb"[0-9]{1,20}\Z")
# xtext = *( xchar / hexchar ) (RFC 3461 section 4).
_XTEXT = re.compile(rb"(?:[!-*,-<>-~]|\+[0-9A-F]{2})++\Z")
_BEHIND_PATH = "unexpected characters behind the address"
# The first words of protocols that browsers can be made to speak to a mail port (SECURITY S20).
_FOREIGN_WORDS = HTTP_VERBS | {b"HOST:", b"USER-AGENT:"}


def parse_command(line: bytes, *, esmtp: bool, auth_offered: bool) -> Command:
    """One command line.

    Args:
        line: without its CRLF, length checked already.
        esmtp: the session was opened with EHLO, so MAIL may have parameters.
        auth_offered: the AUTH extension is offered, so AUTH= may be among them.

    Raises:
        SyntaxRefused: with the reply.
    """
    if _FORBIDDEN_OCTETS.search(line):
        raise SyntaxRefused(BAD_OCTETS, foreign=True)
    word, _, rest = line.rstrip(b" \t").partition(b" ")
    parser = _PARSERS.get(word) or _PARSERS.get(word.upper())
    if parser is None:
        foreign = word.upper() in _FOREIGN_WORDS or is_binary(word)
        raise SyntaxRefused(NOT_SMTP if foreign else UNKNOWN_COMMAND, foreign=foreign)
    return parser(rest, esmtp, auth_offered)


@lru_cache(maxsize=_REPEATED)
def _parse_mail(rest: bytes, esmtp: bool, auth_offered: bool) -> Command:
    if rest[:5] != b"FROM:" and rest[:5].upper() != b"FROM:":
        raise SyntaxRefused(BAD_MAIL)
    try:
        sender, rest = parse_path(rest[5:].lstrip(b" "), allow_null=True)
    except AddressSyntax as error:
        raise SyntaxRefused(
            NEEDS_SMTPUTF8 if error.needs_utf8 else bad_sender(str(error))
        ) from None
    if not rest:
        return Mail(sender)
    size_octets, body = 0, BodyKind.SEVEN_BIT
    seen: set[bytes] = set()
    for keyword, value in _parameters(rest, bad_sender(_BEHIND_PATH)):
        # Section 4.1.1.11 knows 555 for parameters that were not offered; HELO offers none.
        if keyword in seen:
            raise SyntaxRefused(BAD_ARGUMENTS)
        seen.add(keyword)
        if keyword == b"SIZE" and esmtp:
            if value is None or not _SIZE.match(value):
                raise SyntaxRefused(BAD_ARGUMENTS)
            size_octets = int(value)
        elif keyword == b"BODY" and esmtp:
            named = (value or b"").upper()
            if named not in (b"7BIT", b"8BITMIME"):
                raise SyntaxRefused(BAD_ARGUMENTS)
            body = BodyKind(named.decode("ascii"))
        elif keyword == b"AUTH" and esmtp and auth_offered:
            if value is None or not _XTEXT.match(value):
                raise SyntaxRefused(BAD_ARGUMENTS)
        else:
            raise SyntaxRefused(UNKNOWN_PARAMETER)
    return Mail(sender, size_octets, body)


@lru_cache(maxsize=_REPEATED)
def _parse_rcpt(rest: bytes, esmtp: bool, auth_offered: bool) -> Command:
    if rest[:3] != b"TO:" and rest[:3].upper() != b"TO:":
        raise SyntaxRefused(BAD_RCPT)
    try:
        recipient, rest = parse_path(rest[3:].lstrip(b" "), allow_null=False)
    except AddressSyntax as error:
        raise SyntaxRefused(
            NEEDS_SMTPUTF8 if error.needs_utf8 else bad_recipient(str(error))
        ) from None
    assert recipient is not None
    if rest:
        _parameters(
            rest, bad_recipient(_BEHIND_PATH)
        )  # no extension offered has a parameter for RCPT
        raise SyntaxRefused(UNKNOWN_PARAMETER)
    return Rcpt(recipient)


def _parameters(rest: bytes, complaint: Reply) -> list[tuple[bytes, bytes | None]]:
    """Keywords in upper case with their values, from what follows a path."""
    if rest[:1] != b" ":
        raise SyntaxRefused(complaint)
    parameters: list[tuple[bytes, bytes | None]] = []
    for word in filter(None, rest.split(b" ")):
        match = _PARAMETER.match(word)
        if match is None:
            raise SyntaxRefused(BAD_ARGUMENTS)
        parameters.append((match[1].upper(), match[2]))
    return parameters


def _hello(verb: Verb) -> Callable[[bytes, bool, bool], Command]:
    def parse(rest: bytes, esmtp: bool, auth_offered: bool) -> Command:
        host = rest.lstrip(b" ")
        if not _HOST.match(host):
            raise SyntaxRefused(BAD_HELO)
        return Ehlo(verb, host.decode("ascii", "replace").replace("\ufffd", "?"))

    return parse


def _parse_auth(rest: bytes, esmtp: bool, auth_offered: bool) -> Command:
    match = _AUTH.match(rest)
    if match is None:
        raise SyntaxRefused(BAD_ARGUMENTS)
    return Auth(match[1].decode("ascii"), match[2])


def _bare(command: Command) -> Callable[[bytes, bool, bool], Command]:
    """A command without argument."""

    def parse(rest: bytes, esmtp: bool, auth_offered: bool) -> Command:
        if rest:
            raise SyntaxRefused(BAD_ARGUMENTS)
        return command

    return parse


def _with_text(verb: Verb, *, required: bool) -> Callable[[bytes, bool, bool], Command]:
    """A command whose argument is text that is not looked at."""
    command = Simple(verb)

    def parse(rest: bytes, esmtp: bool, auth_offered: bool) -> Command:
        if required and not rest:
            raise SyntaxRefused(BAD_ARGUMENTS)
        return command

    return parse


_PARSERS: Mapping[bytes, Callable[[bytes, bool, bool], Command]] = {
    b"EHLO": _hello(Verb.EHLO),
    b"HELO": _hello(Verb.HELO),
    b"MAIL": _parse_mail,
    b"RCPT": _parse_rcpt,
    b"DATA": _bare(Data()),
    b"RSET": _bare(Simple(Verb.RSET)),
    b"NOOP": _with_text(Verb.NOOP, required=False),
    b"QUIT": _bare(Simple(Verb.QUIT)),
    b"VRFY": _with_text(Verb.VRFY, required=True),
    b"EXPN": _with_text(Verb.EXPN, required=True),
    b"HELP": _with_text(Verb.HELP, required=False),
    b"STARTTLS": _bare(Simple(Verb.STARTTLS)),
    b"AUTH": _parse_auth,
}
"""One row per verb; a test holds it against Verb and the transition table."""
