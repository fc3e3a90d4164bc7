"""The parameters of MAIL and RCPT: one row each, with its grammar and what it fills in.

Owns the syntax of every parameter that some extension brings; which extension does, and whether it
is in force, is the business of ``smtp_extensions``. Never answers: what is wrong raises
SyntaxRefused with a reply that says what was expected.

Limits: by the grammars; the command line itself is bounded (``SmtpLimits.line_octets``).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from gateway.core.envelope import BodyKind, Notify
from gateway.wire.smtp_commands import By, SyntaxRefused
from gateway.wire.smtp_replies import BAD_ARGUMENTS, UNKNOWN_PARAMETER, Reply
from gateway.wire.xtext import decode_utf8_address, decode_xtext

MAX_ENVID = 100  # RFC 3461 section 4.4, before encoding
MAX_ORCPT_OCTETS = 500  # section 4.2
MAX_SOLICIT_OCTETS = 1000  # RFC 3865 section 2.1

# esmtp-param = esmtp-keyword ["=" esmtp-value] (RFC 5321 section 4.1.2); values may be UTF-8 by
# RFC 6531 section 3.3.
_PARAMETER = re.compile(rb"([A-Za-z0-9][A-Za-z0-9-]*+)(?:=([!-<>-~\x80-\xff]++))?\Z")
_SIZE = re.compile(rb"[0-9]{1,20}\Z")
_BY = re.compile(rb"([+-]?[0-9]{1,9});([NRnr])([Tt]?)\Z")
_SECONDS = re.compile(rb"[0-9]{1,9}\Z")
_DATE_TIME = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt]([0-9]{2}:[0-9]{2}:)([0-9]{2})(\.[0-9]+)?"
    r"([Zz]|[+-][0-9]{2}:[0-9]{2})\Z"
)
_PRIORITY = re.compile(rb"(?:-?[1-9]|0)\Z")
# Solicitation-keywords = word 0*("," word); word = ALPHA 0*(wordchar) (RFC 3865 section 2.2).
_SOLICIT = re.compile(rb"[A-Za-z][A-Za-z0-9._:-]*+(?:,[A-Za-z][A-Za-z0-9._:-]*+)*+\Z")
_ADDRESS_TYPE = re.compile(rb"[A-Za-z0-9!#$%&'*/?^_`{|}~-]++\Z")
_PRINTABLE = re.compile(r"[ -~]+\Z")
# Also C1 and the line separators of Unicode: the text ends up in reports.
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter.

    Args:
        keyword: in upper case.
        fills: the field of Mail or RecipientOptions that it fills; empty if only its form counts.
        read: the value from its octets; raises ValueError.
        expected: what is right, for the reply; empty: the parameter stands alone, without a value.
        once: parameters that exclude each other share this name.
    """

    keyword: str
    fills: str
    read: Callable[[bytes], object]
    expected: str
    once: str = ""
    refusal: Reply = field(init=False)

    def __post_init__(self) -> None:
        form = f"{self.keyword}={self.expected}" if self.expected else f"{self.keyword} alone"
        object.__setattr__(self, "refusal", Reply(501, "5.5.4", f"Syntax: {form}"))


def read_parameters(
    text: bytes, table: Mapping[bytes, Parameter], complaint: Reply, *, utf8: bool
) -> dict[str, Any]:
    """Field names and values from what follows a path.

    Args:
        text: begins behind the path's ``>``.
        table: the parameters in force.
        complaint: if no blank follows the path.
        utf8: values may be UTF-8.

    Raises:
        SyntaxRefused: with the reply.
    """
    if text[:1] != b" ":
        raise SyntaxRefused(complaint)
    fields: dict[str, Any] = {}
    seen: set[str] = set()
    for word in filter(None, text.split(b" ")):
        match = _PARAMETER.match(word)
        if match is None:
            raise SyntaxRefused(BAD_ARGUMENTS)
        row = table.get(match[1].upper())
        if row is None:
            # RFC 5321 section 4.1.1.11 knows 555 for parameters that were not offered.
            raise SyntaxRefused(UNKNOWN_PARAMETER)
        value = match[2]
        name = row.once or row.keyword
        if name in seen or (value is None) is bool(row.expected):
            raise SyntaxRefused(row.refusal)
        seen.add(name)
        try:
            if value is not None and not utf8:
                value.decode("ascii")
            meaning = row.read(value or b"")
        except (ValueError, OverflowError):  # the latter by dates at the end of time
            raise SyntaxRefused(row.refusal) from None
        if row.fills:
            fields[row.fills] = meaning
    return fields


def _matched(pattern: re.Pattern[bytes], value: bytes) -> re.Match[bytes]:
    match = pattern.match(value)
    if match is None:
        raise ValueError(pattern)
    return match


def _size(value: bytes) -> int:
    return int(_matched(_SIZE, value)[0])


def _body(*kinds: BodyKind) -> Callable[[bytes], object]:
    known = {kind.value.encode("ascii"): kind for kind in kinds}

    def read(value: bytes) -> BodyKind:
        kind = known.get(value.upper())
        if kind is None:
            raise ValueError(value)
        return kind

    return read


def _there(_: bytes) -> bool:
    """The parameter says all by being there."""
    return True


def _ret(value: bytes) -> str:
    if value.upper() not in (b"FULL", b"HDRS"):
        raise ValueError(value)
    return value.decode("ascii").upper()


def _printable(octets: bytes) -> str:
    """RFC 3461 section 4: graphic ASCII and blanks, so no report gets a line more by it."""
    text = octets.decode("ascii")
    if not _PRINTABLE.match(text):
        raise ValueError(text)
    return text


def _envid(value: bytes) -> str:
    text = _printable(decode_xtext(value))
    if len(text) > MAX_ENVID:
        raise ValueError(text)
    return text


def _by(value: bytes) -> By:
    match = _matched(_BY, value)
    seconds, or_return = int(match[1]), match[2] in b"Rr"
    # RFC 2852 section 4: what is to be returned must have some time left.
    if or_return and seconds <= 0:
        raise ValueError(value)
    return By(seconds, or_return, trace=bool(match[3]))


def _seconds(value: bytes) -> int:
    return int(_matched(_SECONDS, value)[0])


def _date_time(value: bytes) -> int:
    """RFC 3339 section 5.6 as Unix time, rounded up so that nothing is released too early."""
    match = _DATE_TIME.match(value.decode("ascii"))
    if match is None:
        raise ValueError(value)
    date, time, second, fraction, zone = match.groups()
    leap = second == "60"  # section 5.7
    at = datetime.fromisoformat(f"{date}T{time}{'59' if leap else second}{zone.upper()}")
    beyond = (1 if leap else 0) + float(fraction or 0)
    return math.ceil((at + timedelta(seconds=beyond)).timestamp())


def _priority(value: bytes) -> int:
    return int(_matched(_PRIORITY, value)[0])


def _solicit(value: bytes) -> tuple[str, ...]:
    if len(value) > MAX_SOLICIT_OCTETS:
        raise ValueError(value)
    return tuple(_matched(_SOLICIT, value)[0].decode("ascii").lower().split(","))


def _submitter(value: bytes) -> None:
    """AUTH= of RFC 4954 section 5: xtext, of which ``<>`` is a case."""
    decode_xtext(value)


_NOTIFY = {notify.name: notify for notify in (Notify.SUCCESS, Notify.FAILURE, Notify.DELAY)}


def _notify(value: bytes) -> Notify:
    words = value.decode("ascii").upper().split(",")
    if words == ["NEVER"]:
        return Notify.NEVER
    wanted = Notify.NEVER
    for word in words:
        if word not in _NOTIFY:
            raise ValueError(word)
        wanted |= _NOTIFY[word]
    return wanted


def _orcpt(value: bytes) -> str:
    kind, _, address = value.partition(b";")
    if len(value) > MAX_ORCPT_OCTETS or not _ADDRESS_TYPE.match(kind):
        raise ValueError(value)
    address_type = kind.decode("ascii").lower()
    if address_type == "utf-8":  # RFC 6533 section 3
        text = decode_utf8_address(address)
        if _CONTROLS.search(text):
            raise ValueError(text)
    else:
        text = _printable(decode_xtext(address))
    return f"{address_type};{text}"


_SEVEN, _EIGHT, _BINARY = BodyKind.SEVEN_BIT, BodyKind.EIGHT_BIT, BodyKind.BINARY

SIZE = Parameter("SIZE", "size_octets", _size, "number of octets, at most 20 digits")
BODY = Parameter("BODY", "body", _body(_SEVEN, _EIGHT), "7BIT or 8BITMIME")
BODY_BINARY = Parameter(
    "BODY", "body", _body(_SEVEN, _EIGHT, _BINARY), "7BIT, 8BITMIME or BINARYMIME"
)
AUTH = Parameter("AUTH", "", _submitter, "address in xtext, or <>")
SMTPUTF8 = Parameter("SMTPUTF8", "smtputf8", _there, "")
RET = Parameter("RET", "ret", _ret, "FULL or HDRS")
ENVID = Parameter("ENVID", "envid", _envid, f"printable text in xtext, at most {MAX_ENVID}")
BY = Parameter("BY", "by", _by, "seconds;R or seconds;N, T may follow; R needs more than 0")
HOLDFOR = Parameter("HOLDFOR", "hold_s", _seconds, "seconds; or HOLDUNTIL, not both", once="HOLD")
HOLDUNTIL = Parameter(
    "HOLDUNTIL",
    "hold_until",
    _date_time,
    "date and time as in 2030-01-31T18:00:00Z; or HOLDFOR, not both",
    once="HOLD",
)
PRIORITY = Parameter("MT-PRIORITY", "priority", _priority, "a number from -9 to 9")
REQUIRETLS = Parameter("REQUIRETLS", "require_tls", _there, "")
SOLICIT = Parameter("SOLICIT", "solicit", _solicit, "keywords with commas between")

NOTIFY = Parameter("NOTIFY", "notify", _notify, "NEVER, or any of SUCCESS,FAILURE,DELAY")
ORCPT = Parameter(
    "ORCPT", "original", _orcpt, f"type;address in xtext, at most {MAX_ORCPT_OCTETS} octets"
)
