"""What a directory with a backup looks like, and which backup in it counts.

Owns the marker, the lock, the manifest and the names. The manifest is the point of commitment: it
names one index, and whatever that index points to was synced before. So a directory holds the last
backup that came to its end, whatever happened to the next one. Never touches a directory that is
neither empty nor a backup. All is private (0700, 0600), as it is mail.
"""

from __future__ import annotations

import fcntl
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from gateway.core.errors import StoreUnavailable
from gateway.store.files import PRIVATE, OsFiles, write_all
from gateway.store.layout import DIRECTORY_MODE, Layout

FORMAT = 1
_MARKER = "mail-gateway-backup"


@dataclass(frozen=True, slots=True)
class Manifest:
    """A backup that came to its end.

    Args:
        number: of the backup in its directory, from 1.
        damaged: blobs that could not be read when they were copied; the next backup tries again.
    """

    format: int
    number: int
    schema_version: int
    began_at: int
    ended_at: int
    hostname: str
    mailboxes: int
    messages: int
    queued: int
    octets: int
    damaged: tuple[int, ...]

    @property
    def numbers(self) -> tuple[object, ...]:
        """All that must be numbers where somebody else has written the file."""
        return (
            *(self.number, self.schema_version, self.began_at, self.ended_at, self.mailboxes),
            *(self.messages, self.queued, self.octets, *self.damaged),
        )


class BackupPlace(Layout):
    """Paths of a directory with a backup. Segments and large files are named as in the store."""

    __slots__ = ()

    @property
    def root(self) -> Path:
        return self.state_dir

    @property
    def index(self) -> Path:
        """Where the next index is made; only one with a number counts."""
        return self.root / "index.new"

    @property
    def others(self) -> Path:
        """What else of the state directory is needed."""
        return self.root / "state"

    @property
    def marker(self) -> Path:
        return self.root / _MARKER

    @property
    def _manifest(self) -> Path:
        return self.root / "manifest.json"

    def numbered_index(self, number: int) -> Path:
        return self.root / f"index-{number:06d}.sqlite"

    def claim(self) -> int:
        """Make the directory if it is missing, and lock it; returns the lock's descriptor.

        Raises:
            StoreUnavailable: it holds something else, or another backup runs.
        """
        try:
            self.root.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
            owner = self.root.stat().st_uid
            if owner != os.geteuid():  # who owns a directory can put links into it, or empty it
                raise StoreUnavailable(
                    f"{self.root} belongs to user id {owner}, but this runs as {os.geteuid()}; "
                    "name a directory of its own, or run it as that user"
                )
            if not self.marker.exists() and any(self.root.iterdir()):
                raise StoreUnavailable(
                    f"{self.root} is neither empty nor a backup of the gateway; "
                    "name an empty or a new directory"
                )
            fd = os.open(self.marker, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                os.close(fd)
                raise StoreUnavailable(f"another backup into {self.root} is running") from error
            for path in (self.root, self.segments, self.large, self.others):
                path.mkdir(mode=DIRECTORY_MODE, exist_ok=True)
                if path.stat().st_mode & 0o077:
                    path.chmod(DIRECTORY_MODE)
        except OSError as error:
            raise StoreUnavailable(f"{error.filename}: {error.strerror}") from error
        return fd

    def manifest(self) -> Manifest | None:
        """The backup that counts; None when none has come to its end.

        Raises:
            StoreUnavailable: unreadable, or written by a newer gateway.
        """
        try:
            raw = json.loads(self._manifest.read_text("utf-8"))
            if raw["format"] != FORMAT:
                raise StoreUnavailable(
                    f"{self._manifest} has format {raw['format']}, but this gateway knows only "
                    f"{FORMAT}; use the gateway that made it"
                )
            manifest = Manifest(**{**raw, "damaged": tuple(raw["damaged"])})
            if any(type(one) is not int for one in manifest.numbers):
                raise ValueError
            return manifest
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StoreUnavailable(f"{self._manifest}: {error.strerror}") from error
        except (ValueError, TypeError, KeyError) as error:
            raise StoreUnavailable(
                f"{self._manifest} is damaged: it is not what a backup writes"
            ) from error

    def commit(self, manifest: Manifest) -> None:
        """Make the new index and everything it points to the backup that counts.

        The octets were synced by those who wrote them; their names are here. Raises: OSError.
        """
        files = OsFiles()
        for directory in (self.segments, self.large, self.others, self.root.parent):
            files.sync_directory(directory)
        fd = os.open(self.index, os.O_RDWR | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
        self.index.replace(self.numbered_index(manifest.number))
        write_whole(self._manifest, json.dumps(asdict(manifest), indent=2).encode() + b"\n")
        for path in self.root.glob("index*"):  # older ones, and what an interrupted one has left
            if path != self.numbered_index(manifest.number):
                path.unlink()


def write_whole(path: Path, content: bytes) -> None:
    """Put a small file there, whole and durable or not at all. Raises: OSError."""
    files = OsFiles()
    part = path.with_name(path.name + ".part")
    part.unlink(missing_ok=True)
    fd = files.create(part)
    try:
        write_all(files, fd, content)
        os.fsync(fd)
    finally:
        os.close(fd)
    files.sync_directory(path.parent)  # what it speaks of has its name before it is there
    part.replace(path)
    files.sync_directory(path.parent)
