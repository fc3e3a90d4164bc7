"""The aliases in force, from the settings and from a file that is read again when it changes.

Owns when the file is looked at: at most once in LOOK_S, when somebody asks, in a thread. A file
that was written to within SETTLE_S may be the first half of a copy, and an alias that is missing
there would be told to be unknown: it has to wait. One that cannot be used is told once, by line,
and the aliases read before stay.

Limit: MAX_OCTETS of the file.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from gateway.core.errors import GatewayError, SettingsError, SettingsProblem
from gateway.core.ports.clock import WallClock
from gateway.core.text_files import NotText, TooMuchText, text_of
from gateway.routing.aliases import NO_ALIASES, Aliases, Table, from_text

MAX_OCTETS = 16 * 1024 * 1024
LOOK_S = 1.0
SETTLE_S = 1.0

Stamp = tuple[int, int, int, int]
"""Of a file: modification and change time in ns, octets, inode."""

Look = tuple[Stamp | None, Table | SettingsError | None]
"""What a look brought; None: nothing new."""


class InThread(Protocol):
    """Runs work that blocks in a thread; the result comes on the reactor's."""

    def __call__(self, work: Callable[[], Look], /) -> Deferred[Look]: ...


class AliasSource(Protocol):
    """Where the router has its aliases from."""

    @property
    def table(self) -> Aliases: ...

    @property
    def due(self) -> bool:
        """Time to ``look``."""
        ...

    async def look(self) -> None:
        """Bring ``table`` up to date. Never fails."""
        ...


class FixedAliases:
    """Aliases that never change: those of the settings."""

    due = False

    def __init__(self, table: Aliases = NO_ALIASES) -> None:
        self.table = table

    async def look(self) -> None: ...


class AliasFile:
    """Aliases of the settings and of a file. The constructor reads it and is blocking.

    Args:
        fixed: the settings' table.
        domains: all names of ours, the first domain first.

    Raises:
        SettingsError: the file cannot be used.
    """

    log = Logger()

    def __init__(
        self,
        path: Path,
        fixed: Table,
        domains: tuple[str, ...],
        *,
        in_thread: InThread,
        monotonic: Callable[[], float] = time.monotonic,
        wall_clock: WallClock = time.time,
    ) -> None:
        self._path = path
        self._fixed = fixed
        self._domains = domains
        self._in_thread = in_thread
        self._monotonic = monotonic
        self._wall_clock = wall_clock
        stamp, table = self._read()
        self._stamp: Stamp | None = stamp
        self._last_seen: Stamp | None = stamp
        self._next_look = monotonic() + LOOK_S
        self._looking = False
        self._told = ""
        self.table = Aliases({**table, **fixed})

    @property
    def due(self) -> bool:
        return self._monotonic() >= self._next_look and not self._looking

    async def look(self) -> None:
        self._looking = True
        try:
            seen, found = await self._in_thread(self._look)
        except GatewayError:
            return  # the thread is busy or gone; the next one who asks tries again
        finally:
            self._looking = False
            self._next_look = self._monotonic() + LOOK_S
        self._last_seen = seen
        if found is None:
            return
        self._stamp = seen  # also of a broken one, which is not read again each second
        if isinstance(found, SettingsError):
            self._complain(found)
        else:
            self._told = ""
            self.table = Aliases({**found, **self._fixed})
            self.log.info("{path}: read again, {count} aliases", path=self._path, count=len(found))

    def _complain(self, error: SettingsError) -> None:
        text = str(error)
        if text != self._told:
            self._told = text
            self.log.error(
                "{path} cannot be used, the aliases read before stay in force: {error}",
                path=self._path,
                error=error,
            )

    # -- in the thread, but for the first time

    def _look(self) -> Look:
        try:
            stamp = _stamp(self._path.stat())
        except OSError as error:
            return None, None if self._stamp is None else self._problem(error.strerror)
        age_s = self._wall_clock() - stamp[0] / 1e9
        # Unchanged since the look before also counts: the file's clock may be ahead of ours.
        if stamp == self._stamp or (age_s < SETTLE_S and stamp != self._last_seen):
            return stamp, None
        try:
            read, table = self._read()
        except SettingsError as error:
            return stamp, error
        return read, table if read == stamp else None  # written to just now: next time

    def _read(self) -> tuple[Stamp, Table]:
        """Raises: SettingsError."""
        try:
            with self._path.open("rb") as file:
                octets = file.read(MAX_OCTETS + 1)
                stamp = _stamp(os.fstat(file.fileno()))
            text = text_of(octets, MAX_OCTETS)
        except OSError as error:
            raise self._problem(error.strerror) from error
        except NotText as error:
            raise self._problem(f"octets that are not UTF-8 in line {error.line}") from None
        except TooMuchText:
            raise self._problem(f"more than {MAX_OCTETS} octets") from None
        return stamp, from_text(text, str(self._path), self._domains, self._fixed.keys())

    def _problem(self, found: str | None) -> SettingsError:
        expected = "a readable file of aliases"
        return SettingsError(
            [SettingsProblem(str(self._path), "recipients.aliases_file", str(found), expected)]
        )


def _stamp(status: os.stat_result) -> Stamp:
    return status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino
