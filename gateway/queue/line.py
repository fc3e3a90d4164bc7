"""What waits in the runner for room at its destination.

Owns the order: the higher priority first (RFC 6710), else as it came. Bounded by whoever adds.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from gateway.core.queue import QueueItem, WaitingRecipient


@dataclass(eq=False, slots=True)
class Group:
    """Recipients of one message that share an attempt."""

    item: QueueItem
    recipients: tuple[WaitingRecipient, ...]
    destination: str

    @property
    def priority(self) -> int:
        return self.item.options.priority


@dataclass(slots=True)
class Line:
    """Groups for one destination."""

    groups: list[Group] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.groups)

    def add(self, group: Group) -> None:
        at = len(self.groups)
        while at and self.groups[at - 1].priority < group.priority:
            at -= 1
        self.groups.insert(at, group)

    def first(self) -> Group:
        """Takes it out."""
        return self.groups.pop(0)

    def last(self) -> Group:
        """Takes it out."""
        return self.groups.pop()

    def outranks(self, group: Group) -> bool:
        """Whether a full line does better without this one: it is not more urgent than the last."""
        return self.groups[-1].priority >= group.priority
