"""The memory in which all workers count: open connections and rates (``policy.shared_connections``
and ``core.shared_counters`` say how).

Owns the shared memory, made by the parent and inherited by workers as a descriptor: first the
numbers of the rates, then a table of open connections for the whole gateway, and one for each check
of open connections.
"""

from __future__ import annotations

import mmap
import os
import tempfile

from gateway.core.settings.model import Settings
from gateway.core.shared_counters import SLOTS
from gateway.policy.from_settings import connection_bounds, names_in_use
from gateway.policy.shared_connections import ROW

_OCTETS = 4
_RATES = SLOTS * 8


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
        numbers = self._all[_RATES:].cast("I")
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
        os.ftruncate(fd, _RATES + tables * workers * ROW * _OCTETS)
        return cls(fd, tables)

    def clear(self, row: int) -> None:
        """The worker of this row is gone, and its connections with it; what it let in still counts
        for the rates."""
        for table in self.tables:
            table[row * ROW : (row + 1) * ROW] = memoryview(bytes(ROW * _OCTETS)).cast("I")

    def close(self) -> None:
        for table in self.tables:
            table.release()
        self.rates.release()
        self._all.release()
        self._memory.close()
        os.close(self.fd)
