"""Where administrators look at the queue and change what waits in it, by calls in JSON's shapes.

Owns the calls (``list``, ``show``, ``retry``, ``hold``, ``release``, ``delete``, ``bounce``) and
that each deed is logged and traced with who did it; what they take and answer is in ``desk_forms``.
Works beside the runner of this process, or without one on a store that nobody serves. Never parses
a command line.

Limits: MAX_PAGE messages in one answer, MAX_IDS in one call, AT_ONCE of which are done together.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

from twisted.internet.defer import Deferred, DeferredList
from twisted.logger import Logger

from gateway.core.envelope import Notify
from gateway.core.ids import QueueId
from gateway.core.log_text import escaped
from gateway.core.ports.clock import WallClock
from gateway.core.ports.queue import QueueControl, QueueStore
from gateway.core.queue import QueueEntry, Recorded
from gateway.queue.desk_forms import (
    Answer,
    Arguments,
    CallRefused,
    argument,
    entry_of,
    filter_of,
    row_of,
)
from gateway.queue.journal import Journal
from gateway.queue.reports import ReportWriter
from gateway.wire.dsn import Reported
from gateway.wire.dsn_words import Action

MAX_PAGE = 1000
MAX_IDS = 500
MAX_REASON = 200
AT_ONCE = 50  # share a commit
BOUNCED_STATUS = "5.7.1"  # RFC 3463 section 3.8: refused by the management


class Sending(Protocol):
    """The runner, as far as deeds concern it."""

    def recall(self, queue_id: QueueId, *, if_whole: bool) -> bool:
        """Let go of what has not begun (with ``if_whole`` only if nothing has), and take none of
        the message until ``allow``; True if some of it is being sent."""
        ...

    def allow(self, queue_id: QueueId) -> None: ...


class QueueDesk:
    """Answers calls.

    Args:
        reports: for ``bounce``.
        runner: None where nobody sends.
    """

    log = Logger()

    def __init__(
        self,
        store: QueueStore,
        control: QueueControl,
        reports: ReportWriter,
        journal: Journal,
        wall_clock: WallClock,
        runner: Sending | None = None,
    ) -> None:
        self._store = store
        self._control = control
        self._reports = reports
        self._journal = journal
        self._wall_clock = wall_clock
        self._runner = runner
        self._deeds: Mapping[str, Callable[[QueueEntry, str], Awaitable[str]]] = {
            "retry": self._retry,
            "hold": self._hold,
            "release": self._release,
            "delete": self._delete,
            "bounce": self._bounce,
        }

    async def call(self, name: str, arguments: Arguments, actor: str) -> Answer:
        """Args:
            actor: who asks, for log and trace.

        Raises: CallRefused, StoreUnavailable.
        """
        if name == "list":
            return await self._list(arguments)
        if name == "show":
            return await self._show(arguments)
        if name not in self._deeds:
            raise CallRefused()
        return await self._do(name, arguments, actor)

    # -- looking

    async def _list(self, arguments: Arguments) -> Answer:
        limit = argument(arguments, "limit", int, 100)
        if not 0 < limit <= MAX_PAGE:
            raise CallRefused(f"limit: found {limit}; expected 1 to {MAX_PAGE}")
        after = argument(arguments, "after", str, "")
        which = filter_of(arguments)
        found = await self._control.listed(which, after=QueueId(after) or None, limit=limit)
        more = found[-1].queue_id if len(found) == limit else ""
        return {"messages": [row_of(each) for each in found], "more_after": more}

    async def _show(self, arguments: Arguments) -> Answer:
        queue_id = QueueId(argument(arguments, "id", str, ""))
        entry = await self._control.entry(queue_id)
        if entry is None:
            raise CallRefused(f"no message {escaped(queue_id, 40)!r} waits in the queue")
        return entry_of(entry)

    # -- deeds

    async def _do(self, name: str, arguments: Arguments, actor: str) -> Answer:
        ids = arguments.get("ids")
        if not isinstance(ids, list) or not all(isinstance(each, str) for each in ids):
            raise CallRefused("ids: expected a list of queue ids")
        if not 0 < len(ids) <= MAX_IDS:
            raise CallRefused(f"ids: found {len(ids)}; expected 1 to {MAX_IDS}")
        reason = argument(arguments, "reason", str, "")[:MAX_REASON]
        done: list[str] = []
        refused: list[Answer] = []
        wanted = list(dict.fromkeys(ids))
        for start in range(0, len(wanted), AT_ONCE):
            piece = wanted[start : start + AT_ONCE]
            deeds = [Deferred.fromCoroutine(self._one(name, each, reason, actor)) for each in piece]
            await DeferredList(deeds, consumeErrors=False)  # all, also where one of them fails
            for deed, queue_id in zip(deeds, piece, strict=True):
                entry, problem = await deed
                if entry is None or problem:
                    refused.append({"id": queue_id, "why": problem})
                else:
                    done.append(entry.item.queue_id)
        return {"done": done, "refused": refused}

    async def _one(
        self, name: str, queue_id: str, reason: str, actor: str
    ) -> tuple[QueueEntry | None, str]:
        """A deed, and its records if it is done."""
        entry, problem = await self._deed(name, QueueId(queue_id), reason)
        if entry is not None and not problem:
            self.log.info(
                "{queue_id} {deed} by {actor}: {reason}",
                queue_id=entry.item.queue_id,
                deed=name,
                actor=actor,
                reason=escaped(reason),
            )
            told = {"reason": reason} if reason else {}
            self._journal.handled(entry.item, _KINDS[name], actor, **told)
        return entry, problem

    async def _deed(
        self, name: str, queue_id: QueueId, reason: str
    ) -> tuple[QueueEntry | None, str]:
        """What it was done to, and nothing, or why it was not done."""
        entry = await self._control.entry(queue_id)
        if entry is None:
            return None, "no such message waits in the queue"
        if self._runner is None or name not in _KEPT_FROM_RUNNER:
            return entry, await self._deeds[name](entry, reason)
        queue_id = entry.item.queue_id
        # A message that is held in the middle of an attempt is held when that is over.
        if_whole = name != "hold"
        try:
            if self._runner.recall(queue_id, if_whole=if_whole) and if_whole:
                text = "it is being sent at this moment; hold it, and try again when that is over"
                return None, text
            # As it is now that nobody sends it: who got it meanwhile is not to be reported about.
            entry = await self._control.entry(queue_id)
            if entry is None:
                return None, "it has just been delivered"
            return entry, await self._deeds[name](entry, reason)
        finally:
            self._runner.allow(queue_id)

    async def _retry(self, entry: QueueEntry, reason: str) -> str:
        if await self._control.hasten([entry.item.queue_id]):
            return ""
        return f"it is held ({entry.message.hold}); release it"

    async def _hold(self, entry: QueueEntry, reason: str) -> str:
        held = await self._control.hold([entry.item.queue_id], reason or "by an administrator")
        return "" if held else "it has just been delivered"

    async def _release(self, entry: QueueEntry, reason: str) -> str:
        return "" if await self._control.release([entry.item.queue_id]) else "it is not held"

    async def _delete(self, entry: QueueEntry, reason: str) -> str:
        removed = await self._control.remove([entry.item.queue_id])
        return "" if removed else "it has just been delivered"

    async def _bounce(self, entry: QueueEntry, reason: str) -> str:
        item = entry.item
        if item.sender is None:
            return "it has the null sender, so nobody can be told; delete it"
        about: list[tuple[int, Reported]] = []
        for each in item.recipients:
            asked = each.options.notify
            if asked is None or Notify.FAILURE in asked:
                text = f"given back by the administrator of this server {reason}".strip()
                if each.last_reply:
                    text += f"; the last answer was: {each.last_reply}"
                reported = Reported(
                    each.address, Action.FAILED, BOUNCED_STATUS, text, "", each.options.original
                )
                about.append((each.number, reported))
        now = int(self._wall_clock())
        report = await self._reports.prepare(item, about, now) if about else None
        gone = [Recorded(each.number, each.attempts, None, "") for each in item.recipients]
        body = self._store.open_body()
        try:
            message = report.to_message(body) if report is not None else None
            await self._store.record(item.queue_id, gone, message)
        finally:
            body.discard()
        if report is not None:
            self._journal.reported(item, report.report_id, Action.FAILED.value)
        return ""


_KEPT_FROM_RUNNER = frozenset({"hold", "delete", "bounce"})
_KINDS = {
    "retry": "hastened",
    "hold": "held",
    "release": "released",
    "delete": "deleted",
    "bounce": "bounced",
}
