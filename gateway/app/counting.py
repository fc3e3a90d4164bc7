"""The memory in which all workers count: open connections, rates and failed logins
(``policy.shared_connections``, ``core.shared_counters`` and ``core.shared_marks`` say how).

Owns the shared memory, made by the parent and inherited by workers as a descriptor: first the
numbers of the rates, then the marks of logins, then a table of open connections for the whole
gateway, and one for each check of open connections.
"""

from __future__ import annotations

import mmap
import os
import tempfile

from gateway.core.settings.model import Settings
from gateway.core.shared_counters import SLOTS
from gateway.core.shared_marks import WORDS
from gateway.policy.from_settings import connection_bounds, names_in_use
from gateway.policy.shared_connections import ROW

_OCTETS = 4
_RATES = SLOTS * 8
MARKS = 3
"""Tables of marks: see ``auth.throttle.LoginMemory``."""
_MARKS = WORDS * 8
_BEFORE = _RATES + MARKS * _MARKS


def tables_of(settings: Settings) -> int:
    """How many tables of open connections these settings ask for."""
    return 1 + len(connection_bounds(settings.policies, names_in_use(settings.listen)))


class CountingMemory:
    """Rates, and tables with a row of numbers for each worker."""

    def __init__(self, fd: int, tables: int) -> None:
        self.fd = fd
        self._memory = mmap.mmap(fd, 0)
        self._all = memoryview(self._memory)
        self.rates = self._all[:_RATES].cast("d")
        self.marks = [
            self._all[start : start + _MARKS].cast("Q") for start in range(_RATES, _BEFORE, _MARKS)
        ]
        numbers = self._all[_BEFORE:].cast("I")
        size = len(numbers) // tables
        self.tables = [numbers[start : start + size] for start in range(0, len(numbers), size)]

    @classmethod
    def make(cls, workers: int, tables: int) -> CountingMemory:
        """All zero."""
        if hasattr(os, "memfd_create"):
            fd = os.memfd_create("gateway-counts", os.MFD_CLOEXEC)
        else:  # no Linux: a file without a name
            with tempfile.TemporaryFile() as file:
                fd = os.dup(file.fileno())
        os.ftruncate(fd, _BEFORE + tables * workers * ROW * _OCTETS)
        return cls(fd, tables)

    def clear(self, row: int) -> None:
        """The worker of this row is gone, and its connections with it; what it let in and whom it
        refused still counts for the rates and the logins."""
        for table in self.tables:
            table[row * ROW : (row + 1) * ROW] = memoryview(bytes(ROW * _OCTETS)).cast("I")

    def close(self) -> None:
        for table in (*self.tables, *self.marks):
            table.release()
        self.rates.release()
        self._all.release()
        self._memory.close()
        os.close(self.fd)
