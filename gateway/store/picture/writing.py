"""The one writer of the picture: the port WritesPicture, in a thread of its own.

Owns the thread and the writing connection, which is opened, and its file checked, when the first
change comes. A file that proves damaged is made anew at once: what failed says so, and the state
read then is that of an empty picture, so that a listing fills it. Reads are those of PictureReader,
on the reactor's thread; what has been written is seen by them.

Limit: WAITING changes that wait; beyond that StoreUnavailable at once.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from twisted.logger import Logger

from gateway.core.errors import StoreUnavailable
from gateway.core.ports.clock import CallFromThread
from gateway.core.ports.picture import KeyKind, PicturedEntry, SharedKey, SourceState
from gateway.store import engine
from gateway.store.picture.changes import Changes
from gateway.store.picture.reading import PictureReader
from gateway.store.readers import Pool

T = TypeVar("T")

WAITING = 100


class _Desk:
    """What the thread works with.

    Args:
        opener: of the writing connection; makes anew what is no use.
    """

    log = Logger()

    def __init__(self, path: Path, opener: Callable[[Path], sqlite3.Connection]) -> None:
        self._path = path
        self._opener = opener
        self._connection: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None
        self.closing = False

    def do(self, work: Callable[[Changes], T]) -> T:
        """Raises: StoreUnavailable, sqlite3.Error."""
        try:
            return work(Changes(self._opened()))
        except sqlite3.Error as error:
            if not engine.is_damage(error):
                raise
            damage = str(error)
        # Opening it checks it, and puts a damaged file aside.
        self.log.error("the picture of the directory is damaged: {damage}", damage=damage)
        self.close()
        self._opened()
        raise StoreUnavailable("the picture of the directory was damaged", damage=damage)

    def _opened(self) -> sqlite3.Connection:
        """The connection to the file that has the name now: somebody may have removed it."""
        if self._connection is not None and self._found() != self._file:
            self.close()
        if self._connection is None:
            self._connection = self._opener(self._path)
            self._file = self._found()
        return self._connection

    def _found(self) -> tuple[int, int] | None:
        try:
            status = self._path.stat()
        except OSError:
            return None
        return status.st_dev, status.st_ino

    def forget(self, changes: Changes, source: str) -> None:
        for _ in changes.forget(source):
            if self.closing:
                raise StoreUnavailable("the picture of the directory is closed")

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


class PictureWriter:
    """Implements WritesPicture.

    Args:
        reader: of the same file.
        opener: see ``_Desk``.
    """

    def __init__(
        self,
        path: Path,
        reader: PictureReader,
        opener: Callable[[Path], sqlite3.Connection],
        call_from_thread: CallFromThread,
    ) -> None:
        self._reader = reader
        self._desk = _Desk(path, opener)
        self._pool = Pool("picture", [self._desk], call_from_thread, WAITING)
        self._pool.start()
        self._closed = False
        self.find = reader.find
        self.wholes = reader.wholes
        self.entry = reader.entry
        self.page = reader.page
        self.state = reader.state

    async def put(self, entries: Sequence[PicturedEntry], *, listing: int = 0) -> None:
        await self._do(lambda changes: changes.put(entries, listing))

    async def saw(self, source: str, entry_ids: Sequence[str], *, listing: int) -> None:
        await self._do(lambda changes: changes.saw(source, entry_ids, listing))

    async def remove(self, source: str, entry_ids: Sequence[str]) -> None:
        await self._do(lambda changes: changes.remove(source, entry_ids))

    async def new_listing(self, source: str) -> int:
        return await self._do(lambda changes: changes.new_listing(source))

    async def unseen(self, source: str, listing: int, limit: int) -> Sequence[PicturedEntry]:
        return await self._do(lambda changes: changes.unseen(source, listing, limit))

    async def count_unseen(self, source: str, listing: int) -> tuple[int, int]:
        return await self._do(lambda changes: changes.count_unseen(source, listing))

    async def note(self, source: str, state: SourceState) -> None:
        await self._do(lambda changes: changes.note(source, state))

    async def forget(self, source: str) -> None:
        await self._do(lambda changes: self._desk.forget(changes, source))

    async def sources(self) -> Sequence[str]:
        return await self._do(lambda changes: changes.sources())

    async def shared(self, kind: KeyKind, limit: int) -> Sequence[SharedKey]:
        return await self._do(lambda changes: changes.shared(kind, limit))

    async def close(self) -> None:
        """What is waiting is still done; a long forgetting ends at its next piece."""
        if self._closed:
            return
        self._closed = True
        self._desk.closing = True
        await self._pool.run(lambda _: None)
        self._pool.close()
        self._pool.join()
        self._reader.close()

    async def _do(self, work: Callable[[Changes], T]) -> T:
        """Raises: StoreUnavailable."""
        if self._closed:
            raise StoreUnavailable("the picture of the directory is closed")
        try:
            # Whoever stops waiting has changed nothing about what was asked for.
            return await self._pool.run(lambda desk: desk.do(work), even_cancelled=True)
        finally:
            self._reader.look_again()
