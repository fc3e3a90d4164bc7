"""The part of BER that LDAP uses (RFC 4511 section 5.1; X.690): definite lengths, low tag numbers.

Owns the exact bounds: whatever is read lies within what holds it. Nothing here follows nesting by
itself, so octets cannot make it go deeper than the structure that a reader asks for. Lengths need
not be minimal (section 5.1 leaves that to BER; Active Directory always takes four octets).

Limits: MAX_LENGTH_OCTETS for a length, MAX_INTEGER_OCTETS for an INTEGER, tag numbers below 31.
"""

from __future__ import annotations

from gateway.core.log_text import shown

BOOLEAN, INTEGER, OCTET_STRING, ENUMERATED = 0x01, 0x02, 0x04, 0x0A
SEQUENCE, SET = 0x30, 0x31

MAX_LENGTH_OCTETS = 8
MAX_INTEGER_OCTETS = 8

_SHORT = tuple(bytes([length]) for length in range(0x80))


class LdapGarbage(Exception):
    """Octets that are no LDAP message. The text says what was found and is fit for a log."""


Part = tuple[int, int, int]
"""A tag's octet, and where the contents begin and end."""


# --- writing -------------------------------------------------------------------------------------


def length_of(octets: int) -> bytes:
    """The octets of a length."""
    if octets < 0x80:
        return _SHORT[octets]
    if octets < 0x100:
        return b"\x81" + octets.to_bytes(1, "big")
    if octets < 0x10000:
        return b"\x82" + octets.to_bytes(2, "big")
    size = (octets.bit_length() + 7) // 8
    return bytes([0x80 | size]) + octets.to_bytes(size, "big")


def tlv(tag: int, contents: bytes) -> bytes:
    return b"%c%b%b" % (tag, length_of(len(contents)), contents)


def integer(value: int, tag: int = INTEGER) -> bytes:
    """INTEGER or ENUMERATED in two's complement (X.690 section 8.3)."""
    if 0 <= value < 0x80:
        return b"%c\x01%c" % (tag, value)
    return tlv(tag, value.to_bytes((value + (value < 0)).bit_length() // 8 + 1, "big", signed=True))


def boolean(value: bool, tag: int = BOOLEAN) -> bytes:
    """Section 5.1: TRUE is FF."""
    return b"%c\x01%c" % (tag, 0xFF if value else 0)


# --- reading -------------------------------------------------------------------------------------


def part_at(data: bytes, at: int, end: int) -> Part:
    """The element that begins at ``at``.

    Raises:
        LdapGarbage: there is none, or it does not end by ``end``.
    """
    start = at + 2
    if start > end:
        raise LdapGarbage(f"the octets end within a tag or length: {_around(data, at)}")
    tag = data[at]
    if tag & 0x1F == 0x1F:
        raise LdapGarbage(f"a tag of several octets: {_around(data, at)}")
    length = data[at + 1]
    if length >= 0x80:
        size = length & 0x7F
        if not 0 < size <= MAX_LENGTH_OCTETS:
            # Section 5.1 (1): only the definite form of length encoding is used.
            raise LdapGarbage(f"a length of a form that LDAP does not use: {_around(data, at)}")
        start += size
        if start > end:
            raise LdapGarbage(f"the octets end within a length: {_around(data, at)}")
        length = int.from_bytes(data[start - size : start], "big")
    stop = start + length
    if stop > end:
        raise LdapGarbage(f"an element longer than what holds it: {_around(data, at)}")
    return tag, start, stop


def expect(data: bytes, at: int, end: int, tag: int) -> tuple[int, int]:
    """Where the contents of the element at ``at`` begin and end; it must have this tag.

    Raises: LdapGarbage.
    """
    found, start, stop = part_at(data, at, end)
    if found != tag:
        raise LdapGarbage(f"tag {tag:02x} expected: {_around(data, at)}")
    return start, stop


def parts(data: bytes, start: int, stop: int) -> list[Part]:
    """All elements between; they fill it exactly. Raises: LdapGarbage."""
    found = []
    while start < stop:
        part = part_at(data, start, stop)
        found.append(part)
        start = part[2]
    return found


def integer_at(data: bytes, start: int, stop: int) -> int:
    """The contents of an INTEGER or ENUMERATED. Raises: LdapGarbage."""
    if not 0 < stop - start <= MAX_INTEGER_OCTETS:
        raise LdapGarbage(f"an INTEGER of {stop - start} octets")
    return int.from_bytes(data[start:stop], "big", signed=True)


def boolean_at(data: bytes, start: int, stop: int) -> bool:
    """Any octet but 0 is TRUE (X.690 section 8.2). Raises: LdapGarbage."""
    if stop - start != 1:
        raise LdapGarbage(f"a BOOLEAN of {stop - start} octets")
    return data[start] != 0


def text_at(data: bytes, start: int, stop: int) -> str:
    """An LDAPString (section 4.1.2) that must be read exactly. Raises: LdapGarbage."""
    try:
        return str(data[start:stop], "utf-8")
    except UnicodeDecodeError:
        raise LdapGarbage(f"not UTF-8: {shown(data[start:stop])}") from None


def _around(data: bytes, at: int) -> str:
    return f"{data[at : at + 12].hex(' ')} at octet {at}" if at < len(data) else "nothing"
