"""Keeps the index's log short: readers that overlap without a pause would have it grow for ever.

SQLite begins its log anew when a commit finds everything copied and nobody reading what lies in it.
Where someone always does, that moment never comes by itself, and each checkpoint leaves the file a
little longer. So whoever has the turn to write waits for the readers now and then, which lasts as
long as the longest read; those that begin meanwhile read the index itself. A backup, which reads
for minutes, is not waited for: its time over, it is tried again.

Used by the committer's thread, with the turn.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

from twisted.logger import Logger

from gateway.store import engine

LONG_OCTETS = 2 * engine.LOG_OCTETS
LOOK_S = 1.0
PATIENCE_S = 0.25
AGAIN_S = 10.0


class LogLength:
    """Looks after the log of one store."""

    log = Logger()

    def __init__(
        self,
        connection: sqlite3.Connection,
        index: Path,
        monotonic: Callable[[], float],
        long_octets: int = LONG_OCTETS,
    ) -> None:
        self._connection = connection
        self._file = index.with_name(f"{index.name}-wal")
        self._monotonic = monotonic
        self._long_octets = long_octets
        self._next_look_at = 0.0

    def look(self) -> None:
        """After a commit, with the turn. Never raises: the commit stands."""
        now = self._monotonic()
        if now < self._next_look_at:
            return
        self._next_look_at = now + LOOK_S
        try:
            if self._file.stat().st_size > self._long_octets:
                self._restart()
        except (OSError, sqlite3.Error) as error:
            self.log.warn("the index's log stays long: {error}", error=str(error))
            self._next_look_at = now + AGAIN_S

    def _restart(self) -> None:
        if not engine.restart_log(self._connection, PATIENCE_S):
            self._next_look_at = self._monotonic() + AGAIN_S
