"""Search keys as values (RFC 3501 section 6.4.4). Parsed in ``wire.imap``, evaluated in ``store``.

Sequence numbers never get here: a door translates them to UIDs first. Depth is bounded by the
parser (SECURITY I6), so evaluation may recurse.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from gateway.core.uidset import Ranges


@dataclass(frozen=True, slots=True)
class All:
    """Every message."""


@dataclass(frozen=True, slots=True)
class UidIn:
    """Messages whose UID lies in the ranges."""

    ranges: Ranges


@dataclass(frozen=True, slots=True)
class HasFlag:
    """Messages that carry (or, negated by Not, lack) a flag or keyword."""

    flag: str


@dataclass(frozen=True, slots=True)
class SizeIs:
    """LARGER (``>``) or SMALLER (``<``) than n octets."""

    comparison: Literal["<", ">"]
    octets: int


@dataclass(frozen=True, slots=True)
class DateIs:
    """BEFORE, ON, SINCE and their SENT forms, comparing dates without time or zone.

    ``day`` is a proleptic ordinal (``datetime.date.toordinal``). ``field`` tells whether the
    internal date or the Date header counts.
    """

    field: Literal["internal", "sent"]
    comparison: Literal["<", "=", ">="]
    day: int


@dataclass(frozen=True, slots=True)
class HeaderHas:
    """A header field, decoded, contains the text, ignoring case; empty text: the field exists."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class TextHas:
    """The decoded body (BODY) or header and body (TEXT) contain the text, ignoring case."""

    text: str
    with_header: bool


@dataclass(frozen=True, slots=True)
class Not:
    key: SearchKey


@dataclass(frozen=True, slots=True)
class And:
    keys: tuple[SearchKey, ...]


@dataclass(frozen=True, slots=True)
class Or:
    left: SearchKey
    right: SearchKey


SearchKey = All | UidIn | HasFlag | SizeIs | DateIs | HeaderHas | TextHas | Not | And | Or
