"""Where the store's files are, who may read them, and the lock that keeps a second instance out.

Owns the directory tree below ``state_dir`` and its permissions. Knows nothing of what the files
hold. The lock is an flock, so that a crash leaves none behind (SECURITY P5, D8).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from dataclasses import dataclass
from pathlib import Path

from gateway.core.errors import StoreInUse, StoreUnavailable
from gateway.store.files import Files

DIRECTORY_MODE = 0o700
WORKERS_END_S = 30
_PROCESSES = Path("/proc")


@dataclass(frozen=True, slots=True)
class Layout:
    """Paths of one store."""

    state_dir: Path

    @property
    def root(self) -> Path:
        return self.state_dir / "store"

    @property
    def restoring(self) -> Path:
        """A store that is being put back; renamed to ``root`` at the end."""
        return self.state_dir / "store.restoring"

    @property
    def lock(self) -> Path:
        return self.state_dir / "store.lock"

    @property
    def index(self) -> Path:
        return self.root / "index.sqlite"

    @property
    def segments(self) -> Path:
        return self.root / "segments"

    @property
    def large(self) -> Path:
        """Messages with a file of their own."""
        return self.root / "large"

    @property
    def incoming(self) -> Path:
        """Large messages while they arrive; same file system as ``large``, so rename works."""
        return self.root / "incoming"

    @property
    def quarantine(self) -> Path:
        """What a start found and did not know."""
        return self.root / "quarantine"

    @property
    def reserve(self) -> Path:
        return self.root / "reserve"

    @property
    def guests(self) -> Path:
        """Locked by each process that uses the store (``presence``)."""
        return self.state_dir / "store.guests"

    @property
    def turn_next(self) -> Path:
        return self.root / "turn.next"

    @property
    def turn_write(self) -> Path:
        return self.root / "turn.write"

    @property
    def maildrops(self) -> Path:
        """Locked by POP3 sessions, an octet for each account."""
        return self.root / "maildrops"

    def segment(self, segment_id: int) -> Path:
        return self.segments / f"{segment_id:010d}.seg"

    def prepare(self, files: Files) -> None:
        """Make missing directories, private and durable; refuse those of somebody else.

        Raises:
            StoreUnavailable: wrong owner, or the disk refuses; the text says what to do.
        """
        made = (self.segments, self.large, self.incoming, self.quarantine)
        for path in (self.state_dir, self.root, *made):
            try:
                # Each new name is made durable: the mail below a lost one would be lost as well.
                for parent in reversed([p for p in path.parents if not p.exists()]):
                    parent.mkdir()
                    files.sync_directory(parent.parent)
                if not path.exists():
                    path.mkdir(mode=DIRECTORY_MODE)
                    files.sync_directory(path.parent)
                status = path.stat()
                if status.st_uid != os.geteuid():
                    raise StoreUnavailable(
                        f"{path} belongs to user id {status.st_uid}, but the gateway runs as "
                        f"{os.geteuid()}; change its owner"
                    )
                if status.st_mode & 0o077:
                    path.chmod(DIRECTORY_MODE)
            except OSError as error:
                raise StoreUnavailable(f"{path} cannot be used: {error.strerror}") from error

    def check_joinable(self) -> None:
        """Refuse to write beside another user's processes, which could not read it.

        Raises:
            StoreUnavailable: no store, or somebody else's; the text says what to do.
        """
        try:
            owner = self.index.stat().st_uid
        except FileNotFoundError as error:
            raise StoreUnavailable(
                f"there is no mail store in {self.state_dir}; it is made when the gateway starts"
            ) from error
        except OSError as error:
            raise StoreUnavailable(f"{self.index} cannot be used: {error.strerror}") from error
        if owner != os.geteuid():
            raise StoreUnavailable(
                f"{self.index} belongs to user id {owner}, but this runs as {os.geteuid()}; run it "
                "as that user"
            )

    def refuse_lost_index(self) -> None:
        """Not to begin a new index above mail: without a row all of it would look dead.

        By size, as SQLite removes the log beside an empty file when it opens that.

        Raises:
            StoreUnavailable: there are octets of messages, so there was an index once; or a restore
                has not come to its end.
            OSError
        """
        if self.index.exists() and self.index.stat().st_size:
            return
        for directory in (self.segments, self.large):
            if directory.is_dir() and any(path.stat().st_size for path in directory.iterdir()):
                raise StoreUnavailable(
                    f"{self.index} is missing or empty, but there is mail in {directory}; nothing "
                    "was changed. Put the index back, and its -wal file if you have it, or restore "
                    "the last backup with `gateway restore --force`, which keeps this store aside"
                )
        if self.restoring.exists():
            raise StoreUnavailable(
                f"a restore into {self.state_dir} is running, or was stopped before its end; run "
                f"`gateway restore` again, or remove {self.restoring} to begin with an empty store"
            )

    def take_lock(self) -> int:
        """Hold the store; returns the descriptor, whose closing releases it.

        Raises:
            StoreInUse: another process holds it.
        """
        try:
            fd = os.open(self.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreUnavailable(f"{self.lock} cannot be opened: {error.strerror}") from error
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(fd, 32, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(fd)
            raise StoreInUse(f"{self.state_dir} is in use by {_described(holder)}") from error
        with contextlib.suppress(OSError):  # on a full disk nobody reads who holds it
            os.ftruncate(fd, 0)
            os.pwrite(fd, b"%d\n" % os.getpid(), 0)
        return fd


def _described(holder: str) -> str:
    """Who holds the lock, and what to do about it.

    Args:
        holder: the process number in the file.
    """
    other = f"another gateway (process {holder})"
    try:
        words = (_PROCESSES / holder / "cmdline").read_bytes().split(b"\0")
    except OSError:
        if not _PROCESSES.is_dir() or not holder.isdecimal():
            return f"{other}; stop that one first or use another state_dir"
        return (
            f"{other}, which cannot be seen from here: it was killed, and its workers are still "
            f"ending (within {WORKERS_END_S} s; then try again), or it runs in another container"
        )
    if any(Path(os.fsdecode(word)).name == "gateway" for word in words[:2]):
        return f"a command (process {holder}); wait until that has ended"
    return f"{other}; stop that one first or use another state_dir"
