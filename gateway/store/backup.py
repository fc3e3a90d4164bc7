"""Copies a store into a directory while a gateway serves it: consistent, and only what is new.

What is copied is what one snapshot of the index points to. Octets are synced before the index that
points to them is committed, so the snapshot's are in the files. Octets of a segment never change
once the index has pointed behind them: a segment grows, is cut or goes, and its number is never
given again. So what the last backup holds of a segment is kept and only its end is copied; a pin
keeps what the snapshot points to from being cut or removed meanwhile.

An interrupted backup leaves the one before as it was (``backup_place``), and the next goes on with
what it has copied (``backup_run``).
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from gateway.core.errors import StoreUnavailable
from gateway.core.ports.clock import WallClock
from gateway.core.ports.progress import Progress
from gateway.store import engine
from gateway.store.backup_place import FORMAT, BackupPlace, Manifest, write_whole
from gateway.store.backup_run import SEGMENT_ENDS, CopyRun
from gateway.store.copying import Copier
from gateway.store.files import PRIVATE
from gateway.store.layout import Layout
from gateway.store.migrations import version_of
from gateway.store.pins import Pin
from gateway.store.schema import STEPS
from gateway.store.segments import HEADER


@dataclass(frozen=True, slots=True)
class BackedUp:
    """What a backup did.

    Args:
        copied_octets: of messages; the index is always written anew.
        found_files: that an interrupted backup had copied already.
        removed_files: that the backup before needed and this one does not.
        damaged: messages that cannot be read in the store itself; one text each.
    """

    manifest: Manifest
    index_octets: int
    copied_octets: int
    copied_files: int
    found_files: int
    removed_files: int
    damaged: tuple[str, ...]


def back_up(
    state_dir: Path,
    target: Path,
    *,
    hostname: str,
    others: Sequence[Path],
    wall_clock: WallClock,
    progress: Progress,
    limit_octets_s: float = 0.0,
    check_all: bool = False,
    copier: Callable[..., Copier] = Copier,
) -> BackedUp:
    """Bring the backup in ``target`` up to date.

    Args:
        others: small files that belong to it; those that do not exist are left out.
        check_all: read all of the backup against its checksums, and copy again what differs.

    Raises:
        StoreUnavailable: no store, another schema, no room, or ``target`` holds something else.
    """
    layout, place = Layout(state_dir), BackupPlace(target)
    if not layout.index.exists():
        raise StoreUnavailable(f"there is no mail store in {state_dir}")
    if place.root.resolve().is_relative_to(layout.root.resolve()):
        raise StoreUnavailable(f"{target} lies inside the store that is to be backed up")
    began_at = int(wall_clock())
    lock = place.claim()
    try:
        before = place.manifest()
        copying = copier("copying messages", progress, limit_octets_s=limit_octets_s)
        with Pin(layout):
            version = _take_snapshot(layout, place, progress)
            run = CopyRun(layout, place, before, copying, check_all)
            try:
                run.copy()
                counts = run.counts()
            finally:
                run.close()
        for path in others:
            if path.exists():
                write_whole(place.others / path.name, path.read_bytes())
        manifest = Manifest(
            format=FORMAT,
            number=(before.number if before else 0) + 1,
            schema_version=version,
            began_at=began_at,
            ended_at=int(wall_clock()),
            hostname=hostname,
            damaged=tuple(run.damaged),
            **counts,
        )
        place.commit(manifest)
        removed = _remove_unneeded(place, manifest)
        index_octets = place.numbered_index(manifest.number).stat().st_size
    except OSError as error:
        raise StoreUnavailable(f"{error.filename or target}: {error.strerror}") from error
    except sqlite3.Error as error:
        raise StoreUnavailable(
            f"the index cannot be copied ({error}): the backup before stays as it is"
        ) from error
    finally:
        os.close(lock)
    return BackedUp(
        manifest=manifest,
        index_octets=index_octets,
        copied_octets=copying.octets,
        copied_files=copying.files,
        found_files=run.found_files,
        removed_files=removed,
        damaged=tuple(f"octets {blob_id}: {what}" for blob_id, what in run.damaged.items()),
    )


def _take_snapshot(layout: Layout, place: BackupPlace, progress: Progress) -> int:
    """The index as it is now, in the directory; returns its schema version."""
    place.index.unlink(missing_ok=True)
    Path(f"{place.index}-journal").unlink(missing_ok=True)
    connection = engine.open_foreign(layout.index)
    try:
        connection.execute("BEGIN")
        version = version_of(connection)
        if version != len(STEPS):
            raise StoreUnavailable(
                f"the store has schema version {version}; this program backs up {len(STEPS)}: "
                "use the program that the gateway was started with"
            )
        engine.copy_index(
            connection,
            place.index,
            lambda done, total: progress("copying the index", done, total, "pages"),
        )
    finally:
        connection.close()
    place.index.chmod(PRIVATE)
    _refuse_damaged(layout, place, progress)
    return version


def _refuse_damaged(layout: Layout, place: BackupPlace, progress: Progress) -> None:
    """A damaged index must not follow a whole one."""
    progress("checking the index", 0, 0)
    copy = engine.open_foreign(place.index)
    try:
        if not engine.is_readable(copy):
            raise StoreUnavailable(
                f"{layout.index} is damaged, and was not backed up: the backup before stays as it "
                "is. `gateway verify` says more"
            )
    finally:
        copy.close()


def _remove_unneeded(place: BackupPlace, manifest: Manifest) -> int:
    """What the backup that counts does not point to; returns how many files went."""
    connection = engine.open_foreign(place.numbered_index(manifest.number))
    removed = 0
    try:
        ends = {
            place.segment(segment_id).name: end + HEADER.size
            for segment_id, end in connection.execute(SEGMENT_ENDS.format(schema="main"))
        }
        for path in place.segments.iterdir():
            end = ends.get(path.name)
            if end is None:
                path.unlink()
                removed += 1
            elif path.stat().st_size > end:
                os.truncate(path, end)
        for path in place.large.iterdir():
            known = connection.execute("SELECT 1 FROM blobs WHERE file_name = ?", (path.name,))
            if known.fetchone() is None:
                path.unlink()
                removed += 1
    finally:
        connection.close()
    return removed
