"""Damaged octets: found again where they are, kept aside where something is left, or given up.

Owns what ``repair`` does to ``blobs`` rows and message files. Never removes octets: what is left of
a damaged message is copied into quarantine as it is, under a name without a date, which stays until
somebody removes it. Its rows stay: clients are told that it cannot be read, and keep the copies
they have; its ``blobs`` row then says that there is nothing to read, which ``verify`` counts and no
longer reports. Only a message of which not one octet is left loses its rows.
"""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from gateway.core.errors import StoreDamaged
from gateway.store.backup_place import write_whole
from gateway.store.blobs import LOCATE, Location, SegmentFiles
from gateway.store.layout import Layout
from gateway.store.octets import NO_SUCH_PLACE, Damage, is_whole, read_whole
from gateway.store.repair_search import Records
from gateway.store.segments import HEADER, MAGIC
from gateway.store.transaction import Transaction

LIKELY_SIZES = range(2**40)

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
        say: told what was done, a line each.
    """

    def __init__(self, tx: Transaction, layout: Layout, say: Callable[[str], None]) -> None:
        self._tx = tx
        self._layout = layout
        self._say = say
        self._files = SegmentFiles(layout)
        self._records = Records(tx, layout)

    def close(self) -> None:
        self._records.close()
        self._files.close()

    def handle(self, damage: Damage) -> None:
        """Raises: OSError, sqlite3.Error."""
        blob_id, at = damage.blob_id, damage.at
        if damage.is_of_the_disk:
            self._say(
                f"octets {blob_id}: the disk does not give them at the moment ({damage.error}); "
                "nothing was changed. Copy the store to another disk before anything else"
            )
        elif (place := self._find_again(blob_id, at)) is not None:
            self._tx.execute(
                "UPDATE blobs SET size_octets = ?, segment_id = ?, segment_offset = ?,"
                " file_name = ?, head = ?, checksums = ? WHERE blob_id = ?",
                (*place, blob_id),
            )
            self._say(
                f"octets {blob_id}: whole in segment {place.segment_id} at {place.segment_offset}; "
                "the index points there again"
            )
        elif left := self._what_is_left(at):
            path = self.keep_aside(f"damaged-{blob_id}", blob_id, [left])
            size = at.size_octets if at.size_octets in LIKELY_SIZES else len(left)
            self._tx.execute(
                "UPDATE blobs SET size_octets = ?, segment_id = 0, segment_offset = 0,"
                " file_name = '', head = x'', checksums = x'' WHERE blob_id = ?",
                (size, blob_id),
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

    def keep_candidates(self, blob_id: int, size_octets: int) -> None:
        """Records that may be those of a message whose place nobody knows, into quarantine.

        Not into the mailbox: each may as well be what somebody else has deleted.
        """
        files = self._files
        for segment_id, offset, checksum in self._records.unclaimed(size_octets, None):
            at = Location(size_octets, segment_id, offset, "", b"", checksum.to_bytes(4, "big"))
            name = f"perhaps-{blob_id}-{segment_id}-{offset}"
            if is_whole(files, at):
                path = self.keep_aside(name, blob_id, [files.read(at, 0, size_octets)])
                self._say(f"octets {blob_id}: may be what is now in {path}")

    # -- records

    def _find_again(self, blob_id: int, at: Location) -> Location | None:
        """Where the record is whole: with another length, elsewhere, or with another checksum."""
        if len(at.checksums) == 4:  # not a large message
            found = self._with_its_length(at)
            for segment_id, offset, _ in self._records.unclaimed(
                at.size_octets, int.from_bytes(at.checksums, "big")
            ):
                found = found or self._whole(
                    at._replace(segment_id=segment_id, segment_offset=offset, file_name="")
                )
            if found:
                return found
        header = self._header(at)
        if header is None or self._records.is_claimed(at.segment_id, at.segment_offset, blob_id):
            return None
        size, checksum = header
        if at.file_name or size != at.size_octets:
            return None
        return self._whole(at._replace(checksums=checksum))

    def _with_its_length(self, at: Location) -> Location | None:
        header = self._header(at)
        if header is None or header[1] != at.checksums:
            return None
        return self._whole(at._replace(size_octets=header[0], file_name=""))

    def _whole(self, found: Location) -> Location | None:
        found = found._replace(head=b"")
        return found if is_whole(self._files, found) else None

    def _header(self, at: Location) -> tuple[int, bytes] | None:
        """Length and checksum that are on the disk where the record ought to be."""
        try:
            with self._layout.segment(at.segment_id).open("rb") as file:
                file.seek(at.segment_offset)
                magic, size, checksum = HEADER.unpack(file.read(HEADER.size))
        except (ValueError, OverflowError, struct.error):
            return None
        except OSError as error:
            if error.errno not in NO_SUCH_PLACE:
                raise
            return None
        return (size, checksum.to_bytes(4, "big")) if magic == MAGIC else None

    def _what_is_left(self, at: Location) -> bytes:
        """The octets as they are, where any are."""
        path = self._layout.large / at.file_name if at.file_name else None
        start = 0
        if path is None:
            path, start = self._layout.segment(at.segment_id), at.segment_offset + HEADER.size
        try:
            with path.open("rb") as file:
                file.seek(start)
                most = os.fstat(file.fileno()).st_size
                left = file.read(max(0, min(at.size_octets - len(at.head), most)))
        except (ValueError, OverflowError):
            left = b""
        except OSError as error:
            if error.errno not in NO_SUCH_PLACE:
                raise
            left = b""
        return at.head + left
