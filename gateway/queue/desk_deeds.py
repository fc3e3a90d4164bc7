"""What administrators do to queued messages: many at once, each logged and traced with who did it.

Owns the deeds (``retry``, ``hold``, ``release``, ``reroute``, ``delete``, ``bounce``) and what they
agree with the runner: what is being sent is neither removed nor sent another way, and what waits in
a line is let go first. A deed on AT_ONCE messages is one write. What a human asks to be tried is
tried: a destination that the runner had put off is taken up again.

Limits: MAX_IDS in one call, AT_ONCE of which are done together; a reason of MAX_REASON characters.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from twisted.internet.defer import Deferred, DeferredList
from twisted.logger import Logger
from twisted.python.failure import Failure

from gateway.core.envelope import Notify
from gateway.core.ids import QueueId
from gateway.core.log_text import escaped
from gateway.core.messages import LOCAL
from gateway.core.ports.clock import WallClock
from gateway.core.ports.queue import QueueControl, QueueStore
from gateway.core.ports.routing import Router
from gateway.core.queue import QueueEntry, QueueFilter, Recorded
from gateway.queue.desk_forms import (
    Answer,
    Arguments,
    CallRefused,
    argument,
    bare_id,
    filter_of,
)
from gateway.queue.desk_reroute import Rerouting, next_hop_of
from gateway.queue.journal import Journal
from gateway.queue.reports import ReportWriter
from gateway.wire.dsn_values import Action, Reported

MAX_IDS = 500
MAX_REASON = 200
AT_ONCE = 100  # share a write
BOUNCED_STATUS = "5.7.1"  # RFC 3463 section 3.8: refused by the management

_GONE = "no such message waits in the queue"
_DELIVERED = "it has just been delivered"
_BEING_SENT = "it is being sent at this moment; hold it, and try again when that is over"
_REROUTED_LATER = "it is being sent at this moment; try again when that is over"


class Sending(Protocol):
    """The runner, as far as deeds concern it."""

    def recall(self, queue_id: QueueId, *, if_whole: bool) -> bool:
        """Let go of what has not begun (with ``if_whole`` only if nothing has), and take none of
        the message until ``allow``; True if some of it is being sent."""
        ...

    def allow(self, queue_id: QueueId) -> None: ...

    def revive(self, destination: str) -> None:
        """Take up a destination at once that was put off."""
        ...


@dataclass(slots=True)
class _Piece:
    """Some of the messages of a call.

    Args:
        which: of the messages' recipients, as far as a deed tells them apart.
        entries: those that are there, by the id that was asked for.
        problems: why others are left as they are, likewise.
        trouble: what went wrong in the middle; the others are done all the same.
    """

    asked: Sequence[str]
    which: QueueFilter
    entries: dict[str, QueueEntry] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)
    trouble: list[Failure] = field(default_factory=list)

    def refuse(self, asked: str, why: str) -> None:
        self.entries.pop(asked, None)
        self.problems[asked] = why

    def refuse_others(self, done: Sequence[QueueId], why: Callable[[QueueEntry], str]) -> None:
        for asked, entry in list(self.entries.items()):
            if entry.item.queue_id not in done:
                self.refuse(asked, why(entry))

    @property
    def queue_ids(self) -> list[QueueId]:
        return list(dict.fromkeys(each.item.queue_id for each in self.entries.values()))


class Deeds:
    """Does them.

    Args:
        reports: for ``bounce``.
        runner: None where nobody sends.
        router: for ``reroute``; None where nobody can ask.
        logins: users at servers whose passwords are known, likewise.
    """

    log = Logger()

    def __init__(
        self,
        store: QueueStore,
        control: QueueControl,
        reports: ReportWriter,
        journal: Journal,
        wall_clock: WallClock,
        runner: Sending | None,
        router: Router | None = None,
        logins: frozenset[str] = frozenset(),
    ) -> None:
        self._rerouting = Rerouting(control, router)
        self._store = store
        self._control = control
        self._reports = reports
        self._journal = journal
        self._wall_clock = wall_clock
        self._runner = runner
        self._logins = logins
        self._deeds: Mapping[str, Callable[[_Piece, str], Awaitable[None]]] = {
            "retry": self._retry,
            "hold": self._hold,
            "release": self._release,
            "reroute": self._reroute,
            "delete": self._delete,
            "bounce": self._bounce,
        }

    def __contains__(self, name: object) -> bool:
        return name in self._deeds

    async def do(self, name: str, arguments: Arguments, actor: str) -> Answer:
        """Raises: CallRefused, StoreUnavailable."""
        ids = arguments.get("ids")
        if not isinstance(ids, list) or not all(isinstance(each, str) for each in ids):
            raise CallRefused("ids: expected a list of queue ids")
        if not 0 < len(ids) <= MAX_IDS:
            raise CallRefused(f"ids: found {len(ids)}; expected 1 to {MAX_IDS}")
        told = self._told(name, arguments)
        which = filter_of({name: arguments.get(name) for name in ("recipient", "destination")})
        done: list[str] = []
        refused: list[Answer] = []
        wanted = list(dict.fromkeys(ids))
        for start in range(0, len(wanted), AT_ONCE):
            piece = _Piece(wanted[start : start + AT_ONCE], which)
            await self._do_piece(name, piece, told, actor)
            for asked in piece.asked:
                if asked in piece.entries:
                    done.append(piece.entries[asked].item.queue_id)
                elif asked in piece.problems:
                    refused.append({"id": asked, "why": piece.problems[asked]})
            if piece.trouble:
                piece.trouble[0].raiseException()
        return {"done": list(dict.fromkeys(done)), "refused": refused}

    def _told(self, name: str, arguments: Arguments) -> str:
        """The reason; of ``reroute`` the servers. Raises: CallRefused."""
        if name != "reroute":
            return str(argument(arguments, "reason", str, ""))[:MAX_REASON]
        to = arguments.get("to")
        if not isinstance(to, list) or not to or not all(isinstance(each, str) for each in to):
            raise CallRefused("to: expected a list of servers, or of the one word mx or settings")
        return next_hop_of(to, self._logins)

    async def _do_piece(self, name: str, piece: _Piece, told: str, actor: str) -> None:
        """A deed, and its records for each that it is done to."""
        try:
            await self._read(piece)
            if self._runner is None or name not in _KEPT_FROM_RUNNER:
                await self._deeds[name](piece, told)
            else:
                await self._do_recalled(self._runner, name, piece, told)
        except Exception:
            piece.trouble.append(Failure())
            return
        for entry in {each.item.queue_id: each for each in piece.entries.values()}.values():
            self.log.info(
                "{queue_id} {deed} by {actor}: {told}",
                queue_id=entry.item.queue_id,
                deed=name,
                actor=actor,
                told=escaped(told),
            )
            key = "next_hop" if name == "reroute" else "reason"
            more = {key: told} if told or name == "reroute" else {}
            self._journal.handled(entry.item, _KINDS[name], actor, **more)

    async def _do_recalled(self, runner: Sending, name: str, piece: _Piece, told: str) -> None:
        # A message that is held in the middle of an attempt is held when that is over.
        if_whole = name != "hold"
        recalled = piece.queue_ids
        try:
            for asked, entry in list(piece.entries.items()):
                if runner.recall(entry.item.queue_id, if_whole=if_whole) and if_whole:
                    piece.refuse(asked, _REROUTED_LATER if name == "reroute" else _BEING_SENT)
            # As it is now that nobody sends it: who got it meanwhile is not to be reported about.
            await self._read(piece, again=True)
            await self._deeds[name](piece, told)
        finally:
            for queue_id in recalled:
                runner.allow(queue_id)

    async def _read(self, piece: _Piece, *, again: bool = False) -> None:
        wanted = list(piece.entries) if again else list(piece.asked)
        found = await _together([self.find(each) for each in wanted])
        for asked, entry in zip(wanted, found, strict=True):
            if isinstance(entry, Failure):
                piece.entries.pop(asked, None)
                piece.trouble.append(entry)
            elif entry is None:
                piece.refuse(asked, _DELIVERED if again else _GONE)
            else:
                piece.entries[asked] = entry

    async def find(self, some_id: str) -> QueueEntry | None:
        return await find_message(self._control, some_id)

    # -- deeds: those done stay in the piece

    async def _retry(self, piece: _Piece, reason: str) -> None:
        if self._runner is not None:
            for destination in sorted(
                {each.destination for one in piece.entries.values() for each in one.parts}
            ):
                self._runner.revive(destination)
        done = await self._control.hasten(piece.queue_ids)
        piece.refuse_others(done, lambda entry: f"it is held ({entry.message.hold}); release it")

    async def _hold(self, piece: _Piece, reason: str) -> None:
        done = await self._control.hold(piece.queue_ids, reason or "by an administrator")
        piece.refuse_others(done, lambda entry: _DELIVERED)

    async def _release(self, piece: _Piece, reason: str) -> None:
        done = await self._control.release(piece.queue_ids)
        piece.refuse_others(done, lambda entry: "it is not held")

    async def _reroute(self, piece: _Piece, next_hop: str) -> None:
        for asked, entry in list(piece.entries.items()):
            if all(each.next_hop == LOCAL for each in entry.item.recipients):
                piece.refuse(asked, "it waits for people who have their mailbox here")
        entries = list({each.item.queue_id: each for each in piece.entries.values()}.values())
        done = await self._rerouting.reroute(entries, next_hop, piece.which)
        piece.refuse_others(done, lambda entry: "none of its recipients is meant")

    async def _delete(self, piece: _Piece, reason: str) -> None:
        done = await self._control.remove(piece.queue_ids)
        piece.refuse_others(done, lambda entry: _DELIVERED)

    async def _bounce(self, piece: _Piece, reason: str) -> None:
        asked = list(piece.entries)
        ends = await _together([self._bounce_one(piece.entries[each], reason) for each in asked])
        for each, end in zip(asked, ends, strict=True):
            if isinstance(end, Failure):
                piece.entries.pop(each)
                piece.trouble.append(end)
            elif end:
                piece.refuse(each, end)

    async def _bounce_one(self, entry: QueueEntry, reason: str) -> str:
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


async def find_message(control: QueueControl, some_id: str) -> QueueEntry | None:
    """By its queue id, or by the id under which it was accepted."""
    queue_id = bare_id(some_id)
    if "-" in queue_id:
        which = QueueFilter(message_id=queue_id.lower())
        found = await control.listed(which, after=None, limit=1)
        if not found:
            return None
        queue_id = found[0].queue_id
    return await control.entry(QueueId(queue_id))


async def _together(flows: Sequence[Awaitable[Any]]) -> list[Any]:
    """Their results, or Failures, in the same order; all of them run to their end."""
    running: list[Deferred[Any]] = [Deferred.fromCoroutine(flow) for flow in flows]  # type: ignore[arg-type]  # they are coroutines
    return [end for _, end in await DeferredList(running, consumeErrors=True)]


_KEPT_FROM_RUNNER = frozenset({"hold", "delete", "bounce", "reroute"})
_KINDS = {
    "retry": "hastened",
    "hold": "held",
    "release": "released",
    "reroute": "rerouted",
    "delete": "deleted",
    "bounce": "bounced",
}
