"""Where the search files lie, who may write them, and how one is asked for anew.

Owns the tree below ``store/search``: a file per account, a lock for the one process that writes, a
lock that keeps readers from opening a file while it is removed, and a folder of requests: whoever
finds a file damaged, or wants it made again, leaves the account's id there, as nobody but the
writer may touch the file. Everything here can be removed while no gateway runs; it is made again.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from gateway.core.errors import StoreInUse
from gateway.core.ids import AccountId
from gateway.store.files import PRIVATE
from gateway.store.layout import DIRECTORY_MODE, Layout

_SUFFIXES = ("", "-wal", "-shm", "-journal")  # what SQLite puts beside a file goes with it


@dataclass(frozen=True, slots=True)
class Places:
    """Paths of the search files of one store."""

    layout: Layout

    @property
    def root(self) -> Path:
        return self.layout.root / "search"

    @property
    def requests(self) -> Path:
        return self.root / "requests"

    def file(self, account_id: AccountId) -> Path:
        name = _hash(account_id)
        return self.root / name[:2] / f"{name}.sqlite"

    def strangers(self, account_ids: Iterable[AccountId]) -> list[Path]:
        """Files of other accounts than these."""
        names = {f"{_hash(account_id)}.sqlite" for account_id in account_ids}
        found = self.root.glob("[0-9a-f][0-9a-f]/*.sqlite")
        return [path for path in found if path.name not in names]

    def prepare(self) -> None:
        """Make what is missing. Raises: OSError."""
        for path in (self.root, self.requests):
            path.mkdir(mode=DIRECTORY_MODE, exist_ok=True)
        os.close(os.open(self._guard, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE))

    @property
    def forgotten(self) -> Path:
        """Tells by its time when the words of expunged messages were removed last."""
        return self.root / "forgotten"

    # -- who may do what

    def take_lock(self) -> int:
        """Become the one that writes; closing the descriptor ends it.

        Raises:
            StoreInUse: another process does.
            OSError
        """
        fd = os.open(self.root / "writer.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(fd)
            raise StoreInUse("another process makes the search index") from error
        return fd

    @property
    def _guard(self) -> Path:
        return self.root / "removal.lock"

    @contextlib.contextmanager
    def opening(self) -> Iterator[None]:
        """Nothing is removed while a reader opens a file: it consists of several, and those of two
        generations must not be read as one. Raises: OSError."""
        with self._guarded(fcntl.LOCK_SH):
            yield

    @contextlib.contextmanager
    def _guarded(self, how: int) -> Iterator[None]:
        fd = os.open(self._guard, os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.flock(fd, how)
            yield
        finally:
            os.close(fd)

    def remove(self, path: Path) -> None:
        """Remove a search file with what SQLite put beside it. Raises: OSError."""
        with self._guarded(fcntl.LOCK_EX):
            for suffix in _SUFFIXES:
                path.with_name(path.name + suffix).unlink(missing_ok=True)

    # -- requests

    def request(self, account_id: AccountId) -> None:
        """Ask the writer to make an account's file again. Raises: OSError."""
        (self.requests / _hash(account_id)).write_bytes(_octets(account_id))

    def requested(self) -> Iterator[tuple[Path, AccountId]]:
        """Requests that nobody has done yet, in no order; whoever does one removes it.

        What cannot be read or is half written is none.

        Raises:
            OSError
        """
        try:
            with os.scandir(self.requests) as entries:
                for entry in entries:
                    path = Path(entry.path)
                    with contextlib.suppress(OSError):
                        octets = path.read_bytes()
                        account_id = AccountId(octets.decode("utf-8", "surrogatepass"))
                        if _hash(account_id) == path.name:
                            yield path, account_id
        except FileNotFoundError:
            return  # no search index yet


def _hash(account_id: AccountId) -> str:
    return hashlib.sha256(_octets(account_id)).hexdigest()[:40]


def _octets(account_id: AccountId) -> bytes:
    return account_id.encode("utf-8", "surrogatepass")
