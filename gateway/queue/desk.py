"""Where administrators look at the queue and change what waits in it, by calls in JSON's shapes.

Owns the calls (``list``, ``show``, ``retry``, ``hold``, ``release``, ``delete``, ``bounce``), what
they take and answer, and that each deed is logged and traced with who did it. Works beside the
runner of this process, or without one on a store that nobody serves. Never parses a command line.

Limits: MAX_PAGE messages in one answer, MAX_IDS in one deed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol

from twisted.logger import Logger

from gateway.core.address import path
from gateway.core.envelope import MessageOptions, Notify, RecipientOptions
from gateway.core.errors import GatewayError
from gateway.core.ids import QueueId
from gateway.core.log_text import escaped
from gateway.core.ports.clock import WallClock
from gateway.core.ports.queue import QueueControl, QueueStore
from gateway.core.queue import (
    QueuedMessage,
    QueueEntry,
    QueueFilter,
    Recorded,
    WaitingStatus,
)
from gateway.queue.journal import Journal
from gateway.queue.reports import ReportWriter
from gateway.wire.dsn import Reported
from gateway.wire.dsn_words import Action

MAX_PAGE = 1000
MAX_IDS = 500
MAX_REASON = 200
BOUNCED_STATUS = "5.7.1"  # RFC 3463 section 3.8: refused by the management
_FILTERS = {"held": bool, "sender": str, "recipient": str, "destination": str, "before": int}

Answer = dict[str, Any]
Arguments = Mapping[str, Any]


class CallRefused(GatewayError):
    """The call is not what it should be."""

    temporary = False
    default_text = "the queue does not know this call"


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
        limit = _get(arguments, "limit", int, 100)
        if not 0 < limit <= MAX_PAGE:
            raise CallRefused(f"limit: found {limit}; expected 1 to {MAX_PAGE}")
        after = _get(arguments, "after", str, "")
        which = QueueFilter(
            **{name: _get(arguments, name, kind, None) for name, kind in _FILTERS.items()
               if arguments.get(name) is not None}
        )  # fmt: skip
        found = await self._control.listed(which, after=QueueId(after) or None, limit=limit)
        more = found[-1].queue_id if len(found) == limit else ""
        return {"messages": [_row(each) for each in found], "more_after": more}

    async def _show(self, arguments: Arguments) -> Answer:
        queue_id = QueueId(_get(arguments, "id", str, ""))
        entry = await self._control.entry(queue_id)
        if entry is None:
            raise CallRefused(f"no message {escaped(queue_id, 40)!r} waits in the queue")
        return {
            **_row(entry.message),
            "content_octets": entry.item.size_octets,
            "options": _options(entry.item.options),
            "recipients": [_recipient(each) for each in entry.recipients],
        }

    # -- deeds

    async def _do(self, name: str, arguments: Arguments, actor: str) -> Answer:
        ids = arguments.get("ids")
        if not isinstance(ids, list) or not all(isinstance(each, str) for each in ids):
            raise CallRefused("ids: expected a list of queue ids")
        if not 0 < len(ids) <= MAX_IDS:
            raise CallRefused(f"ids: found {len(ids)}; expected 1 to {MAX_IDS}")
        reason = _get(arguments, "reason", str, "")[:MAX_REASON]
        done: list[str] = []
        refused: list[Answer] = []
        for queue_id in dict.fromkeys(ids):
            entry = await self._control.entry(QueueId(queue_id))
            problem = "no such message waits in the queue"
            if entry is not None:
                problem = await self._deed(name, entry, reason)
            if problem or entry is None:
                refused.append({"id": queue_id, "why": problem})
                continue
            done.append(queue_id)
            self.log.info(
                "{queue_id} {deed} by {actor}: {reason}",
                queue_id=entry.item.queue_id,
                deed=name,
                actor=actor,
                reason=escaped(reason),
            )
            told = {"reason": reason} if reason else {}
            self._journal.handled(entry.item, _KINDS[name], actor, **told)
        return {"done": done, "refused": refused}

    async def _deed(self, name: str, entry: QueueEntry, reason: str) -> str:
        """Nothing, or why it was not done."""
        queue_id = entry.item.queue_id
        if self._runner is None or name not in _KEPT_FROM_RUNNER:
            return await self._deeds[name](entry, reason)
        # A message that is held in the middle of an attempt is held when that is over.
        if_whole = name != "hold"
        try:
            if self._runner.recall(queue_id, if_whole=if_whole) and if_whole:
                return "it is being sent at this moment; hold it, and try again when that is over"
            return await self._deeds[name](entry, reason)
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


def _get(arguments: Arguments, name: str, kind: type, default: Any) -> Any:
    value = arguments.get(name, default)
    if value is default:
        return default
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise CallRefused(f"{name}: found {escaped(value, 60)}; expected {kind.__name__}")
    return value


def _row(message: QueuedMessage) -> Answer:
    return {
        "id": message.queue_id,
        "message_id": message.message_id,
        "sender": path(message.sender),
        "size_octets": message.size_octets,
        "created_at": message.created_at,
        "due_at": message.due_at,
        "hold": message.hold,
        "being_sent": message.leased,
        "recipient_count": message.recipients,
        "first_recipients": [str(each) for each in message.first_recipients],
        "last_reply": message.last_reply,
    }


def _options(options: MessageOptions) -> Answer:
    """What differs from the defaults."""
    told: Answer = {"body": options.body.value}
    for name in ("smtputf8", "ret", "envid", "release_at", "priority", "require_tls"):
        if getattr(options, name):
            told[name] = getattr(options, name)
    by = options.deliver_by
    if by is not None:
        told["deliver_by"] = {"at": by.at, "or_return": by.or_return, "trace": by.trace}
    return told


def _recipient(status: WaitingStatus) -> Answer:
    recipient = status.recipient
    return {
        "number": recipient.number,
        "address": str(recipient.address),
        "next_hop": recipient.next_hop,
        "attempts": recipient.attempts,
        "last_reply": recipient.last_reply,
        "next_attempt_at": status.next_attempt_at,
        "told_of_delay": recipient.told_of_delay,
        **_wishes(recipient.options),
    }


def _wishes(options: RecipientOptions) -> Answer:
    told: Answer = {}
    if options.notify is not None:
        wanted: Sequence[Notify] = [each for each in Notify if each in options.notify]
        told["notify"] = [str(each.name) for each in wanted] or ["NEVER"]
    if options.original:
        told["original"] = options.original
    return told
