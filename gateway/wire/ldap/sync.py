"""What brings changes only: content synchronisation (RFC 4533), of which one refresh is asked for.

Owns the octets; cookies are the server's and are handed back as they came. What follows from the
changes is above (``directory``). LdapGarbage for octets that are not what they should be.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

from gateway.wire.ldap.ber import (
    BOOLEAN,
    ENUMERATED,
    OCTET_STRING,
    SEQUENCE,
    SET,
    LdapGarbage,
    boolean_at,
    expect,
    integer,
    integer_at,
    parts,
    tlv,
)
from gateway.wire.ldap.controls import value_of
from gateway.wire.ldap.messages import Control

SYNC_REQUEST = "1.3.6.1.4.1.4203.1.9.1.1"
SYNC_STATE = "1.3.6.1.4.1.4203.1.9.1.2"
SYNC_DONE = "1.3.6.1.4.1.4203.1.9.1.3"
SYNC_INFO = "1.3.6.1.4.1.4203.1.9.1.4"
REFRESH_REQUIRED = 4096
"""Result code e-syncRefreshRequired: the cookie is too old, begin anew (section 3.2)."""

_REFRESH_ONLY = 1
_ID_OCTETS = 16


class Change(IntEnum):
    """What an entry of the answer says (section 2.3)."""

    PRESENT = 0
    ADD = 1
    MODIFY = 2
    DELETE = 3


@dataclass(frozen=True, slots=True)
class SyncState:
    """Rides on each entry. ``entry_id`` is the entryUUID as 16 octets."""

    change: Change
    entry_id: bytes
    cookie: bytes | None = None


@dataclass(frozen=True, slots=True)
class SyncDone:
    """Rides on the end. ``deletes``: who was not named is still there (section 2.4)."""

    cookie: bytes | None = None
    deletes: bool = False


class SyncInfoKind(IntEnum):
    NEW_COOKIE = 0
    REFRESH_DELETE = 1
    REFRESH_PRESENT = 2
    ID_SET = 3


@dataclass(frozen=True, slots=True)
class SyncInfo:
    """Comes between entries (section 2.5).

    Args:
        flag: of the phases: the refresh is done; of an id set: its entries are deleted.
        entry_ids: of an id set, 16 octets each.
    """

    kind: SyncInfoKind
    cookie: bytes | None = None
    flag: bool = False
    entry_ids: tuple[bytes, ...] = ()


def sync_request(cookie: bytes | None = None) -> Control:
    """Section 2.2. Critical: without it a search would bring a listing that looks like changes."""
    contents = integer(_REFRESH_ONLY, ENUMERATED)
    if cookie is not None:
        contents += tlv(OCTET_STRING, cookie)
    return Control(SYNC_REQUEST, True, tlv(SEQUENCE, contents))


def sync_state(controls: Iterable[Control]) -> SyncState | None:
    """Of an entry; None: it came without one. Raises: LdapGarbage."""
    value = value_of(controls, SYNC_STATE)
    if value is None:
        return None
    start, end = expect(value, 0, len(value), SEQUENCE)
    first, at = expect(value, start, end, ENUMERATED)
    number = integer_at(value, first, at)
    if number not in Change.__members__.values():
        raise LdapGarbage(f"a sync state of kind {number}")
    first, at = expect(value, at, end, OCTET_STRING)
    entry_id = _entry_id(value, first, at)
    return SyncState(Change(number), entry_id, _cookie(value, at, end))


def sync_done(controls: Iterable[Control]) -> SyncDone | None:
    """Of the end of a search. Raises: LdapGarbage."""
    value = value_of(controls, SYNC_DONE)
    if value is None:
        return None
    start, end = expect(value, 0, len(value), SEQUENCE)
    return SyncDone(_cookie(value, start, end), _flag(value, start, end, default=False))


def sync_info(value: bytes) -> SyncInfo:
    """The value of an intermediate response named SYNC_INFO. Raises: LdapGarbage."""
    found = parts(value, 0, len(value))
    if len(found) != 1:
        raise LdapGarbage("sync info that is not one element")
    tag, start, end = found[0]
    if tag == 0x80:
        return SyncInfo(SyncInfoKind.NEW_COOKIE, value[start:end])
    if tag not in (0xA1, 0xA2, 0xA3):
        raise LdapGarbage(f"sync info with tag {tag:02x}")
    kind = SyncInfoKind(tag & 0x0F)
    cookie = _cookie(value, start, end)
    if kind is not SyncInfoKind.ID_SET:
        # refreshDone BOOLEAN DEFAULT TRUE
        return SyncInfo(kind, cookie, _flag(value, start, end, default=True))
    entry_ids: list[bytes] = []
    for tag, first, stop in parts(value, start, end):
        if tag == SET:
            entry_ids += [_entry_id(value, at, to) for _, at, to in parts(value, first, stop)]
    return SyncInfo(kind, cookie, _flag(value, start, end, default=False), tuple(entry_ids))


def _entry_id(value: bytes, start: int, stop: int) -> bytes:
    """syncUUID ::= OCTET STRING (SIZE(16))"""
    if stop - start != _ID_OCTETS:
        raise LdapGarbage(f"an entryUUID of {stop - start} octets")
    return value[start:stop]


def _cookie(value: bytes, start: int, end: int) -> bytes | None:
    for tag, first, stop in parts(value, start, end):
        if tag == OCTET_STRING:
            return value[first:stop]
    return None


def _flag(value: bytes, start: int, end: int, *, default: bool) -> bool:
    for tag, first, stop in parts(value, start, end):
        if tag == BOOLEAN:
            return boolean_at(value, first, stop)
    return default
