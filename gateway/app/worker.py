"""One of several processes that serve: ``python -m gateway.app.worker``, started by ``supervisor``.

Owns the process: what it was given, its signals, its line to the parent, its exit status. It joins
the store that the parent holds, accepts on the sockets that the parent has bound, and ends in order
on SIGTERM or when the parent is gone. The one that is told to lead also runs the queue and cares
for the store.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from gateway.app.asking import answer_to
from gateway.app.boot import parent_line, read_boot
from gateway.app.build import build, join_store
from gateway.app.collecting import spare_what_is_built
from gateway.app.counting import CountingMemory, tables_of
from gateway.app.directory_care import directory_status, look_at
from gateway.app.hurry import revive
from gateway.app.line import Line, adopt
from gateway.app.log import begin_child_log, gather_while_running
from gateway.app.messages import (
    Ask,
    Beat,
    Doubt,
    Failed,
    Hints,
    Hurried,
    Lead,
    Message,
    Ready,
    Reload,
    StatusAnswer,
    StatusAsked,
    encode,
)
from gateway.app.policies import Counting, login_memory
from gateway.app.server import DRAIN_LIMIT_S, MailServer, queue_status
from gateway.app.steady import keep_steady
from gateway.app.worker_boot import WorkerBoot
from gateway.core.errors import GatewayError, SettingsError
from gateway.core.shared_counters import SharedCounters
from gateway.edge.tls_material import TlsMaterial
from gateway.policy.shared_connections import SharedConnectionLimits

END_LIMIT_S = DRAIN_LIMIT_S + 5.0
"""Draining, and closing the store. Then the process ends in whatever state it is."""
TAKE_OVER_AGAIN_S = 5.0


class Worker:
    """Serves with the parts that the parent gave."""

    log = Logger()

    def __init__(self, boot: WorkerBoot, reactor: Any) -> None:
        self._boot = boot
        self._reactor = reactor
        self._line = Line(reactor, self._on_message, self._parent_lost)
        self._ending = False
        self._ended = False
        self._leading = False
        self._server: MailServer | None = None

    # -- starting

    def start(self, line: socket.socket) -> None:
        """Build everything and accept.

        Raises:
            SettingsError, GatewayError, OSError: what the administrator is to know.
        """
        boot, settings = self._boot, self._boot.settings
        memory = CountingMemory(boot.connections, tables_of(settings))

        def open_limits(table: int, total: int, per_address: int) -> SharedConnectionLimits:
            own, key = boot.number - 1, boot.connections_key
            return SharedConnectionLimits(memory.tables[table], own, key, total, per_address)

        bounds = settings.limits
        limits = open_limits(0, bounds.connections, bounds.connections_per_address)
        counters = SharedCounters(memory.rates, boot.connections_key, time.monotonic)
        counting = Counting(
            counters,
            login_memory(counters, memory.marks, boot.connections_key),
            lambda number, total, per_address: open_limits(1 + number, total, per_address),
        )
        name = f"worker-{boot.number}"
        parts = build(
            settings,
            self._reactor,
            open_store=partial(join_store, name),
            limits=limits,
            counting=counting,
            queue_owner=name,
            hurry=self._hurry,
        )
        server = MailServer(
            parts, self._reactor, tls=boot.tls, clear_text_login=boot.clear_text_login
        )
        self._server = server
        parts.store.share(self._line.hint)
        sockets = [socket.socket(fileno=fd) for fd in boot.listeners]
        server.open_doors(sockets)
        self._reactor.addSystemEventTrigger("before", "shutdown", self._before_shutdown)
        adopt(self._reactor, line, self._line)
        self._line.send(Ready())
        look_at(parts.directory)

    # -- what the parent says

    def _on_message(self, message: Message) -> None:
        server = self._server
        assert server is not None
        match message:
            case Hints(events, queue_grew):
                server.parts.store.heard(events, queue_grew)
            case Doubt():
                server.parts.store.doubt()
            case Beat():
                self._line.send(Beat())
            case Lead():
                self._begin_leading()
            case Hurried(destinations):
                if self._leading:
                    revive(server.parts.queue, destinations)
            case Reload(tls):
                self._reload(server, TlsMaterial.from_json(tls))
            case Ask():
                self._run(lambda: self._answer_question(server, message), "no answer given")
            case StatusAsked(number, with_queue):
                self._run(lambda: self._answer(number, with_queue), "status not answered")
            case _:
                self.log.warn("not for a worker: {kind}", kind=type(message).__name__)

    def _hurry(self, destinations: Sequence[str]) -> None:
        self._line.send(Hurried(destinations))

    def _run(self, work: Callable[[], Any], trouble: str) -> None:
        running: Deferred[None] = Deferred.fromCoroutine(work())
        running.addErrback(lambda failure: self.log.failure(trouble, failure))

    def _begin_leading(self) -> None:
        self._run(self._lead, "the queue cannot be taken over")

    async def _lead(self) -> None:
        if self._leading or self._ending or self._server is None:
            return
        self._leading = True
        parts = self._server.parts
        try:
            await parts.store.take_care()
        except Exception as error:
            # Whatever it is: nobody else runs the queue while we are said to.
            if isinstance(error, GatewayError):
                self.log.error("the queue cannot be taken over: {error}", error=str(error))
            else:
                self.log.failure("the queue cannot be taken over")
            self._leading = False
            self._reactor.callLater(TAKE_OVER_AGAIN_S, self._begin_leading)
            return
        if not self._ending:
            parts.queue.start()
            if parts.tls_care is not None:
                parts.tls_care.start()
            parts.picturing.start()
            parts.people_care.start()
            Deferred.fromCoroutine(parts.store.ask_destinations())
            self.log.info("runs the queue")

    def _reload(self, server: MailServer, tls: TlsMaterial) -> None:
        try:
            server.use_certificates(tls)
        except SettingsError as error:
            self.log.error("certificate not reloaded: {error}", error=str(error))
        else:
            self.log.info("certificate reloaded")

    async def _answer(self, number: int, with_queue: bool) -> None:
        assert self._server is not None
        parts = self._server.parts
        status: dict[str, Any] = {"sessions": dict(parts.sessions.count_by_protocol())}
        if with_queue:
            status["directories"] = directory_status(
                parts.directory.health(), parts.picturing.status()
            )
            with contextlib.suppress(GatewayError):  # the parent tells that it is not known
                status["queue"] = queue_status(await parts.store.depth(), parts.queue.snapshot())
        self._line.send(StatusAnswer(number, status))

    async def _answer_question(self, server: MailServer, asked: Ask) -> None:
        self._line.send(await answer_to(server, asked))

    # -- ending

    def handle_signals(self) -> None:
        """Once the reactor, which has handlers of its own, runs."""
        signal.signal(signal.SIGTERM, self._on_terminate)

    def _on_terminate(self, number: int, frame: object) -> None:
        # May come twice where everybody is told at once, and then the parent tells as well.
        self._reactor.callFromThread(self.stop, "SIGTERM")

    def _parent_lost(self) -> None:
        if self._ended:
            return  # the reactor has hung up, as it does last of all
        if self._ending:
            # It waits for our end, so somebody has killed it meanwhile and will not wait.
            os._exit(1)
        self.stop("the parent is gone")

    def stop(self, why: str) -> None:
        """End in order, within END_LIMIT_S."""
        if not self._ending:
            self._ending = True
            self.log.info("stopping: {why}", why=why)
            self._reactor.stop()

    def _before_shutdown(self) -> Deferred[None]:
        """The reactor stops, for whatever reason, when this has come."""
        self._ending = True
        # A thread, as nothing that hangs may keep the listening sockets and the store's lock.
        last = threading.Timer(END_LIMIT_S, os._exit, (1,))
        last.daemon = True
        last.start()
        ended: Deferred[None] = Deferred.fromCoroutine(self._end())
        ended.addErrback(lambda failure: self.log.failure("not stopped in order", failure))
        return ended

    async def _end(self) -> None:
        if self._server is not None:
            await self._server.stop()
        self._ended = True
        self.log.info("stopped")


def main() -> int:
    """Serve until told to end; returns the exit status."""
    for number in (signal.SIGINT, signal.SIGHUP):  # the parent's affair, which a terminal tells all
        signal.signal(number, signal.SIG_IGN)
    boot = WorkerBoot.from_json(read_boot())
    line = parent_line()
    log = begin_child_log(f"worker {boot.number}")
    importlib.import_module(boot.reactor).install()
    from twisted.internet import reactor

    keep_steady(reactor)
    gather_while_running(log, reactor)
    worker = Worker(boot, reactor)
    try:
        worker.start(line)
    except SettingsError as error:
        return _refuse(line, Failed(2, "\n".join(map(str, error.problems))))
    except GatewayError as error:
        return _refuse(line, Failed(1, str(error)))
    except OSError as error:
        where = error.filename or f"worker {boot.number}"
        return _refuse(line, Failed(1, f"{where}: {error.strerror}"))
    spare_what_is_built()
    started: Any = reactor
    started.callWhenRunning(worker.handle_signals)
    started.run()
    return 0


def _refuse(line: socket.socket, failed: Failed) -> int:
    with contextlib.suppress(OSError):
        line.sendall(encode(failed))
    return failed.status


if __name__ == "__main__":
    # Under its own name, which stands in the log.
    status = importlib.import_module("gateway.app.worker").main()
    # Everything is closed; taking the interpreter apart would only keep the parent waiting.
    os._exit(status)
