"""The memory in which all workers count connections: ``policy.shared_connections`` says how.

Owns the shared memory: made by the parent, inherited by workers as a descriptor.
"""

from __future__ import annotations

import mmap
import os
import tempfile

from gateway.policy.shared_connections import ROW

_OCTETS = 4


class ConnectionTable:
    """A row of numbers for each worker."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self._memory = mmap.mmap(fd, 0)
        self.numbers = memoryview(self._memory).cast("I")

    @classmethod
    def make(cls, workers: int) -> ConnectionTable:
        """All zero."""
        if hasattr(os, "memfd_create"):
            fd = os.memfd_create("gateway-connections", os.MFD_CLOEXEC)
        else:  # no Linux: a file without a name
            with tempfile.TemporaryFile() as file:
                fd = os.dup(file.fileno())
        os.ftruncate(fd, workers * ROW * _OCTETS)
        return cls(fd)

    def clear(self, row: int) -> None:
        """The worker of this row is gone, and its connections with it."""
        self.numbers[row * ROW : (row + 1) * ROW] = memoryview(bytes(ROW * _OCTETS)).cast("I")

    def close(self) -> None:
        self.numbers.release()
        self._memory.close()
        os.close(self.fd)
