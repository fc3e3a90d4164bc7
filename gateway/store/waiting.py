"""The line of operations in front of the committer, and how batches are formed from it.

Owns the bound on what may wait and the size of a batch. Any thread adds; the committer's thread
takes, and another one takes all of it once the committer is stuck. Never runs an operation.
"""

from __future__ import annotations

import queue
from enum import Enum
from typing import Any

from gateway.core.errors import StoreUnavailable
from gateway.store.operations import Operation

MAX_WAITING = 10_000
BATCH_OPERATIONS = 512
BATCH_OCTETS = 16 * 1024 * 1024


class Sign(Enum):
    """What stands in the line besides operations."""

    END = "end"  # nothing comes behind it
    LOOK = "look"  # something else than an operation is to be looked at


class WaitingLine:
    """First come, first served."""

    def __init__(self) -> None:
        self._line: queue.SimpleQueue[Operation[Any] | Sign] = queue.SimpleQueue()

    def add(self, operation: Operation[Any]) -> None:
        """Raises: StoreUnavailable (too many are waiting)."""
        if self._line.qsize() >= MAX_WAITING:
            raise StoreUnavailable(waiting=MAX_WAITING)
        self._line.put(operation)

    def wake(self) -> None:
        """Let whoever waits for operations look at what else there is to do."""
        self._line.put(Sign.LOOK)

    def end(self) -> None:
        """After the last operation."""
        self._line.put(Sign.END)

    def next(self, timeout_s: float | None) -> Operation[Any] | Sign | None:
        """The first of the line; None when nothing has come in that time."""
        try:
            return self._line.get(timeout=timeout_s)
        except queue.Empty:
            return None

    def batch(self, first: Operation[Any]) -> tuple[list[Operation[Any]], bool]:
        """The operation and those behind it that fit; and whether they are the last of all."""
        batch = [first]
        octets = _octets(first)
        while len(batch) < BATCH_OPERATIONS and octets < BATCH_OCTETS:
            try:
                one = self._line.get_nowait()
            except queue.Empty:
                break
            if one is Sign.END:
                return batch, True
            if isinstance(one, Operation):
                batch.append(one)
                octets += _octets(one)
        return batch, False

    def take_all(self) -> list[Operation[Any]]:
        """Everything that waits. The end comes all the same."""
        taken: list[Operation[Any]] = []
        while True:
            try:
                one = self._line.get_nowait()
            except queue.Empty:
                return taken
            if one is Sign.END:
                self.end()
                return taken
            if isinstance(one, Operation):
                taken.append(one)


def _octets(operation: Operation[Any]) -> int:
    return sum(len(payload.octets) for payload in operation.payloads)
