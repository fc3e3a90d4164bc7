"""Timers by a clock that never jumps, whatever somebody does to the system's (SECURITY D7).

Owns one change of Twisted's reactor, which counts by the wall clock: after a jump back of a year
every pending timer would come a year late, and after one forward all of them at once: each time-out
of every connection, each retry.
"""

from __future__ import annotations

import time
from typing import Any


def keep_steady(reactor: Any) -> None:
    """Have the reactor count by the monotonic clock; before it has any timer."""
    assert not reactor.getDelayedCalls(), "its time is that of the other clock"
    reactor.seconds = time.monotonic
