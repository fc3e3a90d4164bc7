"""A list in a file, read again when the file has changed, without a restart and off the reactor.

Owns when the file is looked at (at most once in LOOK_S, when somebody asks), by its modification
time, size and number, and what happens to one that is broken: it is told with its lines, and the
old entries stay. Whoever asks while a look is running waits for it, LOOK_WAIT_S at most; a file
from BIG_OCTETS on is read behind their backs, and the old entries serve until it is in place.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol, TypeVar

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from gateway.core.ports.clock import Timers
from gateway.core.text_files import NotText, TooMuchText, text_of
from gateway.policy.entries import MAX_OCTETS, BrokenList, Entries, read_entries
from gateway.policy.waiting import bounded

T = TypeVar("T")

LOOK_S = 1.0
LOOK_WAIT_S = 0.5
BIG_OCTETS = 1024 * 1024
BREATHER_S = 0.0005

Stamp = tuple[int, int, int]
"""Of a file: modified (ns), octets, inode."""


class InThread(Protocol):
    """Runs work that may block in a thread; the result comes on the reactor."""

    def __call__(self, work: Callable[[], T], /) -> Deferred[T]: ...


class ListFile:
    """The entries of one file.

    Args:
        of: what is looked up in it.
        timers: its seconds say when a look is due.
    """

    log = Logger()

    def __init__(self, path: Path, of: str, *, timers: Timers, in_thread: InThread) -> None:
        """Reads it. Raises: BrokenList, OSError."""
        self.path = path
        self._of = of
        self._timers = timers
        self._in_thread = in_thread
        self._stamp = stamp_of(path)
        self.entries = read_list(path, of)
        self._look_at = timers.seconds() + LOOK_S
        self._looking: Deferred[Any] | None = None
        self._waiting: list[Deferred[Entries]] = []
        self._told = ""

    def current(self) -> Entries | Deferred[Entries]:
        """What is in the file now, or was when that cannot be known soon."""
        if self._looking is None:
            if self._timers.seconds() < self._look_at:
                return self.entries
            self._begin()
        if self._looking is None:  # a thread that answers at once
            return self.entries
        waiting: Deferred[Entries] = Deferred()
        self._waiting.append(waiting)
        return bounded(waiting, LOOK_WAIT_S, self._timers, lambda: self.entries)

    def _begin(self) -> None:
        stamp = self._stamp
        try:
            look = self._in_thread(lambda: self._look(stamp))
        except Exception as error:  # too many wait for the thread
            self._failed(Failure(error))
            return
        look.addCallback(self._looked).addErrback(self._failed)
        if not look.called:
            self._looking = look

    def _look(self, known: Stamp) -> tuple[Stamp, Entries | BrokenList | None]:
        """In a thread. None: unchanged, or too big to be waited for."""
        stamp = stamp_of(self.path)
        if stamp == known or stamp[1] >= BIG_OCTETS:
            return stamp, None
        return stamp, self._read()

    def _read(self, give_way: Callable[[], object] = lambda: None) -> Entries | BrokenList:
        try:
            return read_list(self.path, self._of, give_way)
        except BrokenList as broken:
            return broken

    def _looked(self, found: tuple[Stamp, Entries | BrokenList | None]) -> None:
        stamp, content = found
        if content is not None:
            self._take(content, stamp)
        elif stamp == self._stamp:
            self._finish()
        else:
            self._serve_old()
            reading = self._in_thread(lambda: self._read(lambda: time.sleep(BREATHER_S)))
            reading.addCallback(self._take, stamp).addErrback(self._failed)
            if not reading.called:
                self._looking = reading

    def _take(self, content: Entries | BrokenList, stamp: Stamp) -> None:
        self._stamp = stamp  # also of a broken one, which is not read again each second
        if isinstance(content, BrokenList):
            self._complain(str(content))
        else:
            self.entries, self._told = content, ""
            self.log.info("{path}: {count} entries read", path=str(self.path), count=content.count)
        self._finish()

    def _failed(self, failure: Failure) -> None:
        error = failure.value
        name = type(error).__name__
        self._complain(getattr(error, "strerror", None) or f"{name}: {error}")
        self._finish()

    def _complain(self, text: str) -> None:
        if text != self._told:  # once, not each second
            self._told = text
            self.log.error(
                "{path} cannot be used, the entries read before stay in force: {text}",
                path=str(self.path),
                text=text,
            )

    def _finish(self) -> None:
        self._looking = None
        self._look_at = self._timers.seconds() + LOOK_S
        self._serve_old()

    def _serve_old(self) -> None:
        """Those who wait get what there is."""
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            if not each.called:
                each.callback(self.entries)


def stamp_of(path: Path) -> Stamp:
    """Raises: OSError."""
    status = path.stat()
    return status.st_mtime_ns, status.st_size, status.st_ino


def read_list(path: Path, of: str, give_way: Callable[[], object] = lambda: None) -> Entries:
    """Raises: BrokenList, OSError."""
    with path.open("rb") as file:
        octets = file.read(MAX_OCTETS + 1)
    try:
        text = text_of(octets, MAX_OCTETS)
    except TooMuchText:
        raise BrokenList([(f"more than {MAX_OCTETS} octets", "fewer")]) from None
    except NotText as error:
        raise BrokenList([(f"octets in line {error.line}", "UTF-8 text")]) from None
    size = octets.count(b"\n") + 1
    del octets
    return read_entries(of, _lines(text), size, give_way)


def _lines(text: str) -> Iterator[str]:
    """One at a time, as a list of a million would take more memory than the entries."""
    start = 0
    while (end := text.find("\n", start)) >= 0:
        yield text[start:end]
        start = end + 1
    yield text[start:]
