"""The coroutines that the queue has running, so that stopping can wait for them.

Owns starting, sleeping and draining. Never knows what a coroutine does.
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from gateway.core.ports.clock import Timers


class Tasks:
    """Running coroutines of one owner."""

    log = Logger()

    def __init__(self, timers: Timers) -> None:
        self._timers = timers
        self._tasks: set[Deferred[None]] = set()
        self._sleepers: set[Deferred[None]] = set()
        self._drained: Deferred[None] | None = None
        self._no_more_sleep = False

    def run(self, coroutine: Coroutine[Deferred[Any], Any, None]) -> Deferred[None]:
        """Keep a coroutine till its end; one that fails is logged. Returns what ``cancel`` ends."""
        task: Deferred[None] = Deferred.fromCoroutine(coroutine)
        self._tasks.add(task)
        task.addBoth(self._ended, task)
        return task

    def _ended(self, result: Failure | None, task: Deferred[None]) -> None:
        self._tasks.discard(task)
        if isinstance(result, Failure) and not result.check(CancelledError):
            self.log.failure("queue task failed", result)
        drained = self._drained
        if drained is not None and not self._tasks:
            self._drained = None
            drained.callback(None)

    @property
    def are_done(self) -> bool:
        return not self._tasks

    async def drain(self, limit_s: float) -> None:
        """Wait until nothing runs, or the time is over. One caller at a time."""
        if not self._tasks:
            return
        drained: Deferred[None] = Deferred()
        self._drained = drained
        timer = self._timers.callLater(limit_s, drained.cancel)
        try:
            await drained
        except CancelledError:
            self._drained = None
        finally:
            if timer.active():
                timer.cancel()

    async def sleep(self, seconds: float) -> None:
        """Raises: CancelledError once ``end_sleeps`` was called."""
        if self._no_more_sleep:
            raise CancelledError()
        sleeper: Deferred[None] = Deferred()
        timer = self._timers.callLater(seconds, sleeper.callback, None)
        self._sleepers.add(sleeper)
        try:
            await sleeper
        finally:
            self._sleepers.discard(sleeper)
            if timer.active():
                timer.cancel()

    def end_sleeps(self) -> None:
        """Wake every sleeper with CancelledError, now and later."""
        self._no_more_sleep = True
        for sleeper in list(self._sleepers):
            sleeper.cancel()
