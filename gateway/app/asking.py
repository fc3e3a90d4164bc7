"""What a process with store and doors has to answer administrators: trace, explain, queue, people.

Owns both ends of asking across processes, and the answers. The parent of several workers serves no
mail itself, so it asks one of them; a gateway in one process answers here at once.

Limits: ANSWER_S for an answer, MOST_QUESTIONS at once.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from gateway.app.messages import MAX_FRAME_OCTETS, Answer, Ask
from gateway.app.rehearsals import explain
from gateway.app.server import MailServer
from gateway.core.errors import GatewayError
from gateway.core.ports.clock import Timers
from gateway.core.ports.trace import TraceStore
from gateway.core.trace import TraceRecord

ANSWER_S = 75.0
"""An explanation may wait for name servers and the directory."""
MOST_QUESTIONS = 100
MOST_FOUND = 10_000
_ROOM = MAX_FRAME_OCTETS // 2
"""Octets of records in an answer, without their ids and times."""


class NotAnswered(GatewayError):
    """Nobody is there to answer, or it takes too long; or what the worker said may pass."""

    default_text = "no worker of the gateway answers at the moment, try again in a few seconds"


class Unanswerable(GatewayError):
    """What the worker said of the question."""

    temporary = False
    default_text = "the question is not understood"


class Asker:
    """The parent's end.

    Args:
        send: takes a question to a worker; False if there is none.
    """

    def __init__(self, timers: Timers, send: Callable[[Ask], bool]) -> None:
        self._timers = timers
        self._send = send
        self._serial = itertools.count(1)
        self._waiting: dict[int, Deferred[Answer | None]] = {}

    async def ask(self, kind: str, body: object) -> Mapping[str, object]:
        """Raises: NotAnswered, Unanswerable."""
        if len(self._waiting) >= MOST_QUESTIONS:
            raise NotAnswered("too many commands ask at once")
        number = next(self._serial)
        waiting = self._waiting[number] = Deferred()
        timer = self._timers.callLater(ANSWER_S, waiting.callback, None)
        try:
            if not self._send(Ask(number, kind, body)):
                raise NotAnswered()
            answer = await waiting
        except ValueError:
            raise Unanswerable("the question is too large") from None
        finally:
            self._waiting.pop(number, None)
            if timer.active():
                timer.cancel()
        if answer is None:
            raise NotAnswered()
        if answer.error:
            raise (NotAnswered if answer.temporary else Unanswerable)(answer.error)
        return answer.body

    def heard(self, answer: Answer) -> None:
        """An answer; late ones are of no use."""
        waiting = self._waiting.pop(answer.number, None)
        if waiting is not None:
            waiting.callback(answer)


_log = Logger()


async def answer_to(server: MailServer, asked: Ask) -> Answer:
    """The worker's end."""
    try:
        return Answer(asked.number, await answer(server, asked.kind, asked.body))
    except GatewayError as error:
        return Answer(asked.number, {}, str(error), error.temporary)
    except Exception:
        _log.failure("a question about {kind} failed", kind=asked.kind)
        return Answer(asked.number, {}, "internal error; the log says more")


async def answer(server: MailServer, kind: str, body: Any) -> Mapping[str, Any]:
    """What this process knows. Raises: GatewayError."""
    if kind == "trace":
        return await find(server.parts.store.trace, body)
    if kind == "explain":
        return await explain(server, body)
    if kind == "queue":
        return await at_desk(server.parts.queue_desk, body)
    if kind == "people":
        return await at_desk(server.parts.people_desk, body)
    if kind == "leavers":
        return await at_desk(server.parts.leavers_desk, body)
    if kind == "picture":
        return await at_desk(server.parts.picturing, body)
    expected = "trace, explain, queue, people, leavers or picture"
    raise Unanswerable(f"found a question about {kind!r}; expected {expected}")


class Desk(Protocol):
    async def call(
        self, name: str, arguments: Mapping[str, Any], actor: str
    ) -> Mapping[str, Any]: ...


async def at_desk(desk: Desk, body: Any) -> Mapping[str, Any]:
    """``{"call": name, "arguments": {...}, "actor": who}``: a call at one of the desks.

    Raises: GatewayError.
    """
    match body:
        case {"call": str(call), "arguments": dict(arguments), "actor": str(actor)}:
            return await desk.call(call, arguments, actor)
    raise Unanswerable()


async def find(trace: TraceStore, body: Any) -> Mapping[str, Any]:
    """``{"term": text, "since": seconds or null, "until": ..., "limit": number}``.

    Raises: Unanswerable, StoreUnavailable.
    """
    match body:
        case {
            "term": str(term),
            "since": int() | None as since,
            "until": int() | None as until,
            "limit": int(limit),
        } if 0 < limit <= MOST_FOUND:
            found = await trace.find(term, since=since, until=until, limit=limit)
        case _:
            raise Unanswerable(
                'expected {"term": text, "since": seconds or null, "until": seconds or null,'
                f' "limit": 1 to {MOST_FOUND}}}'
            )
    records: list[dict[str, object]] = []
    octets = 0
    for record in reversed(found):
        records.append(shown(record))
        octets += len(json.dumps(record.fields))
        if octets > _ROOM:
            break
    return {"records": records[::-1], "left_out": len(found) - len(records)}


def shown(record: TraceRecord) -> dict[str, object]:
    """A record as JSON has it."""
    return {
        "id": record.trace_id,
        "at": record.at,
        "kind": record.kind,
        "fields": dict(record.fields),
    }
