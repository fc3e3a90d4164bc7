"""Waiting for another process with a deadline, where no event tells us."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Event
from typing import TypeVar

T = TypeVar("T")


def eventually(probe: Callable[[], T], *, deadline_s: float = 60.0, every_s: float = 0.05) -> T:
    """The first true value of the probe; fails the test when none comes in time."""
    end = time.monotonic() + deadline_s
    pause = Event()
    while not (value := probe()):
        assert time.monotonic() < end, f"not reached within {deadline_s} s"
        pause.wait(every_s)
    return value
