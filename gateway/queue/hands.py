"""The groups that this process has taken from the store, by message.

Owns that a message is never in hand twice for one destination: when the store hands it out again,
as its lease has ended meanwhile, that merely renews the lease.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from gateway.core.ids import QueueId
from gateway.core.queue import QueueItem
from gateway.queue.line import Group


@dataclass(slots=True)
class _Recalled:
    """Args:
    groups: that were let go of.
    taken: leased meanwhile, by a round that had begun.
    """

    groups: list[Group] = field(default_factory=list)
    taken: list[Group] = field(default_factory=list)


class Hands:
    """Groups by message and destination, and the messages that are to be left alone."""

    def __init__(self) -> None:
        self._groups: dict[QueueId, dict[str, Group]] = {}
        self._count = 0
        self._recalled: dict[QueueId, _Recalled] = {}

    def __len__(self) -> int:
        return self._count

    def take(self, group: Group) -> None:
        item = group.item
        self._groups.setdefault(item.queue_id, {})[item.destination] = group
        self._count += 1

    def let_go(self, group: Group) -> None:
        item = group.item
        groups = self._groups.get(item.queue_id)
        if groups is not None and groups.get(item.destination) is group:
            del groups[item.destination]
            self._count -= 1
            if not groups:
                del self._groups[item.queue_id]

    def refuses(self, item: QueueItem) -> bool:
        """This message is here already, or is to be left alone."""
        groups = self._groups.get(item.queue_id)
        if groups is not None and item.destination in groups:
            return True
        recalled = self._recalled.get(item.queue_id)
        if recalled is None:
            return False
        recalled.taken.append(Group(item))
        return True

    def of(self, queue_id: QueueId) -> Sequence[Group]:
        return tuple(self._groups.get(queue_id, {}).values())

    def recall(self, queue_id: QueueId, groups: Sequence[Group]) -> None:
        """Let go of these, and leave the message alone."""
        for group in groups:
            self.let_go(group)
        self._recalled.setdefault(queue_id, _Recalled()).groups.extend(groups)

    def allow(self, queue_id: QueueId, *, is_done: bool) -> Sequence[Group]:
        """Returns those whose leases still stand, or may.

        Args:
            is_done: those that were let go of have none any more.
        """
        recalled = self._recalled.pop(queue_id, None)
        if recalled is None:
            return ()
        return recalled.taken if is_done else [*recalled.groups, *recalled.taken]
