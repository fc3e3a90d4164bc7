"""The middle of the change feed: the parent's lines to all workers.

Owns who is connected, passing hints on to everybody else, and asking all at once. A worker that is
slow or stuck delays nobody (``line`` bounds what waits for it) and is left out of an answer after
ANSWER_S.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from twisted.internet.defer import Deferred

from gateway.app.line import Line
from gateway.app.messages import Doubt, Hints, Message, StatusAnswer, StatusAsked
from gateway.core.mailboxes import MailboxEvent
from gateway.core.ports.clock import Timers

ANSWER_S = 5.0


class Hub:
    """The lines by worker number."""

    def __init__(self, timers: Timers) -> None:
        self._timers = timers
        self._lines: dict[int, Line] = {}
        self._asked: dict[tuple[int, int], Deferred[Mapping[str, Any] | None]] = {}
        self._serial = itertools.count(1)

    def attach(self, number: int, line: Line) -> None:
        self._lines[number] = line

    def detach(self, number: int) -> None:
        """This worker is gone; what it has not told us of is looked for by the others."""
        line = self._lines.pop(number, None)
        if line is not None:
            line.close()
        for asked in [key for key in self._asked if key[0] == number]:
            self._asked.pop(asked).callback(None)
        self.doubt()

    # -- telling

    def heard(self, number: int, message: Message) -> bool:
        """Deal with what a worker says, if it is for the hub."""
        match message:
            case Hints(events, queue_grew):
                self.hint(events, queue_grew, besides=number)
            case Doubt():
                self.doubt(besides=number)
            case StatusAnswer(serial, status):
                asked = self._asked.pop((number, serial), None)
                if asked is not None:
                    asked.callback(status)
            case _:
                return False
        return True

    def hint(
        self, events: Sequence[MailboxEvent], queue_grew: bool, *, besides: int | None = None
    ) -> None:
        """Tell all workers but one."""
        for number, line in self._lines.items():
            if number != besides:
                line.hint(events, queue_grew)

    def doubt(self, *, besides: int | None = None) -> None:
        """Have all workers but one look at everything again."""
        for number, line in self._lines.items():
            if number != besides:
                line.doubt()

    def send(self, numbers: Iterable[int], message: Message) -> None:
        """Tell some workers."""
        for number in numbers:
            line = self._lines.get(number)
            if line is not None:
                line.send(message)

    # -- asking

    async def ask(
        self, numbers: Iterable[int], *, queue_from: int | None
    ) -> Mapping[int, Mapping[str, Any]]:
        """The status of each worker that answers in time; one of them tells the queue's depth."""
        serial = next(self._serial)
        waiting: dict[int, Deferred[Mapping[str, Any] | None]] = {}
        for number in numbers:
            line = self._lines.get(number)
            if line is None:
                continue
            waiting[number] = self._asked[number, serial] = Deferred()
            line.send(StatusAsked(serial, number == queue_from))
        timer = self._timers.callLater(ANSWER_S, self._give_up, serial)
        answers: dict[int, Mapping[str, Any]] = {}
        try:
            for number, asked in waiting.items():
                answer = await asked
                if answer is not None:
                    answers[number] = answer
        finally:
            if timer.active():
                timer.cancel()
            self._give_up(serial)
        return answers

    def _give_up(self, serial: int) -> None:
        for asked in [key for key in self._asked if key[1] == serial]:
            self._asked.pop(asked).callback(None)
