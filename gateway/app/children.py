"""A child process that is to run for as long as we do: watched, started again, stopped.

Owns when it is started again and how it is stopped; ``process`` does it. Used for workers and for
the search indexer. It never gives up: a child that ends again and again is started with waits that
grow to LONGEST_WAIT_S, and its end is logged each time.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from gateway.core.ports.clock import Timer, Timers

FIRST_WAIT_S = 1.0
LONGEST_WAIT_S = 60.0
STEADY_S = 60.0
"""One that has run so long had no trouble with starting; its next end is the first again."""


class Running(Protocol):
    """A started process; kept by ``process.Process``."""

    pid: int

    def watch(self, reactor: Any, on_end: Callable[[], None]) -> None: ...

    def wait(self, timeout_s: float) -> None: ...

    def signal(self, number: int) -> None: ...

    def outcome(self) -> str: ...


class BackOff:
    """How long to wait before the next start: not at all at first, then more and more."""

    def __init__(self) -> None:
        self._next_s = 0.0

    def after(self, lived_s: float) -> float:
        """The wait after a process that lived so long."""
        if lived_s >= STEADY_S:
            self._next_s = 0.0
        wait_s = self._next_s
        self._next_s = min(LONGEST_WAIT_S, max(FIRST_WAIT_S, wait_s * 2))
        return wait_s


class Child:
    """One place that a process fills, again and again.

    Args:
        name: for the log, such as "worker 2".
        spawn: starts the process; raises OSError.
        reactor: IReactorTime, and what the process needs for being watched.
        began: called with each process that replaces one, before it is watched.
        ended: called after each end that nobody asked for.
    """

    log = Logger()

    def __init__(
        self,
        name: str,
        spawn: Callable[[], Running],
        reactor: Any,
        *,
        began: Callable[[Any], None] = lambda _: None,
        ended: Callable[[], None] = lambda: None,
    ) -> None:
        self.name = name
        self.restarts = 0
        self._spawn = spawn
        self._reactor = reactor
        self._timers: Timers = reactor
        self._began = began
        self._ended = ended
        self._back_off = BackOff()
        self._process: Running | None = None
        self._started_at = 0.0
        self._timer: Timer | None = None
        self._limit: Timer | None = None
        self._stopped: Deferred[None] | None = None
        self._stopping = False

    @property
    def pid(self) -> int | None:
        """Of the process that runs now."""
        return self._process.pid if self._process is not None else None

    @property
    def uptime_s(self) -> int:
        """Of the process that runs now."""
        return int(self._timers.seconds() - self._started_at) if self._process is not None else 0

    # -- starting

    def start(self) -> None:
        """Start and watch. A failure is logged and tried again."""
        try:
            process = self.start_unwatched()
        except OSError as error:
            self.log.error(
                "{name} cannot be started: {error}", name=self.name, error=error.strerror
            )
            self._start_again(0.0)
            return
        self._began(process)
        self.watch()

    def start_unwatched(self) -> Any:
        """The first start, while no reactor runs yet. ``watch`` follows. Raises: OSError."""
        self._process = self._spawn()
        self._started_at = self._timers.seconds()
        return self._process

    def watch(self) -> None:
        """Know of its end from now on."""
        assert self._process is not None
        self._process.watch(self._reactor, self._has_ended)

    def _has_ended(self) -> None:
        process, self._process = self._process, None
        assert process is not None
        if self._limit is not None and self._limit.active():
            self._limit.cancel()
        if self._stopping:
            if self._stopped is not None:
                self._stopped.callback(None)
            return
        lived_s = self._timers.seconds() - self._started_at
        self.log.error(
            "{name} (process {pid}) has ended after {lived_s} s: {outcome}",
            name=self.name,
            pid=process.pid,
            lived_s=int(lived_s),
            outcome=process.outcome(),
        )
        self._ended()
        self._start_again(lived_s)

    def _start_again(self, lived_s: float) -> None:
        wait_s = self._back_off.after(lived_s)
        self.restarts += 1
        self.log.warn("{name} is started again in {wait_s} s", name=self.name, wait_s=int(wait_s))
        self._timer = self._timers.callLater(wait_s, self.start)

    # -- stopping

    def kill(self) -> None:
        """At a start that failed: end it at once. Blocks."""
        if self._process is not None:
            self._process.signal(signal.SIGKILL)
            self._process.wait(1.0)
            self._process = None

    async def stop(self, limit_s: float) -> None:
        """Ask it to end, and kill it at the limit; returns when it is gone for good."""
        self._stopping = True
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        if self._process is None:
            return
        stopped = self._stopped = Deferred()
        self._process.signal(signal.SIGTERM)
        self.end_within(limit_s)
        await stopped

    def end_within(self, limit_s: float) -> None:
        """The process that runs now is to end by itself; kill it at the limit."""
        if self._limit is not None and self._limit.active():
            return
        if self._process is not None:
            self._limit = self._timers.callLater(limit_s, self._kill_late)

    def kill_stuck(self, silent_s: float) -> None:
        """Kill the process that runs now, as it does not answer; its end is dealt with as usual."""
        if self._process is not None:
            self.log.error(
                "{name} (process {pid}) has not answered for {silent_s} s and is killed",
                name=self.name,
                pid=self._process.pid,
                silent_s=int(silent_s),
            )
            self._process.signal(signal.SIGKILL)

    def _kill_late(self) -> None:
        assert self._process is not None, "the limit ends with the process"
        self.log.error("{name} did not end in time and is killed", name=self.name)
        self._process.signal(signal.SIGKILL)
