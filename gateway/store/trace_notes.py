"""Trace records that wait for the next commit of their process.

Owns the bound on what waits, and the count of what did not fit. Any thread adds; the committer's
thread takes. What is here when a process is killed is lost: records that must not be lost go with
their message.

Limits: MAX_NOTES records, MAX_OCTETS; they wait for WAIT_S at most where nothing else is written.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import NamedTuple

MAX_NOTES = 10_000
MAX_OCTETS = 4 * 1024 * 1024
WAIT_S = 1.0


class Note(NamedTuple):
    """One record: its time and its line."""

    at: float
    line: bytes


class Notes:
    """What one process has to add to the trace.

    Args:
        make_lost: the note that says how many were lost.
    """

    def __init__(self, monotonic: Callable[[], float], make_lost: Callable[[int], Note]) -> None:
        self._monotonic = monotonic
        self._make_lost = make_lost
        self._lock = threading.Lock()
        self._waiting: list[Note] = []
        self._octets = 0
        self._lost = 0
        self._since = 0.0

    def add(self, note: Note) -> bool:
        """Whether it is the first one that waits, so that the committer has to be told."""
        with self._lock:
            self._octets += len(note.line)
            if len(self._waiting) >= MAX_NOTES or self._octets > MAX_OCTETS:
                self._octets -= len(note.line)
                self._lost += 1
                return False
            self._waiting.append(note)
            if len(self._waiting) > 1:
                return False
            self._since = self._monotonic()
            return True

    def lose(self, notes: int) -> None:
        """So many that were taken could not be kept."""
        with self._lock:
            self._lost += notes

    def take(self) -> list[Note]:
        """All that wait, and a note about those that were lost."""
        if not self._waiting:
            return []
        with self._lock:
            taken, self._waiting = self._waiting, []
            lost, self._lost, self._octets = self._lost, 0, 0
        if lost:
            taken.append(self._make_lost(lost))
        return taken

    def wait_s(self) -> float | None:
        """How long they may still wait; None when there are none."""
        if not self._waiting:
            return None
        return max(0.0, self._since + WAIT_S - self._monotonic())
