"""What is looked at before an attempt: may this message be sent at all?

Owns the question and an answer that lets everything pass. Rules that hold, and addresses that are
written to no more, answer elsewhere. Asked on the reactor thread for each attempt, so an answer
comes from memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from gateway.core.queue import Outcome, QueueItem


@dataclass(frozen=True, slots=True)
class Keep:
    """The message is held, with all its recipients, until somebody releases it."""

    reason: str


class Screen(Protocol):
    """Judges what is about to be sent."""

    async def load(self) -> None:
        """Before the first question, and again in a process that takes the queue over. Raises:
        StoreUnavailable (nothing may be sent then)."""
        ...

    def judge(self, item: QueueItem) -> Keep | Sequence[Outcome] | None:
        """None: send it. Outcomes settle those of its recipients that they name, without an
        attempt; the others are sent."""
        ...

    def learn(self, item: QueueItem, outcomes: Sequence[Outcome]) -> None:
        """How an attempt has ended, once that is recorded."""
        ...


class NoScreen:
    """Everything passes."""

    async def load(self) -> None:
        return None

    def judge(self, item: QueueItem) -> Keep | Sequence[Outcome] | None:
        return None

    def learn(self, item: QueueItem, outcomes: Sequence[Outcome]) -> None:
        return None
