"""The Message-ID of a message, for finding it again, and the classes of mail that it says it is of.

Owns no grammar: what stands in a field is taken as it is, and only looked for, never trusted.

Limits: the first LOOKED_AT octets of a message.
"""

from __future__ import annotations

LOOKED_AT = 16_384
MAX_OCTETS = 998
# As programs write it; other spellings are found by folding the whole header.
_SPELLINGS = (b"\r\nMessage-ID:", b"\r\nMessage-Id:")
_FOLDED = b"\r\nmessage-id:"


def message_id_in(start: bytes) -> str:
    """What the header of a message with this start says, without blanks; empty if it says
    nothing."""
    if start.startswith(b"\r\n"):
        return ""  # no header at all
    end = start.find(b"\r\n\r\n")
    if end < 0:
        end = len(start)
    for spelling in _SPELLINGS:
        at = start.find(spelling, 0, end)
        if at >= 0:
            return _value(start, at + len(spelling), end)
    return _folded_value(start, _FOLDED, end)


def solicitation_in(start: bytes) -> tuple[str, ...]:
    """The classes of solicitation that a message says it is of (RFC 3865 section 2.5), lower
    case."""
    end = start.find(b"\r\n\r\n")
    said = _folded_value(start, b"\r\nsolicitation:", end if end >= 0 else len(start))
    return tuple(filter(None, said.lower().split(",")))


def _folded_value(start: bytes, name: bytes, end: int) -> str:
    """Of the field of this name, however its letters are written."""
    header = b"\r\n" + start[:end].lower()  # the first field has no line before it
    at = header.find(name)
    return _value(start, at + len(name) - 2, end) if at >= 0 else ""


def _value(start: bytes, begin: int, end: int) -> str:
    end = min(end, begin + MAX_OCTETS)
    line_end = start.find(b"\r\n", begin, end)
    # RFC 5322 section 2.2.3: the field goes on in lines that begin with a blank.
    while line_end >= 0 and start[line_end + 2 : line_end + 3] in (b" ", b"\t"):
        line_end = start.find(b"\r\n", line_end + 2, end)
    value = start[begin : line_end if line_end >= 0 else end]
    return b"".join(value.split()).decode("utf-8", "replace")
