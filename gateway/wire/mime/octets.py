"""The octets of a message as the scanner sees them: all in memory, or a few windows of a large one.

Owns reading a large message piece by piece with the answers that ``bytes`` would give, so that a
message of any size is scanned with a few MiB of memory. Never interprets octets, and hides no error
of whoever reads them.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Protocol

WINDOW_OCTETS = 1024 * 1024
WINDOWS = 3


class Octets(Protocol):
    """What the scanner asks of a message; ``bytes`` is one."""

    def __len__(self) -> int: ...

    def __getitem__(self, key: slice, /) -> bytes: ...

    def find(self, sub: bytes, start: int, /) -> int: ...

    def count(self, sub: bytes, start: int, end: int, /) -> int: ...


class Windows:
    """A large message, of which the windows used last are in memory.

    Args:
        read: octets from one offset up to another, exactly so many.
        size_octets: of the message.
    """

    def __init__(
        self,
        read: Callable[[int, int], bytes],
        size_octets: int,
        window_octets: int = WINDOW_OCTETS,
    ) -> None:
        self._read = read
        self._size = size_octets
        self._step = window_octets
        self._kept: OrderedDict[int, bytes] = OrderedDict()
        self._lines: dict[int, int] = {}  # of windows seen: lines are counted behind the search

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, key: slice, /) -> bytes:
        start, end, _ = key.indices(self._size)
        pieces: list[bytes] = []
        while start < end:
            index, offset = divmod(start, self._step)
            piece = self._window(index)[offset : offset + end - start]
            pieces.append(piece)
            start += len(piece)
        return b"".join(pieces)

    def find(self, sub: bytes, start: int, /) -> int:
        """As ``bytes.find``; ``sub`` is shorter than a window."""
        reach = len(sub) - 1
        while start < self._size:
            index, offset = divmod(start, self._step)
            window = self._window(index)
            at = window.find(sub, offset)
            if at >= 0:
                return index * self._step + at
            end = index * self._step + len(window)
            border = max(start, end - reach)
            if border < end < self._size:
                at = (self[border:end] + self._window(index + 1)[:reach]).find(sub)
                if at >= 0:
                    return border + at
            start = end
        return -1

    def count(self, sub: bytes, start: int, end: int, /) -> int:
        """As ``bytes.count``, of one octet; whole windows of line ends are counted once."""
        assert len(sub) == 1
        total = 0
        while start < end:
            index, offset = divmod(start, self._step)
            stop = min(end - index * self._step, self._step)
            known = self._lines.get(index) if sub == b"\n" else None
            if known is not None and offset == 0 and stop == self._step:
                total += known
            else:
                total += self._window(index).count(sub, offset, stop)
            start = index * self._step + stop
        return total

    def _window(self, index: int) -> bytes:
        window = self._kept.get(index)
        if window is not None:
            self._kept.move_to_end(index)
            return window
        while len(self._kept) >= WINDOWS:
            self._kept.popitem(last=False)
        start = index * self._step
        window = self._read(start, min(start + self._step, self._size))
        self._kept[index] = window
        if index not in self._lines:
            self._lines[index] = window.count(b"\n")
        return window
