"""Pulls mailboxes from another IMAP server, the way a client reads them.

Owns in which portions messages are fetched. A message is known by UIDVALIDITY and UID, so a second
run asks for nothing twice. Nothing there is changed: mailboxes are opened read-only and bodies are
peeked at.

Memory: the UIDs of one folder, and PORTION_OCTETS of messages; a larger message comes in pieces.
A message on which the server fails ATTEMPTS times alone is given up; the rest goes on.
"""

from __future__ import annotations

import imaplib
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain

from gateway.core.messages import Flags
from gateway.core.uidset import from_sorted
from gateway.transfer.dovecot_uidlist import Listed, uidl_by
from gateway.transfer.imap_connection import (
    ATTEMPTS,
    LOST,
    ImapConnection,
    Refused,
)
from gateway.transfer.imap_folders import FolderListing, ImapOptions
from gateway.transfer.imap_replies import (
    Piece,
    ReplyNotUnderstood,
    Value,
    fetched,
    replies_of,
    words_of,
)
from gateway.transfer.octets import MAX_HEADER_OCTETS, header_date, with_crlf
from gateway.transfer.values import (
    MAX_MESSAGE_OCTETS,
    Item,
    Known,
    Message,
    MessageFailed,
    Opened,
    Rename,
    SourceFailed,
    SourceFolder,
    Trouble,
)
from gateway.wire.imap.dates import parse_date_time

NUMBERS_AT_ONCE = 2_000
DETAILS_AT_ONCE = 200
PORTION_MESSAGES = 100
PORTION_OCTETS = 2 * 1024 * 1024
PIECE_OCTETS = 1024 * 1024
MAX_UID = 2**32 - 1  # RFC 3501 section 9: nz-number

_DETAILS = "(UID FLAGS INTERNALDATE RFC822.SIZE)"


@dataclass(frozen=True, slots=True)
class _Details:
    uid: int
    flags: Flags
    internal_date: int | None
    size_octets: int


@dataclass(slots=True)
class _Numbers:
    """A folder's messages.

    Args:
        flags: by UID, if they were asked for; equal ones are one object.
        unnamed: messages to which the server gave no UID.
    """

    uids: Sequence[int] = ()
    flags: dict[int, Flags] = field(default_factory=dict)
    unnamed: int = 0


class ImapSource:
    """Keeps the port Source."""

    def __init__(
        self, connection: ImapConnection, origin: str, options: ImapOptions, rename: Rename
    ) -> None:
        self.origin = origin
        self._connection = connection
        self._options = options
        self._rename = rename
        self._wire_names: dict[str, bytes] = {}

    def close(self) -> None:
        self._connection.close()

    # -- folders

    def folders(self) -> Sequence[SourceFolder | Trouble]:
        self._connection.begin()
        listing = FolderListing(self._connection, self._options, self._rename)
        try:
            found = self._connection.patiently(listing.read)
        except (Refused, ReplyNotUnderstood, imaplib.IMAP4.error) as error:
            raise SourceFailed(f"the folders cannot be listed: {error}") from error
        self._wire_names = listing.wire_names
        return found

    # -- messages

    def open(
        self, folder: SourceFolder, known: frozenset[str], *, bodies: bool, flags: bool
    ) -> Opened:
        wire_name = self._wire_names[folder.folder]

        def look() -> tuple[int, int, _Numbers]:
            count, uid_validity, uid_next = self._connection.examine(wire_name)
            return uid_validity, uid_next, self._numbers(count, flags)

        try:
            uid_validity, uid_next, numbers = self._connection.patiently(look)
        except (Refused, ReplyNotUnderstood, imaplib.IMAP4.error) as error:
            raise MessageFailed(f"the folder cannot be read: {error}") from error
        uid_format = self._options.uidl_format if folder.folder.upper() == "INBOX" else ""
        return Opened(
            self._items(folder, numbers, uid_validity, known, bodies, uid_format),
            len(numbers.uids),
            uid_validity=uid_validity,
            uid_next=uid_next,
        )

    def _numbers(self, count: int, flags: bool) -> _Numbers:
        """All UIDs; by ranges, as the answer to SEARCH would be one line of any length."""
        found = _Numbers()
        uids = array("I")
        same: dict[Flags, Flags] = {}
        for first in range(1, count + 1, NUMBERS_AT_ONCE):
            last = min(count, first + NUMBERS_AT_ONCE - 1)
            items = "(UID FLAGS)" if flags else "(UID)"
            before = len(uids)
            for values in _replies(self._connection.fetch(f"{first}:{last}", items, by_uid=False)):
                uid = _number(values.get(b"UID"))
                if not 0 < uid <= MAX_UID:
                    continue
                uids.append(uid)
                if flags:
                    read = _flags(values.get(b"FLAGS"))
                    found.flags[uid] = same.setdefault(read, read)
            if len(uids) == before:
                break  # there are not so many after all
        found.uids = array("I", sorted(set(uids)))
        found.unnamed = count - len(found.uids)
        return found

    def _items(
        self,
        folder: SourceFolder,
        numbers: _Numbers,
        uid_validity: int,
        known: frozenset[str],
        bodies: bool,
        uidl_format: str,
    ) -> Iterator[Item]:
        if numbers.unnamed > 0:
            why = f"the server gives {numbers.unnamed:,} messages no UID of their own"
            yield Trouble(folder.folder, why, share=0)
        new = array("I")
        for uid in numbers.uids:
            if f"{uid_validity}.{uid}" in known:
                yield Known(uid, numbers.flags.get(uid))
            else:
                new.append(uid)
        for start in range(0, len(new), DETAILS_AT_ONCE):
            window = new[start : start + DETAILS_AT_ONCE]
            if not bodies:
                yield from (_planned(uid, uid_validity) for uid in window)
                continue
            details = self._details_of(window)
            found = [details[uid] for uid in window]
            yield from (one for one in found if isinstance(one, Trouble))
            for portion in _portions([one for one in found if isinstance(one, _Details)]):
                for one, octets in self._bodies(portion):
                    if isinstance(octets, Trouble):
                        yield octets
                        continue
                    try:
                        date, octets = _dated(one, octets)
                    except MessageFailed as error:
                        yield Trouble(f"UID {one.uid}", str(error))
                        continue
                    listed = Listed(one.uid)
                    yield Message(
                        f"{uid_validity}.{one.uid}",
                        one.flags,
                        date,
                        with_crlf(octets),
                        one.size_octets,
                        one.uid,
                        uidl_by(uidl_format, listed, uid_validity, "") if uidl_format else "",
                    )

    def _details_of(self, uids: Sequence[int]) -> dict[int, _Details | Trouble]:
        """Of each UID; together or, if the server fails on them, one by one."""
        try:
            found = self._details(uids)
        except MessageFailed as error:
            if len(uids) == 1:
                return {uids[0]: Trouble(f"UID {uids[0]}", str(error))}
            return {uid: self._details_of([uid])[uid] for uid in uids}
        gone = "it went away while the folder was read"
        return {uid: found.get(uid) or Trouble(f"UID {uid}", gone) for uid in uids}

    def _details(self, uids: Sequence[int]) -> dict[int, _Details]:
        found: dict[int, _Details] = {}
        for values in self._ask(uids, _DETAILS):
            uid = _number(values.get(b"UID"))
            size, date = values.get(b"RFC822.SIZE"), values.get(b"INTERNALDATE")
            if uid and isinstance(size, bytes):
                when = parse_date_time(date) if isinstance(date, bytes) else None
                found[uid] = _Details(uid, _flags(values.get(b"FLAGS")), when, _number(size))
        return found

    def _bodies(
        self, portion: Sequence[_Details]
    ) -> Iterator[tuple[_Details, Iterator[bytes] | Trouble]]:
        if len(portion) == 1 and portion[0].size_octets > PIECE_OCTETS:
            yield portion[0], self._pieces(portion[0])
            return
        for one, found in zip(portion, self._whole(portion), strict=True):
            yield one, found if isinstance(found, Trouble) else iter((found,))

    def _whole(self, portion: Sequence[_Details]) -> list[bytes | Trouble]:
        """Small messages, together or, if that fails, one by one."""
        try:
            found = {
                _number(values.get(b"UID")): values.get(b"BODY[]")
                for values in self._ask([one.uid for one in portion], "(UID BODY.PEEK[])")
                if b"BODY[]" in values
            }
        except MessageFailed as error:
            if len(portion) == 1:
                return [Trouble(f"UID {portion[0].uid}", str(error))]
            return [self._whole([one])[0] for one in portion]
        result: list[bytes | Trouble] = []
        for one in portion:
            octets = found.get(one.uid)
            if isinstance(octets, bytes):
                result.append(octets)
            else:
                result.append(Trouble(f"UID {one.uid}", "the server sent no octets of it"))
        return result

    def _pieces(self, one: _Details) -> Iterator[bytes]:
        offset = 0
        while True:
            items = f"(UID BODY.PEEK[]<{offset}.{PIECE_OCTETS}>)"
            name = b"BODY[]<%d>" % offset
            told = [values[name] for values in self._ask([one.uid], items) if name in values]
            piece = told[-1] if told else None
            if not isinstance(piece, bytes) and not (told and offset):
                raise MessageFailed("the server sent no octets of it")
            if not isinstance(piece, bytes) or not piece:
                return  # behind the end, where the message is shorter than the server had said
            yield piece
            offset += len(piece)
            if offset > MAX_MESSAGE_OCTETS:
                raise MessageFailed(f"the message has more than {MAX_MESSAGE_OCTETS:,} octets")
            # A server may send less than it was asked for; its sizes need not be true either.
            if len(piece) < PIECE_OCTETS and offset >= one.size_octets:
                return

    def _ask(self, uids: Sequence[int], items: str) -> list[dict[bytes, Value]]:
        """Raises: MessageFailed (the server fails on these), SourceFailed."""
        ranges = from_sorted(uids)
        numbers = ",".join(f"{low}:{high}" if low < high else f"{low}" for low, high in ranges)
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return list(_replies(self._connection.fetch(numbers, items, by_uid=True)))
            except LOST as error:
                self._connection.reconnect()
                failure: Exception = error
            except (Refused, ReplyNotUnderstood, imaplib.IMAP4.error) as error:
                failure = error
                if len(uids) > 1 or attempt == ATTEMPTS:
                    break
        raise MessageFailed(f"the server fails on it: {failure}")


def _replies(data: Sequence[Piece | None]) -> Iterator[dict[bytes, Value]]:
    for reply in replies_of(data):
        yield fetched(reply)


def _portions(details: Sequence[_Details]) -> Iterator[list[_Details]]:
    portion: list[_Details] = []
    octets = 0
    for one in details:
        if portion and (
            octets + one.size_octets > PORTION_OCTETS or len(portion) >= PORTION_MESSAGES
        ):
            yield portion
            portion, octets = [], 0
        if one.size_octets > PIECE_OCTETS:
            if portion:
                yield portion
                portion, octets = [], 0
            yield [one]
            continue
        portion.append(one)
        octets += one.size_octets
    if portion:
        yield portion


def _dated(one: _Details, octets: Iterator[bytes]) -> tuple[int, Iterator[bytes]]:
    """When it came, by its header if the server does not tell. Raises: MessageFailed."""
    if one.internal_date is not None:
        return one.internal_date, octets
    first = next(octets, b"")
    return header_date(first[:MAX_HEADER_OCTETS]) or 0, chain((first,), octets)


def _planned(uid: int, uid_validity: int) -> Message:
    return Message(f"{uid_validity}.{uid}", frozenset(), 0, (), 0, uid)


def _number(value: Value) -> int:
    return int(value) if isinstance(value, bytes) and value.isdigit() and len(value) < 12 else 0


def _flags(value: Value) -> Flags:
    return Flags(flag for flag in words_of(value) if flag.casefold() != "\\recent")
