"""What the trace knows of a queued message: how it came in, what the checks at the door said, every
attempt with the other server's words, and who did what to it.

Owns which records are meant. Where nothing is traced, or no more, it says so, and the message's own
last answers are all there is.

Limits: the latest MAX_RECORDS steps of a message.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gateway.core.ports.trace import TraceStore
from gateway.core.queue import QueueEntry
from gateway.core.trace import TraceRecord
from gateway.queue.desk_forms import Answer

MAX_RECORDS = 1000
EARLIER_S = 3600
"""Clocks are set, and a connection may last a while before its message is accepted."""

_OUTCOMES = ("delivered", "deferred", "failed", "expired")
_DEEDS = ("hastened", "held", "released", "rerouted", "bounced")
_TOLD = ("reported", "not reported")
_CAME_BY = ("ip", "hello", "host_name", "login", "listener", "protocol", "tls", "message_id")


async def history_of(trace: TraceStore | None, entry: QueueEntry) -> Answer:
    """Keys ``attempts``, ``deeds``, ``reports``, ``accepted``, ``policy`` and ``traced``.

    Raises: StoreUnavailable.
    """
    records: Sequence[TraceRecord] = ()
    if trace is not None:
        item = entry.item
        found = await trace.find(
            item.message_id or item.queue_id,
            since=item.created_at - EARLIER_S,
            limit=MAX_RECORDS,
        )
        records = [each for each in found if _is_about(each, entry)]
    answer: Answer = {
        "traced": bool(records),
        "accepted": {},
        "policy": [],
        "attempts": [],
        "reports": [],
        "deeds": [],
    }
    for each in records:
        if each.kind == "accepted":
            answer["accepted"] = {
                name: each.fields[name] for name in _CAME_BY if each.fields.get(name)
            }
            answer["policy"] = each.fields.get("verdicts") or []
        elif each.kind in _OUTCOMES:
            answer["attempts"].append(_step(each, outcome=each.kind))
        elif each.kind in _TOLD:
            answer["reports"].append(_step(each, what=each.kind))
        elif each.kind in _DEEDS:
            answer["deeds"].append(_step(each, deed=each.kind))
    return answer


def _is_about(record: TraceRecord, entry: QueueEntry) -> bool:
    """A search by a message's id finds what others say of it too, such as reports."""
    return record.trace_id in (entry.item.message_id, entry.item.queue_id)


def _step(record: TraceRecord, **named: str) -> Answer:
    fields: dict[str, Any] = {
        name: value for name, value in record.fields.items() if name != "queue_id"
    }
    return {"at": record.at, **named, **fields}
