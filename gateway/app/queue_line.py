"""The queue's desk across processes: the parent asks the worker that runs the queue.

Owns both ends: who waits for which answer, and what is said when none comes. Calls are not kept
apart from each other beyond that; the line keeps their order.

Limits: ANSWER_S for an answer, MOST_CALLS at once.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from gateway.app.messages import QueueAnswer, QueueAsked
from gateway.core.errors import GatewayError
from gateway.core.ports.clock import Timers
from gateway.queue.desk import QueueDesk

ANSWER_S = 25.0
"""Less than the administrator's command waits."""
MOST_CALLS = 100


class QueueNotReached(GatewayError):
    """No worker runs the queue at the moment, or it does not answer."""

    default_text = "no worker runs the queue at the moment, try again in a few seconds"


class QueueRefused(GatewayError):
    """What the worker said."""

    temporary = False


class QueueTrouble(QueueRefused):
    """What the worker said, and it may pass."""

    temporary = True


class QueueAsker:
    """The parent's end.

    Args:
        send: takes a question to the worker that leads; False if there is none.
    """

    def __init__(self, timers: Timers, send: Callable[[QueueAsked], bool]) -> None:
        self._timers = timers
        self._send = send
        self._serial = itertools.count(1)
        self._asked: dict[int, Deferred[QueueAnswer | None]] = {}

    async def call(
        self, name: str, arguments: Mapping[str, Any], actor: str
    ) -> Mapping[str, object]:
        """Raises: QueueNotReached, QueueRefused."""
        number = next(self._serial)
        if len(self._asked) >= MOST_CALLS:
            raise QueueNotReached("too many commands ask for the queue at once")
        waiting: Deferred[QueueAnswer | None] = Deferred()
        self._asked[number] = waiting
        timer = self._timers.callLater(ANSWER_S, waiting.callback, None)
        try:
            if not self._send(QueueAsked(number, name, arguments, actor)):
                raise QueueNotReached()
            answer = await waiting
        finally:
            self._asked.pop(number, None)
            if timer.active():
                timer.cancel()
        if answer is None:
            raise QueueNotReached("the worker that runs the queue does not answer")
        if answer.error:
            raise (QueueTrouble if answer.temporary else QueueRefused)(answer.error)
        return answer.answer

    def heard(self, answer: QueueAnswer) -> None:
        """An answer; late ones are of no use."""
        waiting = self._asked.pop(answer.number, None)
        if waiting is not None:
            waiting.callback(answer)


_log = Logger()


async def answer_at(desk: QueueDesk, asked: QueueAsked) -> QueueAnswer:
    """The worker's end: make the call."""
    try:
        answer = await desk.call(asked.call, asked.arguments, asked.actor)
    except GatewayError as error:
        return QueueAnswer(asked.number, {}, str(error), error.temporary)
    except Exception:
        _log.failure("the call {call} at the queue failed", call=asked.call)
        return QueueAnswer(asked.number, {}, "internal error; the log says more", True)
    return QueueAnswer(asked.number, answer)
