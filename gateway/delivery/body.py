"""A message's octets on their way from the store to a server.

Values only; ``smtp_client`` reads and writes them.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import Deferred

CHUNK_OCTETS = 65_536

ReadBody = Callable[[int, int], Coroutine[Deferred[Any], Any, bytes]]
"""Octets of the message from an offset; fewer than asked at its end."""


@dataclass(frozen=True, slots=True)
class Body:
    """What is sent.

    Args:
        size_octets: a body that ends before is never completed with an end of data.
        at_hand: all of it, where it is small.
    """

    size_octets: int
    read: ReadBody
    at_hand: bytes | None = None


async def _nothing(offset: int, length: int) -> bytes:
    return b""


NO_BODY = Body(0, _nothing)
