"""The sections of BODY[...] (RFC 3501 section 6.4.5): part paths to octets, header subsets.

Owns what HEADER, TEXT, MIME and part numbers mean; never reads more than offsets and header octets
it is given.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from gateway.core.messages import MessageSummary
from gateway.wire.mime.headers import iter_fields

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


def filter_fields(header: bytes, names: Sequence[bytes], *, exclude: bool) -> bytes:
    """HEADER.FIELDS and HEADER.FIELDS.NOT: the fields as they were sent, and the empty line.

    "Subsetting does not exclude the [RFC-2822] delimiting blank line" (RFC 3501 section 6.4.5): it
    is there when the header has one.

    Args:
        header: octets of a HEADER section.
        names: field names, any case.
        exclude: keep the fields that are not named.
    """
    wanted = {name.lower() for name in names}
    kept = [
        header[field.start : field.end]
        for field in iter_fields(header)
        if (field.name in wanted) is not exclude
    ]
    if header.endswith(b"\n\r\n") or header == b"\r\n":
        kept.append(b"\r\n")
    elif header.endswith(b"\n\n") or header == b"\n":
        kept.append(b"\n")
    return b"".join(kept)
