"""Ids of connections and messages: never the same again, sorted by time, short enough for a reply.

Owns their form: nine characters of time (milliseconds), five that belong to the process, so that a
clock set back repeats nothing and two processes never meet, then a serial number; all in lower-case
base 32 without the letters that look like digits.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

from gateway.core.ports.clock import WallClock

_DIGITS = "0123456789abcdefghjkmnpqrstvwxyz"
PROCESS_BITS = 25
TIME_CHARACTERS = 9


def id_source(wall_clock: WallClock, process: int) -> Callable[[], str]:
    """Makes ids. ``process``: PROCESS_BITS random bits."""
    middle = _text(process, PROCESS_BITS // 5)
    serial = itertools.count()

    def new_id() -> str:
        return f"{time_text(wall_clock())}{middle}{_text(next(serial), 1)}"

    return new_id


def time_text(at: float) -> str:
    """What ids made at this Unix time begin with; compares as the time does."""
    return _text(int(at * 1000), TIME_CHARACTERS)


def time_of(some_id: str) -> float:
    """When an id was made, at the earliest; 0 for what is none."""
    number = 0
    for digit in some_id[:TIME_CHARACTERS]:
        value = _DIGITS.find(digit)
        if value < 0:
            return 0.0
        number = number << 5 | value
    return number / 1000 if len(some_id) > TIME_CHARACTERS else 0.0


def _text(number: int, characters: int) -> str:
    text = ""
    while number or characters > len(text):
        text = _DIGITS[number & 31] + text
        number >>= 5
    return text
