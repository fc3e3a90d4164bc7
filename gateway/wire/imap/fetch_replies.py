"""FETCH responses as octets (RFC 3501 section 7.4.2).

Owns how items stand in a reply. Items are rendered one by one and joined; a long section can be
sent in pieces between ``opening`` and ``CLOSING``, since its length is announced before it. Lines
that only tell flags have a path of their own: they come by the hundred thousand.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from gateway.core.messages import Flags
from gateway.wire.imap import dates
from gateway.wire.imap.replies import flag_list

CLOSING = b")\r\n"


def fetch_line(seq: int, items: Sequence[bytes]) -> bytes:
    """One whole response of rendered items."""
    return b"* %d FETCH (%b)\r\n" % (seq, b" ".join(items))


def opening(seq: int) -> bytes:
    """The start of a response that is sent in pieces; items follow with a space between."""
    return b"* %d FETCH (" % seq


def uid(value: int) -> bytes:
    return b"UID %d" % value


def flags(value: Flags, *, recent: bool = False) -> bytes:
    return b"FLAGS " + flag_list(value, recent=recent)


def internal_date(time: int) -> bytes:
    return b"INTERNALDATE " + dates.render_date_time(time)


def size(octets: int) -> bytes:
    return b"RFC822.SIZE %d" % octets


def envelope(rendered: bytes) -> bytes:
    """``rendered`` is ``MessageSummary.envelope``; the next two likewise."""
    return b"ENVELOPE " + rendered


def body(rendered: bytes) -> bytes:
    return b"BODY " + rendered


def body_structure(rendered: bytes) -> bytes:
    return b"BODYSTRUCTURE " + rendered


def section_head(label: bytes, size_octets: int) -> bytes:
    """``BODY[...] {n}`` and CRLF; exactly so many octets follow.

    Always a literal: whatever the octets are, they cannot end it early.
    """
    return b"%b {%d}\r\n" % (label, size_octets)


def section(label: bytes, octets: bytes) -> bytes:
    """A section in one piece. Args: label: ``BodySection.label``."""
    return b"%b {%d}\r\n%b" % (label, len(octets), octets)


def no_section(label: bytes) -> bytes:
    """A part that the message does not have."""
    return label + b" NIL"


def flag_lines(rows: Iterable[tuple[int, int | None, Flags, bool]]) -> bytes:
    """Responses that hold nothing but FLAGS and, where it is not None, UID.

    Args:
        rows: sequence number, UID or None, flags, whether \\Recent.
    """
    plain: dict[Flags, bytes] = {}
    with_recent: dict[Flags, bytes] = {}
    lines: list[bytes] = []
    add = lines.append
    for seq, uid_value, value, recent in rows:
        known = with_recent if recent else plain
        rendered = known.get(value)
        if rendered is None:
            rendered = known[value] = flag_list(value, recent=recent)
        if uid_value is None:
            add(b"* %d FETCH (FLAGS %b)\r\n" % (seq, rendered))
        else:
            add(b"* %d FETCH (UID %d FLAGS %b)\r\n" % (seq, uid_value, rendered))
    return b"".join(lines)
