"""What administrators do to queued messages: many at once, each logged and traced with who did it.

Owns the deeds (``retry``, ``hold``, ``release``, ``reroute``, ``delete``, ``bounce``) and what they
agree with the runner: what is being sent is neither removed nor sent another way, and what waits in
a line is let go first. All messages of a call are one write; those whose recipients a deed has to
know are done AT_ONCE together. What a human asks to be tried is tried: a destination that the
runner had put off is taken up again. One deed follows the other, and what has begun goes on to its
end and its records, also if whoever asked hangs up.

Limits: MAX_IDS in one call; a reason of MAX_REASON characters.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from twisted.internet.defer import Deferred, DeferredList, DeferredLock
from twisted.logger import Logger
from twisted.python.failure import Failure

from gateway.core.envelope import Notify
from gateway.core.ids import QueueId
from gateway.core.log_text import escaped
from gateway.core.messages import LOCAL
from gateway.core.ports.clock import WallClock
from gateway.core.ports.queue import QueueControl, QueuedName, QueueStore
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
AT_ONCE = 100  # as each may have a thousand recipients
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

    def allow(self, queue_id: QueueId, *, is_done: bool = False) -> None:
        """``is_done``: leases that it had are over."""
        ...

    def revive(self, destination: str) -> None:
        """Take up a destination at once that was put off."""
        ...


@dataclass(slots=True)
class _Piece:
    """Some of the messages of a call.

    Args:
        which: of the messages' recipients, as far as a deed tells them apart.
        found: those that are there, by the id that was asked for.
        problems: why others are left as they are, likewise.
        trouble: what went wrong in the middle; the others are done all the same.
    """

    asked: Sequence[str]
    which: QueueFilter
    found: dict[str, QueuedName] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)
    trouble: list[Failure] = field(default_factory=list)

    def refuse(self, asked: str, why: str) -> None:
        self.found.pop(asked, None)
        self.problems[asked] = why

    def refuse_others(self, done: Sequence[QueueId], why: Callable[[QueuedName], str]) -> None:
        those = frozenset(done)
        for asked, name in list(self.found.items()):
            if name.queue_id not in those:
                self.refuse(asked, why(name))

    def fail(self, asked: str, failure: Failure) -> None:
        self.found.pop(asked, None)
        self.trouble.append(failure)

    @property
    def queue_ids(self) -> list[QueueId]:
        return list(dict.fromkeys(each.queue_id for each in self.found.values()))


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
        hasten: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._hasten = hasten
        self._rerouting = Rerouting(control, router)
        self._store = store
        self._control = control
        self._reports = reports
        self._journal = journal
        self._wall_clock = wall_clock
        self._runner = runner
        self._logins = logins
        self._turn = DeferredLock()  # two people's deeds on one message are not mixed
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
        size = AT_ONCE if name in _OF_RECIPIENTS else MAX_IDS
        for start in range(0, len(wanted), size):
            piece = _Piece(wanted[start : start + size], which)
            await _to_its_end(self._in_turn(name, piece, told, actor))
            for asked in piece.asked:
                if asked in piece.found:
                    done.append(piece.found[asked].queue_id)
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

    async def _in_turn(self, name: str, piece: _Piece, told: str, actor: str) -> None:
        await self._turn.acquire()
        try:
            await self._do_piece(name, piece, told, actor)
        finally:
            self._turn.release()

    async def _do_piece(self, name: str, piece: _Piece, told: str, actor: str) -> None:
        """A deed, and its records for each that it is done to."""
        try:
            await self._find(piece)
            if self._runner is None or name not in _KEPT_FROM_RUNNER:
                await self._deeds[name](piece, told)
            else:
                await self._do_recalled(self._runner, name, piece, told)
        except Exception:
            piece.trouble.append(Failure())
            return
        key = "next_hop" if name == "reroute" else "reason"
        more = {key: told} if told or name == "reroute" else {}
        shown = escaped(told)
        for each in dict.fromkeys(piece.found.values()):
            self.log.info(
                "{queue_id} {deed} by {actor}: {told}",
                queue_id=each.queue_id,
                deed=name,
                actor=actor,
                told=shown,
            )
            self._journal.handled(each, _KINDS[name], actor, **more)

    async def _do_recalled(self, runner: Sending, name: str, piece: _Piece, told: str) -> None:
        # A message that is held in the middle of an attempt is held when that is over.
        if_whole = name != "hold"
        recalled = piece.queue_ids
        done: frozenset[QueueId] = frozenset()
        try:
            for asked, each in list(piece.found.items()):
                if runner.recall(each.queue_id, if_whole=if_whole) and if_whole:
                    piece.refuse(asked, _REROUTED_LATER if name == "reroute" else _BEING_SENT)
            await self._deeds[name](piece, told)
            done = frozenset(piece.queue_ids)
        finally:
            for queue_id in recalled:
                runner.allow(queue_id, is_done=queue_id in done)

    async def _find(self, piece: _Piece) -> None:
        ids = await _together([_queue_id(self._control, each) for each in piece.asked])
        known: dict[str, QueueId] = {}
        for asked, end in zip(piece.asked, ids, strict=True):
            if isinstance(end, Failure):
                piece.fail(asked, end)
            else:
                known[asked] = end
        named = await self._control.named(list(known.values()))
        for asked, name in zip(known, named, strict=True):
            if name is None:
                piece.refuse(asked, _GONE)
            else:
                piece.found[asked] = name

    async def _entries(self, piece: _Piece) -> dict[str, QueueEntry]:
        """As they are now that nobody sends them: who got one meanwhile is not reported about."""
        asked_for: dict[QueueId, str] = {}
        for asked, each in list(piece.found.items()):
            if each.queue_id in asked_for:
                del piece.found[asked]  # by both of its ids
            else:
                asked_for[each.queue_id] = asked
        found = await _together([self._control.entry(each) for each in asked_for])
        entries: dict[str, QueueEntry] = {}
        for asked, entry in zip(asked_for.values(), found, strict=True):
            if isinstance(entry, Failure):
                piece.fail(asked, entry)
            elif entry is None:
                piece.refuse(asked, _DELIVERED)
            else:
                entries[asked] = entry
        return entries

    async def find(self, some_id: str) -> QueueEntry | None:
        return await find_message(self._control, some_id)

    # -- deeds: those done stay in the piece

    async def _retry(self, piece: _Piece, reason: str) -> None:
        await self._revive(piece)
        done = await self._control.hasten(piece.queue_ids)
        piece.refuse_others(done, lambda each: f"it is held ({each.hold}); release it")

    async def _revive(self, piece: _Piece) -> None:
        """First, or what is made due would be put off once more with the words of the last try."""
        if self._runner is not None:
            for destination in await self._control.destinations(piece.queue_ids):
                self._hasten(destination)
                self._runner.revive(destination)

    async def _hold(self, piece: _Piece, reason: str) -> None:
        done = await self._control.hold(piece.queue_ids, reason or "by an administrator")
        piece.refuse_others(done, lambda each: _DELIVERED)

    async def _release(self, piece: _Piece, reason: str) -> None:
        await self._revive(piece)
        done = await self._control.release(piece.queue_ids)
        piece.refuse_others(done, lambda each: "it is not held")

    async def _reroute(self, piece: _Piece, next_hop: str) -> None:
        entries = await self._entries(piece)
        for asked, entry in list(entries.items()):
            if all(each.next_hop == LOCAL for each in entry.item.recipients):
                piece.refuse(asked, "it waits for people who have their mailbox here")
                del entries[asked]
        if self._runner is not None and next_hop:
            self._hasten(next_hop)
            self._runner.revive(next_hop)
        done = await self._rerouting.reroute(list(entries.values()), next_hop, piece.which)
        piece.refuse_others(done, lambda each: "none of its recipients is meant")

    async def _delete(self, piece: _Piece, reason: str) -> None:
        done = await self._control.remove(piece.queue_ids)
        piece.refuse_others(done, lambda each: _DELIVERED)

    async def _bounce(self, piece: _Piece, reason: str) -> None:
        entries = await self._entries(piece)
        ends = await _together([self._bounce_one(each, reason) for each in entries.values()])
        for asked, end in zip(entries, ends, strict=True):
            if isinstance(end, Failure):
                piece.fail(asked, end)
            elif end:
                piece.refuse(asked, end)

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
    return await control.entry(await _queue_id(control, some_id))


async def _queue_id(control: QueueControl, some_id: str) -> QueueId:
    """Of whichever id; that of nothing where the message does not wait."""
    bare = bare_id(some_id)
    if "-" not in bare:
        return QueueId(bare)
    which = QueueFilter(message_id=bare.lower())
    found = await control.listed(which, after=None, limit=1)
    return found[0].queue_id if found else QueueId("")


async def _together(flows: Sequence[Awaitable[Any]]) -> list[Any]:
    """Their results, or Failures, in the same order; all of them run to their end."""
    running: list[Deferred[Any]] = [Deferred.fromCoroutine(flow) for flow in flows]  # type: ignore[arg-type]  # they are coroutines
    return [end for _, end in await DeferredList(running, consumeErrors=True)]


async def _to_its_end(flow: Coroutine[Deferred[Any], Any, None]) -> None:
    """Wait for it; it goes on where nobody waits any more."""
    ended: Deferred[None] = Deferred()
    Deferred.fromCoroutine(flow).addBoth(ended.callback)
    await ended


_OF_RECIPIENTS = frozenset({"bounce", "reroute"})
_KEPT_FROM_RUNNER = frozenset({"hold", "delete", "bounce", "reroute"})
_KINDS = {
    "retry": "hastened",
    "hold": "held",
    "release": "released",
    "reroute": "rerouted",
    "delete": "deleted",
    "bounce": "bounced",
}
