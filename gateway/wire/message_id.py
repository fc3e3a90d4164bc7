"""The Message-ID of a message, for finding it again. Owns no grammar: what stands in the field is
taken as it is, and only looked for, never trusted.

Limits: the first LOOKED_AT octets of a message.
"""

from __future__ import annotations

LOOKED_AT = 16_384
MAX_OCTETS = 998
# As programs write it; other spellings are found by folding the whole header.
_SPELLINGS = (b"\nMessage-ID:", b"\nMessage-Id:")
_FOLDED = b"\nmessage-id:"


def message_id_in(start: bytes) -> str:
    """What the header of a message with this start says, without blanks; empty if it says
    nothing."""
    end = start.find(b"\r\n\r\n")
    header = b"\n" + (start if end < 0 else start[: end + 2])
    for spelling in _SPELLINGS:
        at = header.find(spelling)
        if at >= 0:
            break
    else:
        at = header.lower().find(_FOLDED)
        if at < 0:
            return ""
    value = header[at + len(_FOLDED) : at + len(_FOLDED) + MAX_OCTETS]
    # RFC 5322 section 2.2.3: the field goes on in lines that begin with a blank.
    first, *others = value.split(b"\r\n")
    for line in others:
        if not line.startswith((b" ", b"\t")):
            break
        first += line
    return b"".join(first.split()).decode("utf-8", "replace")
