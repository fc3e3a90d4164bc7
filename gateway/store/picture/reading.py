"""The picture as it is read: on the reactor's thread, a few microseconds a question.

Owns one connection that cannot write, and when the file is looked for again: it may appear, or be
another one, while this process runs, as whoever writes it may be another process. While there is no
picture nobody is in it. Never waits for the writer; its transactions are single statements, so that
the write-ahead log is never held up.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from gateway.core.errors import StoreUnavailable
from gateway.core.ports.picture import EntryKind, KeyKind, PicturedEntry, SourceState
from gateway.store import engine

LOOK_S = 1.0
"""The file is looked for at most so often."""

_OF_KEYS = (
    " FROM names AS n CROSS JOIN keys AS k ON k.kind = ? AND k.name = n.number"
    " CROSS JOIN entries AS e ON e.number = k.entry"
    " CROSS JOIN sources AS s ON s.number = e.source"
)
_FIND = f"SELECT e.number, s.name, e.entry_id, e.kind, e.brief{_OF_KEYS} WHERE n.name = ? LIMIT ?"
_WHOLES = (
    f"SELECT e.number, s.name, e.entry_id, e.kind, e.brief, w.whole{_OF_KEYS}"
    " CROSS JOIN wholes AS w ON w.entry = e.number WHERE n.name = ? LIMIT ?"
)
_ENTRY = (
    "SELECT s.name, e.entry_id, e.kind, e.brief, w.whole FROM sources AS s"
    " CROSS JOIN entries AS e ON e.source = s.number AND e.kind IN (1, 2, 3) AND e.entry_id = ?"
    " CROSS JOIN wholes AS w ON w.entry = e.number WHERE s.name = ?"
)
_PAGE = (
    "SELECT e.entry_id, e.brief FROM sources AS s CROSS JOIN entries AS e"
    " ON e.source = s.number AND e.kind = ? AND e.entry_id > ?"
    " WHERE s.name = ? ORDER BY e.entry_id LIMIT ?"
)
_STATE = (
    "SELECT cursor, listed_at, refreshed_at, people, groups, stopped, version"
    " FROM sources WHERE name = ?"
)
KINDS = {each.value: each for each in EntryKind}

Opener = Callable[[Path], sqlite3.Connection | None]


class PictureReader:
    """Implements ReadsPicture.

    Args:
        opener: of a connection to the file; None while it holds no picture.
    """

    def __init__(self, path: Path, opener: Opener, monotonic: Callable[[], float]) -> None:
        self._path = path
        self._opener = opener
        self._monotonic = monotonic
        self._connection: sqlite3.Connection | None = None
        self._opened: tuple[int, int] | None = None
        self._next_look = 0.0
        self._trouble = ""
        self._closed = False

    def find(self, kind: KeyKind, keys: Sequence[str], limit: int = 0) -> Sequence[PicturedEntry]:
        if len(keys) == 1:  # each recipient
            # SQLite would ask the enumeration for its number, in more time than it searches.
            rows = self._rows(_FIND, (int(kind), keys[0], limit or -1))
            return [_brief(row) for row in rows]
        rows = self._of_keys(_FIND, kind, keys, limit)
        return list({row[0]: _brief(row) for row in rows}.values())

    def wholes(self, kind: KeyKind, keys: Sequence[str]) -> Sequence[PicturedEntry]:
        found: dict[int, PicturedEntry] = {}
        for number, source, entry_id, entry_kind, brief, whole in self._of_keys(
            _WHOLES, kind, keys
        ):
            found[number] = PicturedEntry(source, entry_id, KINDS[entry_kind], brief, whole)
        return list(found.values())

    def entry(self, source: str, entry_id: str) -> PicturedEntry | None:
        for row in self._rows(_ENTRY, (entry_id, source)):
            name, its_id, kind, brief, whole = row
            return PicturedEntry(name, its_id, KINDS[kind], brief, whole)
        return None

    def page(self, source: str, kind: EntryKind, after: str, limit: int) -> Sequence[PicturedEntry]:
        rows = self._rows(_PAGE, (kind, after, source, limit))
        return [PicturedEntry(source, entry_id, kind, brief) for entry_id, brief in rows]

    def state(self, source: str) -> SourceState:
        for row in self._rows(_STATE, (source,)):
            return SourceState(*row)
        return SourceState()

    def look_again(self) -> None:
        """Now: the file may have changed for another."""
        self._next_look = 0.0

    def close(self) -> None:
        """Whoever asks afterwards hears that nobody can say."""
        self._closed = True
        self._drop()

    def _of_keys(
        self, statement: str, kind: KeyKind, keys: Sequence[str], limit: int = 0
    ) -> list[Any]:
        return [
            row
            for key in dict.fromkeys(keys)
            for row in self._rows(statement, (int(kind), key, limit or -1))
        ]

    def _rows(self, statement: str, values: tuple[Any, ...]) -> list[Any]:
        """Raises: StoreUnavailable."""
        if self._monotonic() >= self._next_look:
            self._look()
        if self._connection is None:
            if self._trouble:
                raise StoreUnavailable(reason=self._trouble)
            return []
        try:
            return self._connection.execute(statement, values).fetchall()
        except sqlite3.Error as error:
            self.look_again()
            raise engine.store_error(error) from error
        except UnicodeEncodeError:  # a lone surrogate, which nobody's key can have
            return []

    def _look(self) -> None:
        self._next_look = self._monotonic() + LOOK_S
        self._trouble = ""
        if self._closed:
            self._trouble = "closed"
            return
        try:
            status = self._path.stat()
            found = (status.st_dev, status.st_ino)
            # As long as it is open here no other file can have its number.
            if self._connection is None or found != self._opened:
                self._drop()
                self._connection = self._opener(self._path)
                self._opened = found
        except FileNotFoundError:
            self._drop()
        except OSError as error:
            self._trouble = f"{self._path}: {error.strerror}"
            self._drop()
        except sqlite3.Error as error:
            self._trouble = f"{self._path}: {error}"

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        self._next_look = 0.0 if self._closed else self._next_look
        if connection is not None:
            connection.close()


def _brief(row: Any) -> PicturedEntry:
    _, source, entry_id, kind, brief = row
    return PicturedEntry(source, entry_id, KINDS[kind], brief)
