"""How much one expansion may take, and the breaths between its batches.

Owns the count of members, levels, octets and seconds. Whoever runs on the reactor's thread gives a
``pause`` that lets others run; in a thread there is none.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

from gateway.core.errors import ExpansionFailed

MAX_DEPTH = 10
MAX_OCTETS = 32 * 1024 * 1024
"""Of members' names."""
LIMIT_S = 20.0
"""For one group; a client that has said RCPT waits for minutes (RFC 5321 section 4.5.3.2)."""

Pause = Callable[[], Awaitable[None]]


async def no_pause() -> None:
    return


class Effort:
    """Of one expansion.

    Args:
        most: members.
        pause: called between batches.
        monotonic: seconds that never jump.
    """

    def __init__(
        self,
        group: str,
        most: int,
        *,
        pause: Pause = no_pause,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._group = group
        self.most = most
        self._pause = pause
        self._monotonic = monotonic
        self._until = monotonic() + LIMIT_S
        self._members = 0
        self._octets = 0

    def count(self, octets: int) -> None:
        """One more member, of a name so long. Raises: ExpansionFailed."""
        self._members += 1
        self._octets += octets
        if self._members > self.most:
            raise self.failed(f"more than {self.most} members")
        if self._octets > MAX_OCTETS:
            raise self.failed(f"more than {MAX_OCTETS} octets of members' names")

    async def breathe(self) -> None:
        """Between batches. Raises: ExpansionFailed."""
        if self._monotonic() > self._until:
            raise self.failed(f"not resolved within {LIMIT_S:g} s")
        await self._pause()

    def failed(self, reason: str) -> ExpansionFailed:
        return ExpansionFailed(group=self._group, reason=reason)
