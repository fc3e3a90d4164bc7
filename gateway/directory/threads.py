"""A small pool of own threads with a bounded queue, for work that would block the reactor.

Owns threads and the hand-over of results. Never runs more than ``threads`` jobs at once and never
lets more than ``waiting`` jobs wait: beyond that a call fails at once (SECURITY N4). The reactor's
own pool is not used, as name look-ups and others would starve with it.

A cancelled Deferred drops its job if it has not begun; a job that runs goes on unseen, so whoever
needs its thread back stops the job by other means (``ldap.guard``).
"""

from __future__ import annotations

import os
import sys
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar

from twisted.internet.defer import Deferred

from gateway.core.errors import DirectoryUnavailable
from gateway.core.ports.clock import CallFromThread

T = TypeVar("T")

LOWEST_PRIORITY = 19


class _Job:
    __slots__ = ("deferred", "dropped", "work")

    def __init__(self, work: Callable[[], Any]) -> None:
        self.work = work
        self.dropped = False
        self.deferred: Deferred[Any] = Deferred(self._drop)

    def _drop(self, _: Deferred[Any]) -> None:
        self.dropped = True


class WorkerThreads:
    """Threads are started when jobs come and live until ``close``.

    Args:
        name: of the threads, for debuggers.
        threads: how many jobs run at once.
        waiting: how many more may wait.
        call_from_thread: results are handed over with it.
        leaving: run in each thread as its last act, to release what the thread keeps.
        idle_only: let everything else go first where the system knows priorities of threads
            (Linux): for work that nobody waits for.
    """

    def __init__(
        self,
        name: str,
        *,
        threads: int,
        waiting: int,
        call_from_thread: CallFromThread,
        leaving: Callable[[], None] = lambda: None,
        idle_only: bool = False,
    ) -> None:
        self._name = name
        self._threads = threads
        self._waiting = waiting
        self._call_from_thread = call_from_thread
        self._leaving = leaving
        self._idle_only = idle_only
        self._changed = threading.Condition()
        self._jobs: deque[_Job] = deque()
        self._started = 0
        self._idle = 0
        self._closed = False
        self._ended: Deferred[None] = Deferred()

    def submit(self, work: Callable[[], T]) -> Deferred[T]:
        """Run ``work`` in a thread. Call on the reactor thread.

        The Deferred fails with DirectoryUnavailable when the queue is full or the pool closed.
        """
        job = _Job(work)
        with self._changed:
            # Every job that is not running counts, whether or not a thread is about to take it;
            # a thread is idle from the moment it is started.
            free = self._idle + self._threads - self._started
            refused = self._closed or len(self._jobs) >= free + self._waiting
            if not refused:
                self._jobs.append(job)
                if len(self._jobs) > self._idle and self._started < self._threads:
                    self._started += 1
                    self._idle += 1
                    number = self._started
                    threading.Thread(
                        target=self._run, name=f"{self._name}-{number}", daemon=True
                    ).start()
                self._changed.notify()
        if refused:
            reason = "closed" if self._closed else "too many requests are waiting"
            job.deferred.errback(DirectoryUnavailable(reason=reason))
        return job.deferred

    def close(self) -> Deferred[None]:
        """Refuse new jobs, fail waiting ones; fires when the last running job has ended."""
        with self._changed:
            first = not self._closed
            self._closed = True
            left, self._jobs = list(self._jobs), deque()
            self._changed.notify_all()
            none_started = not self._started
        for job in left:
            if not job.dropped:
                job.deferred.errback(DirectoryUnavailable(reason="closed"))
        if first and none_started:
            self._ended.callback(None)
        return self._ended

    # -- in the threads

    def _run(self) -> None:
        if self._idle_only and sys.platform == "linux":
            # There a thread's own number is taken, elsewhere it would be the whole process.
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), LOWEST_PRIORITY)
        while True:
            with self._changed:
                while not self._jobs and not self._closed:
                    self._changed.wait()
                if self._closed:
                    break
                job = self._jobs.popleft()
                self._idle -= 1
            if not job.dropped:
                self._do(job)
            del job  # it may hold a password
            with self._changed:
                self._idle += 1
        try:
            self._leaving()
        finally:
            with self._changed:
                self._started -= 1
                last = not self._started
            if last:
                self._call_from_thread(lambda: self._ended.callback(None))

    def _do(self, job: _Job) -> None:
        deferred = job.deferred
        try:
            result = job.work()
        except BaseException as error:
            failure = error
            self._call_from_thread(lambda: _deliver(job, deferred.errback, failure))
        else:
            self._call_from_thread(lambda: _deliver(job, deferred.callback, result))


def _deliver(job: _Job, fire: Callable[[Any], None], outcome: object) -> None:
    if not job.dropped:
        fire(outcome)
