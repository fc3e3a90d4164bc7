"""The end of a coroutine that never waits.

Owns the step from what is written for answers that may take a while (``groups``) to answers that
are there already: entries in memory, or a thread that blocks for them.
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


def at_once(coroutine: Coroutine[Any, Any, T]) -> T:
    """What the coroutine returns, or the exception that it raises.

    Raises:
        RuntimeError: it waits for something; it is closed then.
    """
    try:
        coroutine.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    coroutine.close()
    raise RuntimeError("this has to wait for something, and nobody here can")
