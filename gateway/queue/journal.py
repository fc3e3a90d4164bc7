"""What the queue tells the trace: attempts, reports, and what administrators do to held mail.

Owns which fields a record has; the id is the message's, so that one search tells the whole way.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from gateway.core.address import Address, path
from gateway.core.ids import QueueId
from gateway.core.log_text import escaped
from gateway.core.ports.clock import WallClock
from gateway.core.ports.trace import TraceStore
from gateway.core.queue import Outcome, QueueItem, Verdict, WaitingRecipient
from gateway.core.trace import FieldValue, TraceRecord, search_key


class Named(Protocol):
    """A queued message, as far as a record tells which one it is about."""

    @property
    def queue_id(self) -> QueueId: ...

    @property
    def message_id(self) -> str: ...


class Journal:
    """The records of one queue; without a trace it does nothing."""

    def __init__(self, trace: TraceStore | None, wall_clock: WallClock) -> None:
        self._trace = trace
        self._wall_clock = wall_clock

    def attempted(
        self,
        item: QueueItem,
        recipient: WaitingRecipient,
        outcome: Outcome,
        next_attempt_at: int | None,
    ) -> None:
        """One attempt for one recipient: ``delivered``, ``deferred``, ``failed``, or ``expired``
        when it was the last one that its time allowed."""
        if self._trace is None:
            return
        expired = outcome.verdict is Verdict.DEFERRED and next_attempt_at is None
        fields: dict[str, FieldValue] = {
            "recipient": path(recipient.address),
            "status": outcome.status,
            "reply": escaped(outcome.reply),
            "attempt": recipient.attempts + 1,
        }
        if outcome.remote:
            fields["remote"] = outcome.remote
        if outcome.via:
            fields["via"] = outcome.via
        if recipient.next_hop:
            fields["next_hop"] = recipient.next_hop
        if next_attempt_at is not None:
            fields["next_attempt_at"] = next_attempt_at
        kind = "expired" if expired else outcome.verdict.value
        self._note(item, kind, fields, search_key(str(recipient.address)))

    def reported(
        self, item: QueueItem, report_id: str, what: str, to: Address | None = None
    ) -> None:
        """A report goes to the sender, or to somebody in their place. ``what``: ``failed``..."""
        shown = path(to or item.sender)
        fields: dict[str, FieldValue] = {"report_id": report_id, "about": what, "to": shown}
        self._note(item, "reported", fields, search_key(report_id), search_key(shown))

    def unreported(self, item: QueueItem, recipient: str, why: str) -> None:
        """Nobody is told of a failure."""
        self._note(item, "not reported", {"recipient": recipient, "why": why})

    def handled(self, item: Named, kind: str, by: str, **fields: FieldValue) -> None:
        """Somebody held, released, retried, deleted or bounced the message; ``kind`` says which."""
        self._note(item, kind, {"by": by, **fields})

    def changed(self, kind: str, by: str, what: str, fields: Mapping[str, FieldValue]) -> None:
        """Somebody changed what all mail goes by; found by ``what``."""
        if self._trace is None:
            return
        at = self._wall_clock()
        trace_id = f"{kind.replace(' ', '-')}-{at:.6f}"  # a record of its own: no message's
        self._trace.note(TraceRecord(trace_id, at, kind, (search_key(what),), {"by": by, **fields}))

    def _note(self, item: Named, kind: str, fields: Mapping[str, FieldValue], *keys: str) -> None:
        if self._trace is None:
            return
        trace_id = item.message_id or item.queue_id
        self._trace.note(
            TraceRecord(
                trace_id,
                self._wall_clock(),
                kind,
                (search_key(item.queue_id), *keys),
                {"queue_id": item.queue_id, **fields},
            )
        )
