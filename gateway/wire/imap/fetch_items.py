"""What FETCH can be asked for (RFC 3501 section 6.4.5), as values.

Macros (ALL, FAST, FULL) and the RFC822 forms are already translated by the parser; a repeated item
appears once.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class FetchAttribute(Enum):
    """Items without arguments; the value is the name in the reply."""

    FLAGS = b"FLAGS"
    ENVELOPE = b"ENVELOPE"
    INTERNALDATE = b"INTERNALDATE"
    RFC822_SIZE = b"RFC822.SIZE"
    BODY = b"BODY"  # the structure without extension data
    BODYSTRUCTURE = b"BODYSTRUCTURE"
    UID = b"UID"


class SectionText(Enum):
    """Which octets of a part: ``section-text`` of RFC 3501 section 9."""

    WHOLE = ""  # BODY[]: header and body of the message; BODY[1.2]: the part's body
    HEADER = "HEADER"
    HEADER_FIELDS = "HEADER.FIELDS"
    HEADER_FIELDS_NOT = "HEADER.FIELDS.NOT"
    TEXT = "TEXT"
    MIME = "MIME"


@dataclass(frozen=True, slots=True)
class BodySection:
    """BODY[...], BODY.PEEK[...], RFC822, RFC822.HEADER or RFC822.TEXT.

    Args:
        part: dotted part path as ``MessageSummary.parts`` knows it; empty for the message itself.
        what: which octets of the part.
        fields: names of header fields for the HEADER.FIELDS forms, as sent, without repeats.
        partial: first octet and most octets to send (at least 1), or None.
        peek: does not set \\Seen.
        label: the item's name in the reply, with ``<origin>`` for a partial one; ready to send.
    """

    part: str
    what: SectionText
    fields: tuple[str, ...]
    partial: tuple[int, int] | None
    peek: bool
    label: bytes


FetchItem = FetchAttribute | BodySection
