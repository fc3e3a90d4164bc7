"""Responses out of octets (RFC 4511 section 4), however the octets are cut.

Owns the bounds of what may wait to be complete. Whatever comes is a message or garbage, and behind
garbage nothing is read any more, as nobody knows where the next message begins. The time taken
grows with the octets alone (SECURITY F4).

Limits: one message at most as long as the reader is told; nothing is kept but one that is not
complete.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from gateway.wire.ldap.ber import (
    BOOLEAN,
    ENUMERATED,
    INTEGER,
    MAX_LENGTH_OCTETS,
    OCTET_STRING,
    SEQUENCE,
    SET,
    LdapGarbage,
    boolean_at,
    expect,
    integer_at,
    part_at,
    parts,
    text_at,
)
from gateway.wire.ldap.messages import (
    BindResponse,
    Control,
    ExtendedResponse,
    IntermediateResponse,
    Received,
    Response,
    Result,
    SearchDone,
    SearchEntry,
    SearchReference,
    UnknownResponse,
)

_CONTROLS = 0xA0
_MOST_ID = 2**31 - 1
_WORDS_CHARACTERS = 500
_KEPT_NAMES = 1024
_KEPT_NAME_OCTETS = 64
_MOST_REFERRALS = 20


class Reader:
    """Takes octets as they arrive.

    Args:
        message_limit_octets: what one message may have.
    """

    def __init__(self, message_limit_octets: int) -> None:
        self._limit = message_limit_octets
        self._waiting = bytearray()
        self._needed = 0
        self.garbage: LdapGarbage | None = None
        """Why nothing is read any more."""

    @property
    def waiting_octets(self) -> int:
        """Of a message that is not complete."""
        return len(self._waiting)

    def feed(self, data: bytes) -> list[Received]:
        """The messages that are complete now. After garbage there are no more: see ``garbage``."""
        if self.garbage is not None:
            return []
        if self._waiting:
            self._waiting += data
            if len(self._waiting) < self._needed:
                return []
            data = bytes(self._waiting)
            self._waiting = bytearray()
        found: list[Received] = []
        at, end = 0, len(data)
        try:
            while at < end:
                stop = self._message_end(data, at, end)
                if stop > end:
                    # What is left is shorter than this data: each octet moves here once.
                    self._waiting += data[at:]
                    self._needed = stop - at
                    break
                found.append(read_message(data, at, stop))
                at = stop
        except LdapGarbage as garbage:
            self.garbage = garbage
        return found

    def _message_end(self, data: bytes, at: int, end: int) -> int:
        """Where the message ends; beyond ``end`` as far as it is known if octets are missing."""
        if data[at] != SEQUENCE:
            raise LdapGarbage(f"no LDAP message: {data[at : at + 12].hex(' ')}")
        if at + 2 > end:
            return at + 2
        length = data[at + 1]
        start = at + 2
        if length >= 0x80:
            size = length & 0x7F
            start += size
            if not 0 < size <= MAX_LENGTH_OCTETS:
                raise LdapGarbage(f"no LDAP message: {data[at : at + 12].hex(' ')}")
            if start > end:
                return start
            length = int.from_bytes(data[start - size : start], "big")
        if length > self._limit:
            raise LdapGarbage(f"a message of {length} octets; at most {self._limit} are taken")
        return start + length


def read_message(data: bytes, at: int, stop: int) -> Received:
    """The message that fills the octets from ``at`` to ``stop``. Raises: LdapGarbage."""
    size = stop - at
    at, end = expect(data, at, stop, SEQUENCE)
    start, at = expect(data, at, end, INTEGER)
    message_id = integer_at(data, start, at)
    if not 0 <= message_id <= _MOST_ID:
        raise LdapGarbage(f"message number {message_id}")
    tag, start, at = part_at(data, at, end)
    reader = _READERS.get(tag)
    response = UnknownResponse(tag) if reader is None else reader(data, start, at)
    controls: tuple[Control, ...] = ()
    while at < end:
        # Section 4: implementations ignore what later versions add behind the known fields.
        tag, start, at = part_at(data, at, end)
        if tag == _CONTROLS:
            controls = tuple(_control(data, *part) for part in parts(data, start, at))
    return Received(message_id, response, controls, size)


def _control(data: bytes, tag: int, start: int, stop: int) -> Control:
    if tag != SEQUENCE:
        raise LdapGarbage(f"a control with tag {tag:02x}")
    first, at = expect(data, start, stop, OCTET_STRING)
    oid = text_at(data, first, at)
    critical, value = False, None
    for tag, start, end in parts(data, at, stop):
        if tag == BOOLEAN:
            critical = boolean_at(data, start, end)
        elif tag == OCTET_STRING:
            value = data[start:end]
    return Control(oid, critical, value)


# --- responses -----------------------------------------------------------------------------------


def _entry(data: bytes, at: int, end: int) -> SearchEntry:
    """SearchResultEntry (section 4.5.2)."""
    start, at = expect(data, at, end, OCTET_STRING)
    dn = text_at(data, start, at)
    at, end = expect(data, at, end, SEQUENCE)
    attributes: dict[str, tuple[bytes, ...]] = {}
    while at < end:
        start, stop = expect(data, at, end, SEQUENCE)
        first, behind = expect(data, start, stop, OCTET_STRING)
        name = _attribute(data[first:behind])
        at, last = expect(data, behind, stop, SET)
        values = []
        while at < last:
            first = at + 2
            # Nearly all values are short; for others, and for what is none, there is ``expect``.
            if data[at] == OCTET_STRING and first <= last and data[at + 1] < 0x80:
                at = first + data[at + 1]
            if at > last or at < first:
                first, at = expect(data, first - 2, last, OCTET_STRING)
            values.append(data[first:at])
        # A name is not repeated (section 4.1.7); whoever does it all the same loses no values.
        attributes[name] = (*attributes[name], *values) if name in attributes else tuple(values)
        at = stop
    return SearchEntry(dn, attributes)


def _attribute(octets: bytes) -> str:
    if len(octets) > _KEPT_NAME_OCTETS:
        return text_at(octets, 0, len(octets)).lower()
    return _kept_name(octets)


@lru_cache(_KEPT_NAMES)
def _kept_name(octets: bytes) -> str:
    """A listing has the same few names a hundred thousand times."""
    return text_at(octets, 0, len(octets)).lower()


def _result(data: bytes, at: int, end: int) -> tuple[Result, list[tuple[int, int, int]]]:
    """LDAPResult (section 4.1.9), and the elements behind it."""
    start, at = expect(data, at, end, ENUMERATED)
    code = integer_at(data, start, at)
    start, at = expect(data, at, end, OCTET_STRING)
    matched = _words(data, start, at)
    start, at = expect(data, at, end, OCTET_STRING)
    diagnostic = _words(data, start, at).rstrip("\0\r\n ")  # Active Directory ends it with a NUL
    if at == end:
        return Result(code, matched, diagnostic), []
    rest = parts(data, at, end)
    referrals: tuple[str, ...] = ()
    if rest[0][0] == 0xA3:
        referrals = _uris(data, *rest[0][1:])
    return Result(code, matched, diagnostic, referrals), rest


def _words(data: bytes, start: int, stop: int) -> str:
    """For people; nothing depends on it."""
    text = str(data[start : min(stop, start + 4 * _WORDS_CHARACTERS)], "utf-8", "replace")
    return text[:_WORDS_CHARACTERS]


def _uris(data: bytes, start: int, stop: int) -> tuple[str, ...]:
    found = parts(data, start, stop)[:_MOST_REFERRALS]
    return tuple(_words(data, first, last) for _, first, last in found)


def _bind_response(data: bytes, start: int, stop: int) -> BindResponse:
    result, rest = _result(data, start, stop)
    return BindResponse(result, _part(data, rest, 0x87))


def _extended_response(data: bytes, start: int, stop: int) -> ExtendedResponse:
    result, rest = _result(data, start, stop)
    oid = _part(data, rest, 0x8A) or b""
    return ExtendedResponse(result, str(oid, "ascii", "replace"), _part(data, rest, 0x8B))


def _part(data: bytes, rest: list[tuple[int, int, int]], wanted: int) -> bytes | None:
    for tag, start, stop in rest:
        if tag == wanted:
            return data[start:stop]
    return None


def _done(data: bytes, start: int, stop: int) -> SearchDone:
    return SearchDone(_result(data, start, stop)[0])


def _reference(data: bytes, start: int, stop: int) -> SearchReference:
    return SearchReference(_uris(data, start, stop))


def _intermediate(data: bytes, start: int, stop: int) -> IntermediateResponse:
    rest = parts(data, start, stop)
    oid = _part(data, rest, 0x80) or b""
    return IntermediateResponse(str(oid, "ascii", "replace"), _part(data, rest, 0x81))


_READERS: dict[int, Callable[[bytes, int, int], Response]] = {
    0x61: _bind_response,
    0x64: _entry,
    0x65: _done,
    0x73: _reference,
    0x78: _extended_response,
    0x79: _intermediate,
}
