"""The sections of BODY[...] (RFC 3501 section 6.4.5): part paths to octets, header subsets.

Owns what HEADER, TEXT, MIME and part numbers mean; never reads more than offsets and header octets
it is given.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from gateway.core.messages import MessageSummary
from gateway.wire.mime.headers import ends_within, header_end, pick_fields

What = Literal["", "HEADER", "TEXT", "MIME"]


def span_of(summary: MessageSummary, path: tuple[int, ...], what: What) -> tuple[int, int] | None:
    """Offset and end of a section in the message, or None if the message has no such section.

    Args:
        path: part numbers as the client wrote them, 1-based; empty for the message itself.
        what: ``""`` is the part's body, or the whole message for the empty path.
    """
    key = ".".join(map(str, path))
    if what == "" or what == "MIME":
        span = summary.parts.get(key)
        if span is None:
            return None
        if not path:
            return (0, span.body_end) if what == "" else None  # MIME needs a part number
        if what == "MIME":
            return span.header_start, span.body_start
        return span.body_start, span.body_end
    # "The HEADER … and TEXT part specifiers … must be [prefixed by] a MESSAGE/RFC822 part"
    span = summary.parts.get(f"{key}.MSG" if path else "")
    if span is None:
        return None
    if what == "HEADER":
        return span.header_start, span.body_start
    return span.body_start, span.body_end


class FieldFilter:
    """HEADER.FIELDS and HEADER.FIELDS.NOT: the fields as they were sent, and the empty line.

    "Subsetting does not exclude the [RFC-2822] delimiting blank line" (RFC 3501 section 6.4.5): it
    is there when the header has one.

    Args:
        names: field names, any case.
        exclude: keep the fields that are not named.
    """

    __slots__ = ("_exclude", "_names")

    def __init__(self, names: Iterable[bytes], *, exclude: bool) -> None:
        self._names = frozenset(name.lower() for name in names)
        self._exclude = exclude

    def __call__(self, header: bytes) -> bytes:
        """What to send of the octets of a HEADER section."""
        return b"".join(pick_fields(header, self._names, exclude=self._exclude)[0])

    def of_start(self, start: bytes, *, whole: bool) -> bytes | None:
        """As ``header_of_start``, with the fields chosen on the way."""
        kept, end = pick_fields(start, self._names, exclude=self._exclude)
        return b"".join(kept) if whole or ends_within(start, end) else None


def header_of_start(start: bytes, *, whole: bool) -> bytes | None:
    """The header of a message, found in its first octets; None if they are too few to tell.

    The same octets as those of HEADER by ``span_of``, but without a summary.

    Args:
        whole: ``start`` is the whole message.
    """
    end = header_end(start)
    return start[:end] if whole or ends_within(start, end) else None
