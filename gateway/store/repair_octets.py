"""Damaged octets: found again where they are, kept aside where something is left, or given up.

Owns what ``repair`` does to ``blobs`` rows and message files. Never removes octets: what is left of
a damaged message is copied into quarantine as it is, under a name without a date, which stays until
somebody removes it. Its rows stay: clients are told that it cannot be read, and keep the copies
they have; its ``blobs`` row then says that there is nothing to read, which ``verify`` counts and no
longer reports. Only a message of which not one octet is left loses its rows.
"""

from __future__ import annotations

import json
import mmap
import os
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from gateway.core.errors import StoreDamaged
from gateway.store.backup_place import write_whole
from gateway.store.blobs import LOCATE, Location, SegmentFiles
from gateway.store.layout import Layout
from gateway.store.octets import Damage, is_whole, read_whole
from gateway.store.segments import HEADER, MAGIC
from gateway.store.transaction import Transaction

_POINTERS = (
    "SELECT 'message' AS kind, b.account_id, b.name, m.uid, m.internal_date, m.flags, m.keywords"
    " FROM messages AS m JOIN mailboxes AS b ON b.mailbox_id = m.mailbox_id WHERE m.blob_id = ?"
    " UNION ALL SELECT 'deleted', account_id, mailbox_name, uid, internal_date, flags, keywords"
    " FROM vault WHERE blob_id = ?"
    " UNION ALL SELECT 'queued', coalesce(sender_local, ''), sender_domain, queue_id, created_at,"
    " 0, '' FROM queue WHERE blob_id = ?"
)
_FIELDS = ("kind", "account", "mailbox", "uid", "internal_date", "flags", "keywords")


class OctetRepair:
    """Handles one damage after another, each within the caller's transaction.

    Args:
        strays: segments no row points to, in which a record may be found again.
        say: told what was done, a line each.
    """

    def __init__(
        self, tx: Transaction, layout: Layout, strays: Iterable[Path], say: Callable[[str], None]
    ) -> None:
        self._tx = tx
        self._layout = layout
        self._strays = tuple(path for path in strays if path.parent == layout.segments)
        self._say = say
        self._files = SegmentFiles(layout)

    def close(self) -> None:
        self._files.close()

    def handle(self, damage: Damage) -> None:
        """Raises: OSError, sqlite3.Error."""
        blob_id, at = damage.blob_id, damage.at
        if damage.is_of_the_disk:
            self._say(
                f"octets {blob_id}: the disk does not give them at the moment ({damage.error}); "
                "nothing was changed. Copy the store to another disk before anything else"
            )
        elif (place := self._find_again(at)) is not None:
            self._tx.execute(
                "UPDATE blobs SET segment_id = ?, segment_offset = ?, size_octets = ?"
                " WHERE blob_id = ?",
                (place.segment_id, place.segment_offset, place.size_octets, blob_id),
            )
            self._say(
                f"octets {blob_id}: whole in segment {place.segment_id} at {place.segment_offset}; "
                "the index points there again"
            )
        elif (left := self._what_is_left(at)) is not None:
            path = self.keep_aside(f"damaged-{blob_id}", blob_id, left)
            self._tx.execute(
                "UPDATE blobs SET segment_id = 0, segment_offset = 0, file_name = '',"
                " head = x'', checksums = x'' WHERE blob_id = ?",
                (blob_id,),
            )
            self._say(
                f"octets {blob_id}: damaged; what is left is in {path}. The message stays in its "
                "mailboxes and cannot be read there"
            )
        else:
            self._tx.execute("DELETE FROM blobs WHERE blob_id = ?", (blob_id,))
            self._say(f"octets {blob_id}: lost, nothing is left of them")

    def keep_aside(self, name: str, blob_id: int, octets: Iterable[bytes]) -> Path:
        """Octets and what is known of them, as files in quarantine; returns the message's path."""
        self._layout.quarantine.mkdir(mode=0o700, exist_ok=True)
        path = self._layout.quarantine / f"{name}.eml"
        write_whole(path, b"".join(octets))
        known = [
            dict(zip(_FIELDS, row, strict=True))
            for row in self._tx.fetch_all(_POINTERS, (blob_id, blob_id, blob_id))
        ]
        write_whole(path.with_suffix(".json"), json.dumps(known, indent=2).encode() + b"\n")
        return path

    def keep_whole_aside(self, name: str, blob_id: int) -> Path | None:
        """A message that can be read, into quarantine; None when it cannot."""
        row: Any = self._tx.fetch_one(LOCATE, (blob_id,))
        if row is None:
            return None
        at = Location(*row)
        try:
            read_whole(self._files, at)
            return self.keep_aside(name, blob_id, [self._files.read(at, 0, at.size_octets)])
        except StoreDamaged:
            return None

    # -- records

    def _find_again(self, at: Location) -> Location | None:
        """Where a record with this checksum is whole: here with another length, or elsewhere."""
        if at.file_name or len(at.checksums) != 4:
            return None
        here = self._layout.segment(at.segment_id)
        if (length := _length_at(here, at)) is not None:
            found = at._replace(size_octets=length)
            return found if is_whole(self._files, found) else None
        header = HEADER.pack(MAGIC, at.size_octets, int.from_bytes(at.checksums, "big"))
        for path in (here, *self._strays):
            for offset in _occurrences(path, header):
                segment_id = int(path.stem) if path.stem.isdecimal() else 0
                found = at._replace(segment_id=segment_id, segment_offset=offset)
                if segment_id and is_whole(self._files, found):
                    return found
        return None

    def _what_is_left(self, at: Location) -> Iterator[bytes] | None:
        """The octets as they are, where any are."""
        path = self._layout.large / at.file_name if at.file_name else None
        start = 0
        if path is None:
            path, start = self._layout.segment(at.segment_id), at.segment_offset + HEADER.size
        try:
            with path.open("rb") as file:
                file.seek(start)
                left = file.read(at.size_octets - len(at.head))
        except FileNotFoundError:
            left = b""
        return iter((at.head, left)) if left or at.head else None


def _length_at(path: Path, at: Location) -> int | None:
    """The length that the header on the disk tells, where it has the checksum of the index."""
    try:
        with path.open("rb") as file:
            file.seek(at.segment_offset)
            raw = file.read(HEADER.size)
            if len(raw) < HEADER.size:
                return None
            magic, length, checksum = HEADER.unpack(raw)
            if magic != MAGIC or at.checksums != checksum.to_bytes(4, "big"):
                return None
            if (
                length > os.fstat(file.fileno()).st_size
                or zlib.crc32(file.read(length)) != checksum
            ):
                return None
            return int(length)
    except FileNotFoundError:
        return None


def _occurrences(path: Path, header: bytes) -> Iterator[int]:
    try:
        with path.open("rb") as file:
            if not os.fstat(file.fileno()).st_size:
                return
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as octets:
                offset = octets.find(header)
                while offset >= 0:
                    yield offset
                    offset = octets.find(header, offset + 1)
    except FileNotFoundError:
        return
