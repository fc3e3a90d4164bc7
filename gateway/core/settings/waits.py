"""The waits between attempts, as a list or as a formula that grows.

Owns the formula, ``60 x 2 up to 14400``: from the first wait on each is so many times the one
before, until the last, which repeats. No wait is over LONGEST_S: a message due later than in a day
is taken as proof that the clock was set back (SECURITY D7).
"""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BeforeValidator, Field

LONGEST_S = 72_000
_LEAST_FACTOR = 1.1
_FORMULA = re.compile(r"(\d{1,9}) x (\d{1,4}(?:\.\d{1,3})?) up to (\d{1,9})\Z")
_EXPECTED = 'a list such as [60, 300, 900], or "60 x 2 up to 14400"'


def expanded(value: object) -> object:
    """A formula as the list that it stands for; all else as it is."""
    match value:
        case [str(only)] if " x " in only:  # as the environment gives it
            value = only
    if not isinstance(value, str):
        return value
    found = _FORMULA.match(" ".join(value.split()))
    if found is None:
        raise ValueError(_EXPECTED)
    first, factor, last = int(found[1]), float(found[2]), int(found[3])
    if not (1 <= first <= last <= LONGEST_S and factor >= _LEAST_FACTOR):
        raise ValueError(
            f"waits that begin at 1 or more, grow by {_LEAST_FACTOR} or more, and end at"
            f" {LONGEST_S} at most"
        )
    waits: list[int] = []
    wait = float(first)
    while wait < last:
        waits.append(round(wait))
        wait *= factor
    return [*waits, last]


Waits = Annotated[
    tuple[Annotated[int, Field(ge=1, le=LONGEST_S)], ...],
    BeforeValidator(expanded),
    Field(strict=False),
]
