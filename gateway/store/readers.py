"""A bounded pool of own threads for work that may block: reads, and making large bodies durable.

Owns its threads and what each of them works with (for readers: a read-only connection and open
files, never shared). Never uses the reactor's pool. Results come back through ``call_from_thread``.
A full queue is StoreUnavailable at once; waiting would only hide that the disk is too slow.
"""

from __future__ import annotations

import queue
import sqlite3
import threading
from collections.abc import Callable
from functools import partial
from typing import Any, Generic, Protocol, TypeVar

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from gateway.core.errors import GatewayError, StoreUnavailable
from gateway.core.ports.clock import CallFromThread
from gateway.store import engine

T = TypeVar("T")

QUEUE_LIMIT = 4_000


class Closable(Protocol):
    def close(self) -> None: ...


S = TypeVar("S", bound=Closable)


class Pool(Generic[S]):
    """Runs functions of one argument, the thread's own resource."""

    def __init__(
        self,
        name: str,
        resources: list[S],
        call_from_thread: CallFromThread,
        limit: int = QUEUE_LIMIT,
    ) -> None:
        self._resources = resources
        self._call_from_thread = call_from_thread
        self._limit = limit
        self._closed = False
        self._jobs: queue.SimpleQueue[tuple[Callable[[S], Any], Deferred[Any], bool] | None] = (
            queue.SimpleQueue()
        )
        self._threads = [
            threading.Thread(
                target=self._loop, args=(resource,), name=f"{name}-{index}", daemon=True
            )
            for index, resource in enumerate(resources)
        ]

    @property
    def threads(self) -> int:
        return len(self._resources)

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def run(self, job: Callable[[S], T], *, even_cancelled: bool = False) -> Deferred[T]:
        """The job's result, on the reactor. Reactor thread only.

        A job whose Deferred was cancelled before its turn is left out unless ``even_cancelled``.

        Raises:
            StoreUnavailable: closed, or too many jobs are waiting.
        """
        if self._closed:
            raise StoreUnavailable("the mail store is closed")
        if self._jobs.qsize() >= self._limit:
            raise StoreUnavailable(waiting=self._limit)
        deferred: Deferred[T] = Deferred()
        self._jobs.put((job, deferred, even_cancelled))
        return deferred

    def close(self) -> None:
        """Take nothing more; what is waiting is still done. ``join`` waits for it."""
        if not self._closed:
            self._closed = True
            for _ in self._threads:
                self._jobs.put(None)

    def join(self) -> None:
        for thread in self._threads:
            thread.join()

    def _loop(self, resource: S) -> None:
        while True:
            task = self._jobs.get()
            if task is None:
                break
            job, deferred, even_cancelled = task
            if deferred.called and not even_cancelled:
                continue  # cancelled while it waited: the client is gone
            try:
                result = job(resource)
            except GatewayError as error:
                self._call_from_thread(partial(deferred.errback, Failure(error)))
            except sqlite3.Error as error:
                failure = engine.store_error(error)
                failure.__cause__ = error
                self._call_from_thread(partial(deferred.errback, Failure(failure)))
            except BaseException:
                self._call_from_thread(partial(deferred.errback, Failure()))
            else:
                self._call_from_thread(partial(deferred.callback, result))
            del task, job, deferred
        resource.close()
