"""Puts a backup back: into an empty place, checked, and so that no client is misled by it.

What happened after the backup is lost, and clients may have seen it. So every mailbox skips
UIDS_SKIPPED UIDs, which are noted as gone, and every message gets a MODSEQ above any that was ever
given: a client then never takes a new message for one it knows, looks at every flag again, and, as
UIDVALIDITY stays, fetches no message twice. Ids of other kinds skip as many.

Owns the order: copy into ``store.restoring``, adjust, check, and only then rename; so a stop leaves
no store that is half there. A store that is in the way is moved aside, never removed. Blocks; holds
the store's lock, so no gateway runs.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from gateway.core.errors import SchemaTooNew, StoreUnavailable
from gateway.core.ids import MailboxId
from gateway.core.ports.clock import WallClock
from gateway.core.ports.progress import Progress
from gateway.store import engine
from gateway.store.backup_place import BackupPlace, Manifest, write_whole
from gateway.store.copying import Copier
from gateway.store.exclusive import only_user
from gateway.store.files import OsFiles, unlink_quietly
from gateway.store.history import remember
from gateway.store.layout import DIRECTORY_MODE, Layout
from gateway.store.migrations import migrate
from gateway.store.opening import SETTLE
from gateway.store.schema import STEPS
from gateway.store.transaction import MAX_UID_VALIDITY, Transaction
from gateway.store.verify import Report, verify_layout

UIDS_SKIPPED = 2**20
"""More than any mailbox is given between a backup and the disaster."""
MODSEQS_SKIPPED = 2**32
_LAST_UID = 2**32 - 1


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore did.

    Args:
        report: None when the check was left out.
        dropped_queue: queued messages that were left out, as was asked.
        moved_aside: where the store is that was there before; None when there was none.
    """

    manifest: Manifest
    octets: int
    files: int
    report: Report | None
    dropped_queue: int
    moved_aside: Path | None


class _Restoring(Layout):
    """The store while it is being restored."""

    __slots__ = ()

    @property
    def root(self) -> Path:
        return self.restoring


def restore(
    source: Path,
    state_dir: Path,
    *,
    wall_clock: WallClock,
    progress: Progress,
    force: bool = False,
    check: bool = True,
    with_queue: bool = True,
    copier: Callable[..., Copier] = Copier,
) -> Restored:
    """Make the store below ``state_dir`` the one of the backup in ``source``.

    Args:
        force: move a store that is there aside.

    Raises:
        StoreUnavailable: no whole backup, a store is there or in use, or no room.
        SchemaTooNew: a newer gateway made the backup.
    """
    place, layout, restoring = BackupPlace(source), Layout(state_dir), _Restoring(state_dir)
    manifest = place.manifest()
    if manifest is None:
        raise StoreUnavailable(f"{source} holds no backup that came to its end")
    if manifest.schema_version > len(STEPS):
        raise SchemaTooNew(
            f"the backup in {source} has schema version {manifest.schema_version}, but this "
            f"gateway knows only {len(STEPS)}; install the gateway that made it, or a newer one",
            found=manifest.schema_version,
            known=len(STEPS),
        )
    now = int(wall_clock())
    try:
        with _unchanged(place), only_user(layout), _removed_on_failure(restoring):
            if _holds_a_store(layout) and not force:
                raise StoreUnavailable(
                    f"there is a store in {state_dir} already; --force moves it aside "
                    "(it is not removed)"
                )
            copying = copier("copying messages", progress)
            _copy(place, manifest, restoring, copying)
            dropped = _begin_anew(restoring, now, with_queue=with_queue)
            report = verify_layout(restoring, progress) if check else None
            moved_aside = _put_in_place(layout, restoring, now)
            for path in sorted(place.others.glob("*")):
                if path.suffix != ".part" and not (state_dir / path.name).exists():
                    write_whole(state_dir / path.name, path.read_bytes())
    except OSError as error:
        raise StoreUnavailable(f"{error.filename or state_dir}: {error.strerror}") from error
    except sqlite3.Error as error:
        raise StoreUnavailable(f"the index of the backup cannot be used: {error}") from error
    return Restored(manifest, copying.octets, copying.files, report, dropped, moved_aside)


@contextlib.contextmanager
def _unchanged(place: BackupPlace) -> Iterator[None]:
    """No backup is made into it meanwhile. Raises: StoreUnavailable, OSError."""
    fd = os.open(place.marker, os.O_RDONLY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError as error:
            raise StoreUnavailable(f"a backup into {place.root} is running") from error
        yield
    finally:
        os.close(fd)


@contextlib.contextmanager
def _removed_on_failure(restoring: Layout) -> Iterator[None]:
    """What was copied so far may be what has filled the disk."""
    try:
        yield
    except BaseException:
        shutil.rmtree(restoring.root, ignore_errors=True)
        raise


def _holds_a_store(layout: Layout) -> bool:
    """Whether there is anything below the store's directory but empty directories."""
    if not layout.root.exists():
        return False
    return any(path.is_symlink() or not path.is_dir() for path in layout.root.rglob("*"))


def _copy(place: BackupPlace, manifest: Manifest, to: Layout, copying: Copier) -> None:
    if to.root.exists():
        shutil.rmtree(to.root)  # what a restore that was stopped had copied
    for path in (to.root, to.segments, to.large, to.incoming):
        path.mkdir(mode=DIRECTORY_MODE)
    index = place.numbered_index(manifest.number)
    work = [(index, to.index), *_needed(place, index, to)]
    copying.total = sum(path.stat().st_size for path, _ in work)
    copying.tell()
    for path, target in work:
        copying.whole(path, target)
    files = OsFiles()
    for directory in (to.segments, to.large, to.incoming, to.root):
        files.sync_directory(directory)


def _needed(place: BackupPlace, index: Path, to: Layout) -> list[tuple[Path, Path]]:
    """Files that the index points to and that are there; the check tells of others.

    Not those that a later backup has left which did not come to its end.
    """
    connection = engine.open_foreign(index)
    try:
        segments = connection.execute(
            "SELECT DISTINCT segment_id FROM blobs WHERE file_name = '' AND segment_id > 0"
            " ORDER BY segment_id"
        )
        work = [(place.segment(one), to.segment(one)) for (one,) in segments]
        names = connection.execute("SELECT file_name FROM blobs WHERE file_name <> ''")
        work += [(place.large / name, to.large / name) for (name,) in names]
    finally:
        connection.close()
    return [(path, target) for path, target in work if path.exists()]


def _begin_anew(restoring: Layout, now: int, *, with_queue: bool) -> int:
    """Adjust the index; returns how many queued messages were dropped."""
    connection = engine.open_writer(restoring.index)
    try:
        migrate(connection)
        tx = Transaction(connection)
        tx.begin(now)
        try:
            _skip_ids(tx, now)
            for row in tx.fetch_all(
                "SELECT mailbox_id, uid_next, highest_modseq, messages FROM mailboxes"
            ):
                _renew_mailbox(tx, *row)
            dropped = 0 if with_queue else _drop_queue(tx)
            tx.commit()
        except BaseException:
            tx.roll_back()
            raise
    finally:
        connection.close()  # folds the log into the index
    for name in tx.dead_files:
        unlink_quietly(OsFiles(), restoring.large / name)
    for segment_id in tx.dead_segments:
        unlink_quietly(OsFiles(), restoring.segment(segment_id))
    return dropped


def _skip_ids(tx: Transaction, now: int) -> None:
    tx.execute(
        "UPDATE counters SET value = value + ?"
        " WHERE name IN ('blob', 'mailbox', 'queue', 'segment')",
        (UIDS_SKIPPED,),
    )
    # Segments that were made meanwhile hold newer mail, should somebody put this index beside them.
    tx.execute(SETTLE)
    # A mailbox made again by its old name must not have the UIDVALIDITY it was given meanwhile,
    # which may be ahead of the clock when many were made in one second.
    tx.execute(
        "UPDATE counters SET value = max(value, ?) + ? WHERE name = 'uid_validity'",
        (min(now, MAX_UID_VALIDITY // 2), UIDS_SKIPPED),
    )
    # What an import would give UIDs after, has perhaps had others since.
    tx.execute("DELETE FROM kept_uids")


def _renew_mailbox(
    tx: Transaction, mailbox_id: int, uid_next: int, modseq: int, messages: int
) -> None:
    modseq += MODSEQS_SKIPPED
    last = uid_next + UIDS_SKIPPED - 1
    if last + UIDS_SKIPPED < _LAST_UID:
        remember(tx, MailboxId(mailbox_id), modseq, ((uid_next, last),))
        tx.execute(
            "UPDATE mailboxes SET uid_next = ?, highest_modseq = ? WHERE mailbox_id = ?",
            (last + 1, modseq, mailbox_id),
        )
    else:  # its UIDs come to an end: clients have to begin anew with it
        tx.execute(
            "UPDATE mailboxes SET uid_validity = ?, highest_modseq = ? WHERE mailbox_id = ?",
            (tx.new_uid_validity(), modseq, mailbox_id),
        )
    if messages:
        tx.execute(
            "UPDATE messages SET modseq = ?, created_modseq = ? WHERE mailbox_id = ?",
            (modseq, modseq, mailbox_id),
        )


def _drop_queue(tx: Transaction) -> int:
    tx.execute(
        "UPDATE blobs SET refs = refs - gone.copies FROM"
        " (SELECT blob_id, count(*) AS copies FROM queue GROUP BY blob_id) AS gone"
        " WHERE blobs.blob_id = gone.blob_id"
    )
    for table in ("queue_recipients", "queue_parts", "queue_destinations"):
        tx.execute(f"DELETE FROM {table}")  # noqa: S608 - own names only
    dropped = tx.execute("DELETE FROM queue")
    tx.sweep(0)
    return dropped


def _put_in_place(layout: Layout, restoring: Layout, now: int) -> Path | None:
    moved_aside = None
    if layout.root.exists():
        if _holds_a_store(layout):
            stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime(now))
            moved_aside = layout.root.with_name(f"store.before-restore-{stamp}")
            layout.root.rename(moved_aside)
        else:
            shutil.rmtree(layout.root)
    try:
        restoring.root.rename(layout.root)
    except OSError:
        if moved_aside is not None:
            moved_aside.rename(layout.root)
        raise
    OsFiles().sync_directory(layout.state_dir)
    return moved_aside
