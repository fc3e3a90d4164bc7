"""A trace in memory, for doors and queues in tests; keeps the contract of the real one."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.core.trace import TraceRecord, looked_for


class FakeTrace:
    """All that was noted, in order."""

    def __init__(self) -> None:
        self.records: list[TraceRecord] = []

    def note(self, record: TraceRecord) -> None:
        self.records.append(record)

    async def find(
        self, term: str, *, since: int | None = None, until: int | None = None, limit: int = 1000
    ) -> Sequence[TraceRecord]:
        key = looked_for(term)
        if not key:
            return ()
        ids = {
            one.trace_id
            for one in self.records
            if key in one.keys or one.trace_id == key or one.trace_id.startswith(f"{key}-")
        }
        found = [
            one
            for one in self.records
            if (one.trace_id in ids and "-" in one.trace_id)
            or key in one.keys
            or one.trace_id == key
        ]
        first, last = since or 0, until if until is not None else 2**62
        chosen = [one for one in found if first <= one.at < last + 1]
        return sorted(chosen, key=lambda one: one.at)[-limit:]

    @property
    def kinds(self) -> list[str]:
        return [one.kind for one in self.records]
