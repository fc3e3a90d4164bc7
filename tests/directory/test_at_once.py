"""Coroutines that never wait, run to their end."""

from __future__ import annotations

import pytest
from twisted.internet.defer import Deferred

from gateway.directory.at_once import at_once


async def twice(number: int) -> int:
    return number * 2


async def failing() -> int:
    raise KeyError("x")


def test_what_it_returns_or_raises_comes_back() -> None:
    async def outer() -> int:
        return await twice(21)

    assert at_once(outer()) == 42
    with pytest.raises(KeyError):
        at_once(failing())


def test_one_that_waits_is_a_mistake_and_is_closed() -> None:
    ended = []

    async def waiting() -> None:
        try:
            await Deferred()
        finally:
            ended.append(True)

    with pytest.raises(RuntimeError):
        at_once(waiting())
    assert ended
