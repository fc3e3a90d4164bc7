"""How long work tells what it has done so far; kept by the commands, which show it.

Owns the shape alone. Calls are cheap, so work may call after each piece; who shows it chooses when.
"""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Told after each piece of work."""

    def __call__(self, what: str, done: int, total: int, unit: str = "") -> None:
        """``done`` of ``total`` (0 when nobody knows) of what is being done now.

        Args:
            what: the stage, such as ``copying messages``; a new one ends the one before.
            unit: what is counted, such as ``messages``; ``octets`` are shown as MiB.
        """
        ...


def silent(what: str, done: int, total: int, unit: str = "") -> None:
    """Progress that nobody looks at."""
