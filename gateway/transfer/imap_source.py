"""Pulls mailboxes from another IMAP server, the way a client reads them.

Owns which folders there are and what they are called here, and in which portions messages are
fetched. A message is known by UIDVALIDITY and UID, so a second run asks for nothing twice. Nothing
there is changed: mailboxes are opened read-only and bodies are peeked at.

Memory: the UIDs of one folder, and PORTION_OCTETS of messages; a larger message comes in pieces.
A message on which the server fails REFUSALS times alone is given up; the rest goes on.
"""

from __future__ import annotations

import imaplib
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gateway.core.messages import Flags
from gateway.core.uidset import from_sorted
from gateway.transfer.dovecot_uidlist import Listed, uidl_by
from gateway.transfer.imap_connection import LOST, ImapConnection, Refused
from gateway.transfer.imap_replies import (
    Piece,
    ReplyNotUnderstood,
    Value,
    fetched,
    replies_of,
    values_of,
    words_of,
)
from gateway.transfer.names import BY_SPECIAL_USE, decoded, fitted
from gateway.transfer.octets import with_crlf
from gateway.transfer.values import (
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
REFUSALS = 5

_DETAILS = "(UID FLAGS INTERNALDATE RFC822.SIZE)"
_NO_MAILBOX = frozenset({"\\noselect", "\\nonexistent"})


@dataclass(frozen=True, slots=True)
class ImapOptions:
    """What an administrator wants of the old server.

    Args:
        uidl_format: what its POP3 called messages of INBOX, as Dovecot's ``pop3_uidl_format``.
        skip: folders to leave out, by their names there, with all below them.
        shared: also take what belongs to others or to all.
    """

    uidl_format: str = ""
    skip: tuple[str, ...] = ()
    shared: bool = False


@dataclass(frozen=True, slots=True)
class _Details:
    uid: int
    flags: Flags
    internal_date: int
    size_octets: int


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
        connection = self._connection
        connection.begin()
        try:
            return connection.patiently(self._list)
        except (Refused, ReplyNotUnderstood, imaplib.IMAP4.error) as error:
            raise SourceFailed(f"the folders cannot be listed: {error}") from error

    def _list(self) -> list[SourceFolder | Trouble]:
        mine, others = self._namespaces()
        subscribed = {name for name, _, _ in self._listed("LSUB")}
        found: list[SourceFolder | Trouble] = []
        for wire_name, separator, attributes in self._listed("LIST"):
            name = decoded(wire_name.decode("utf-8", "surrogateescape"))
            if not name.isprintable():
                found.append(Trouble(ascii(name), "a name with control characters"))
                continue
            levels = name.split(separator) if separator else [name]
            if attributes & _NO_MAILBOX or self._is_unwanted(name, separator, others):
                continue
            special = next((BY_SPECIAL_USE[use] for use in attributes if use in BY_SPECIAL_USE), "")
            below_prefix = _without(levels, mine, separator)
            here = self._rename(special or fitted(below_prefix))
            self._wire_names[name] = wire_name
            found.append(SourceFolder(name, here, wire_name in subscribed))
        # INBOX first: it is what people wait for.
        return sorted(found, key=lambda one: isinstance(one, SourceFolder) and one.name != "INBOX")

    def _namespaces(self) -> tuple[list[str], list[str]]:
        """Prefixes of the person's own folders and of all others (RFC 2342)."""
        if not self._connection.has("NAMESPACE"):
            return [], []
        kinds: list[list[str]] = [[], [], []]
        for reply in replies_of(self._connection.namespace()):
            for prefixes, value in zip(kinds, values_of(reply), strict=False):
                prefixes += [
                    decoded(one[0].decode("utf-8", "surrogateescape"))
                    for one in (value if isinstance(value, list) else [])
                    if isinstance(one, list) and one and isinstance(one[0], bytes) and one[0]
                ]
        return kinds[0], kinds[1] + kinds[2]

    def _listed(self, what: str) -> Iterator[tuple[bytes, str, frozenset[str]]]:
        """Name, separator and folded attributes of each line."""
        for reply in replies_of(self._connection.list("LSUB" if what == "LSUB" else "LIST")):
            attributes, separator, *name = values_of(reply)
            words = [word for word in name if isinstance(word, bytes)]
            yield (
                b"".join(words),
                separator.decode("ascii", "replace") if isinstance(separator, bytes) else "",
                frozenset(word.casefold() for word in words_of(attributes)),
            )

    def _is_unwanted(self, name: str, separator: str, others: Sequence[str]) -> bool:
        if not self._options.shared and any(
            name == prefix.rstrip(separator or "/") or name.startswith(prefix) for prefix in others
        ):
            return True
        return any(
            name == skipped or (separator and name.startswith(skipped + separator))
            for skipped in self._options.skip
        )

    # -- messages

    def open(
        self, folder: SourceFolder, known: frozenset[str], *, bodies: bool, flags: bool
    ) -> Opened:
        wire_name = self._wire_names[folder.folder]

        def look() -> tuple[int, int, dict[int, Flags | None]]:
            count, uid_validity, uid_next = self._connection.examine(wire_name)
            return uid_validity, uid_next, self._numbers(count, flags)

        try:
            uid_validity, uid_next, numbers = self._connection.patiently(look)
        except (Refused, ReplyNotUnderstood, imaplib.IMAP4.error) as error:
            raise MessageFailed(f"the folder cannot be read: {error}") from error
        uid_format = self._options.uidl_format if folder.folder.upper() == "INBOX" else ""
        return Opened(
            self._items(numbers, uid_validity, known, bodies, uid_format),
            len(numbers),
            uid_validity=uid_validity,
            uid_next=uid_next,
        )

    def _numbers(self, count: int, flags: bool) -> dict[int, Flags | None]:
        """All UIDs; by ranges, as the answer to SEARCH would be one line of any length."""
        found: dict[int, Flags | None] = {}
        for first in range(1, count + 1, NUMBERS_AT_ONCE):
            last = min(count, first + NUMBERS_AT_ONCE - 1)
            items = "(UID FLAGS)" if flags else "(UID)"
            for values in _replies(self._connection.fetch(f"{first}:{last}", items, by_uid=False)):
                uid = _number(values.get(b"UID"))
                if uid:
                    found[uid] = _flags(values.get(b"FLAGS")) if flags else None
        return found

    def _items(
        self,
        numbers: dict[int, Flags | None],
        uid_validity: int,
        known: frozenset[str],
        bodies: bool,
        uidl_format: str,
    ) -> Iterator[Item]:
        new = array("I")
        for uid in sorted(numbers):
            if f"{uid_validity}.{uid}" in known:
                yield Known(uid, numbers[uid])
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
                    listed = Listed(one.uid)
                    yield Message(
                        f"{uid_validity}.{one.uid}",
                        one.flags,
                        one.internal_date,
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
                found[uid] = _Details(uid, _flags(values.get(b"FLAGS")), when or 0, _number(size))
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
            piece: Value = None
            for values in self._ask([one.uid], items):
                piece = values.get(name, piece)
            if not isinstance(piece, bytes):
                raise MessageFailed("the server sent no octets of it")
            yield piece
            offset += len(piece)
            if len(piece) < PIECE_OCTETS:
                return

    def _ask(self, uids: Sequence[int], items: str) -> list[dict[bytes, Value]]:
        """Raises: MessageFailed (the server fails on these), SourceFailed."""
        ranges = from_sorted(uids)
        numbers = ",".join(f"{low}:{high}" if low < high else f"{low}" for low, high in ranges)
        for attempt in range(1, REFUSALS + 1):
            try:
                return list(_replies(self._connection.fetch(numbers, items, by_uid=True)))
            except LOST as error:
                self._connection.reconnect()
                failure: Exception = error
            except (Refused, ReplyNotUnderstood, imaplib.IMAP4.error) as error:
                failure = error
                if len(uids) > 1 or attempt == REFUSALS:
                    break
        raise MessageFailed(f"the server fails on it: {failure}")


def _without(levels: list[str], prefixes: Sequence[str], separator: str) -> list[str]:
    """Below the prefix that a server puts before all of a person's folders, such as ``INBOX.``."""
    for prefix in prefixes:
        above = prefix.removesuffix(separator).split(separator) if separator else []
        folded = [level.casefold() for level in levels[: len(above)]]
        if above and len(levels) > len(above) and folded == [one.casefold() for one in above]:
            return levels[len(above) :]
    return levels


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


def _planned(uid: int, uid_validity: int) -> Message:
    return Message(f"{uid_validity}.{uid}", frozenset(), 0, (), 0, uid)


def _number(value: Value) -> int:
    return int(value) if isinstance(value, bytes) and value.isdigit() and len(value) < 12 else 0


def _flags(value: Value) -> Flags:
    return Flags(flag for flag in words_of(value) if flag.casefold() != "\\recent")
