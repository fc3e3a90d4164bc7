"""An administrator's rule by which queued messages are held. Values only."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class HoldRule:
    """Holds what fits all of its filters; an empty one does not narrow.

    Args:
        rule_id: ascending, never given twice; 0: not made yet.
        sender, recipient, destination: as in ``core.queue.QueueFilter``.
        larger_octets: messages of more octets than this; 0: of any.
        reason: in plain words.
        made_by: who made it.
        made_at: Unix time.
    """

    rule_id: int
    sender: str = ""
    recipient: str = ""
    destination: str = ""
    larger_octets: int = 0
    reason: str = ""
    made_by: str = ""
    made_at: int = 0
