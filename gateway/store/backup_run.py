"""Copies into a backup what its new index points to and the backup before has not.

Owns which octets are copied, and that each is read back from the copy against its checksum. Never
overwrites octets that the backup before needs, and never takes another store's for this one's.
Memory: the records of one segment.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from gateway.core.errors import StoreDamaged, StoreUnavailable
from gateway.store import engine
from gateway.store.backup_place import BackupPlace, Manifest
from gateway.store.blobs import Location, SegmentFiles
from gateway.store.copying import Copier, sync_or_cut
from gateway.store.layout import Layout
from gateway.store.octets import is_whole, read_whole
from gateway.store.segments import HEADER

_SAME = (
    " LEFT JOIN old.blobs AS o ON o.blob_id = n.blob_id AND o.segment_id = n.segment_id"
    " AND o.segment_offset = n.segment_offset AND o.size_octets = n.size_octets"
    " AND o.checksums = n.checksums AND o.file_name = n.file_name"
)
SEGMENT_ENDS = (
    "SELECT segment_id, max(segment_offset + size_octets) FROM {schema}.blobs"
    " WHERE file_name = '' AND segment_id > 0 GROUP BY segment_id"
)


class _Record(NamedTuple):
    blob_id: int
    at: Location

    @property
    def end(self) -> int:
        return self.at.segment_offset + HEADER.size + self.at.size_octets


class CopyRun:
    """One copy of what the new index in ``place`` points to."""

    def __init__(
        self,
        layout: Layout,
        place: BackupPlace,
        before: Manifest | None,
        copying: Copier,
        check_all: bool,
    ) -> None:
        self._layout = layout
        self._place = place
        self._copying = copying
        self._check_all = check_all
        self._source = SegmentFiles(layout)
        self._copy = SegmentFiles(place)
        self.found_files = 0
        self.damaged: dict[int, str] = {}
        self._known_damaged = frozenset(before.damaged) if before else frozenset[int]()
        self._index = engine.open_foreign(place.index)
        self._kept_ends: dict[int, int] = {}
        """How much of each segment the backup before needs, and so has."""
        self._has_old = before is not None
        if before is not None:
            old = place.numbered_index(before.number).resolve().as_uri()
            self._index.execute("ATTACH ? AS old", (f"{old}?mode=ro",))
            self._kept_ends = self._ends("old")
        self._ends_now = self._ends("main")

    def close(self) -> None:
        self._source.close()
        self._copy.close()
        self._index.close()

    def counts(self) -> dict[str, int]:
        row = self._index.execute(
            "SELECT (SELECT count(*) FROM mailboxes), (SELECT count(*) FROM messages),"
            " (SELECT count(*) FROM queue), (SELECT coalesce(sum(size_octets), 0) FROM blobs)"
        ).fetchone()
        return dict(zip(("mailboxes", "messages", "queued", "octets"), row, strict=True))

    def copy(self) -> None:
        self._copying.total = self._octets_to_copy()
        self._copying.tell()
        for segment_id, end in sorted(self._ends_now.items()):
            self._copy_segment(segment_id, end)
        self._copy.close()
        for is_new, *row in self._index.execute(
            f"{self._places()} WHERE n.file_name <> '' ORDER BY n.blob_id"
        ):
            self._copy_large(_Record(row[0], Location(*row[1:])), bool(is_new))

    def _ends(self, schema: str) -> dict[int, int]:
        rows = self._index.execute(SEGMENT_ENDS.format(schema=schema))
        return {segment_id: end + HEADER.size for segment_id, end in rows}

    def _octets_to_copy(self) -> int:
        grown = sum(
            max(0, end - self._kept_ends.get(segment_id, 0))
            for segment_id, end in self._ends_now.items()
        )
        join = f"{_SAME} WHERE o.blob_id IS NULL AND" if self._has_old else " WHERE"
        (large,) = self._index.execute(
            f"SELECT coalesce(sum(n.size_octets), 0) FROM blobs AS n{join} n.file_name <> ''"  # noqa: S608 - own names only
        ).fetchone()
        return grown + int(large)

    def _places(self) -> str:
        """Rows of octets, each with whether it has to be looked at."""
        columns = (
            " n.blob_id, n.size_octets, n.segment_id, n.segment_offset, n.file_name, n.head,"
            " n.checksums FROM blobs AS n"
        )
        if self._check_all or not self._has_old:
            return f"SELECT 1,{columns}"
        return f"SELECT o.blob_id IS NULL,{columns}{_SAME}"

    # -- segments

    def _copy_segment(self, segment_id: int, end: int) -> None:
        source, target = self._layout.segment(segment_id), self._place.segment(segment_id)
        records = [
            _Record(row[0], Location(*row[1:]))
            for is_new, *row in self._index.execute(
                f"{self._places()} WHERE n.segment_id = ? ORDER BY n.segment_offset", (segment_id,)
            )
            if is_new or row[0] in self._known_damaged
        ]
        present = _size(target)
        if present >= end and not self._bad(records):
            if records:
                _sync(
                    target, min(present, self._kept_ends.get(segment_id, 0))
                )  # whoever copied it may have been stopped before
                self.found_files += end > self._kept_ends.get(segment_id, 0)
            return
        start = self._kept_ends.get(segment_id, 0)
        if start > present or self._is_better(one for one in records if one.end <= start):
            start = 0
        try:
            if start:
                self._copying.stretch(source, target, start, end)
            else:
                self._copying.whole(source, target, end)
        except FileNotFoundError:
            self._note(records, f"{source} is missing")
            return
        self._copy.close()  # it may have the file before open
        self._report(self._bad(records))

    def _bad(self, records: Iterable[_Record]) -> list[_Record]:
        return [one for one in records if not is_whole(self._copy, one.at)]

    def _is_better(self, kept: Iterable[_Record]) -> bool:
        """Whether the store has whole what the directory has not, although it had it all before.

        That is so of octets that changed in the directory, or were damaged in the store. Otherwise
        the directory's are another store's, which must not be overwritten.
        """
        better = [one for one in self._bad(kept) if is_whole(self._source, one.at)]
        if not self._check_all and any(one.blob_id not in self._known_damaged for one in better):
            raise StoreUnavailable(
                f"{self._place.root} holds the backup of another store, or of one that was "
                "restored from an older backup; name another directory"
            )
        return bool(better)

    # -- large messages

    def _copy_large(self, record: _Record, is_new: bool) -> None:
        name, at = record.at.file_name, record.at
        target = self._place.large / name
        must_check = is_new or record.blob_id in self._known_damaged
        if _size(target) == at.size_octets - len(at.head) and not (
            must_check and self._bad([record])
        ):
            self.found_files += is_new and not self._check_all
            return  # it got its name when it was synced
        try:
            self._copying.whole(self._layout.large / name, target)
        except FileNotFoundError:
            self._note([record], f"the file {name} is missing")
            return
        self._report(self._bad([record]))

    # -- damage

    def _note(self, records: Iterable[_Record], what: str) -> None:
        self.damaged |= {one.blob_id: what for one in records}

    def _report(self, bad: Iterable[_Record]) -> None:
        """What the copy does not hold: damage in the store, or a disk that does not keep it."""
        for one in bad:
            try:
                read_whole(self._source, one.at)
            except StoreDamaged as damage:
                self._note([one], str(damage))
            else:
                raise StoreUnavailable(
                    f"what was copied to {self._place.root} differs from what is read there; "
                    "that disk cannot be trusted"
                )


def _size(path: Path) -> int:
    """-1 when there is no such file."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return -1


def _sync(path: Path, synced: int) -> None:
    fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        sync_or_cut(fd, synced)
    finally:
        os.close(fd)
