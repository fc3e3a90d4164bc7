"""What is handed to the committer: one unit of writing each.

Never runs anything itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from twisted.internet.defer import Deferred

from gateway.store.bodies import Payload
from gateway.store.transaction import Transaction

T = TypeVar("T")


class Group(Protocol):
    """Operations that can run together."""

    def run_together(self, tx: Transaction, items: Sequence[Any], careful: bool) -> list[Any]:
        """Results in the order of the items. Not ``careful``: a result may be the GatewayError of
        an item that left nothing behind; or it may raise for any oddity, and all items are undone
        then, and each is run again alone and carefully."""
        ...


@dataclass(slots=True, eq=False)
class Operation(Generic[T]):
    """A unit of writing.

    Args:
        run: the work, when it stands alone.
        payloads: octets that must be in the store before it runs.
        uses_reserve: it must work on a full disk.
        group, item: for operations that can run together, instead of ``run``.
        deferred: gets the result on the reactor; None when nobody waits.
    """

    run: Callable[[Transaction], T] | None = None
    payloads: Sequence[Payload] = ()
    uses_reserve: bool = False
    group: Group | None = None
    item: object = None
    deferred: Deferred[T] | None = None
    result: Any = None
    error: BaseException | None = None
