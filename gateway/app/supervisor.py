"""The parent of several workers: starts them, keeps them running, elects one, tells them things.

Owns the workers' lives and what they share: the held store, the listening sockets, the memory
for counting, the certificate in force, the hub. Serves no client and reads no mail itself, so there
is little in it that could end it.

Start: all workers are started and waited for before the reactor runs, so that a gateway whose
workers cannot start ends with their message and status; later a worker that ends is started again
(``children``). One of those that are ready leads: it runs the queue and cares for the store. When
it ends, another one that is ready takes over at once. One that lives and does not answer is ended
(``pulse``): it might lead, or have the turn to write.
"""

from __future__ import annotations

import secrets
import selectors
import socket
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, DeferredList
from twisted.logger import Logger

from gateway.app.asking import Asker
from gateway.app.children import Child
from gateway.app.counting import CountingMemory, tables_of
from gateway.app.hub import Hub
from gateway.app.line import Line, adopt
from gateway.app.messages import (
    Answer,
    Ask,
    Beat,
    Failed,
    FrameReader,
    Hurried,
    Lead,
    Message,
    Ready,
    Reload,
)
from gateway.app.process import LogSink, Process, tracer_of
from gateway.app.pulse import Pulse
from gateway.app.worker import END_LIMIT_S
from gateway.app.worker_boot import WorkerBoot
from gateway.core.errors import GatewayError
from gateway.core.mailboxes import MailboxEvent
from gateway.core.settings.model import Settings
from gateway.edge.tls_material import TlsMaterial
from gateway.store.holding import Holding

START_LIMIT_S = 120.0
"""For all workers together at the first start, for each one later."""
SILENCE_S = 60.0
"""A worker's reactor answers within milliseconds. One that has not for so long is stuck: its
clients wait in vain, and if it leads or has the turn to write, everybody's do."""
LOOK_S = 0.2
STOP_LIMIT_S = END_LIMIT_S + 2.0
MODULE = "gateway.app.worker"


class WorkersFailed(GatewayError):
    """The workers cannot start; ``status`` is to be the gateway's exit status."""

    temporary = False

    def __init__(self, text: str, status: int) -> None:
        super().__init__(text)
        self.status = status


class Supervisor:
    """Runs ``count`` workers.

    Args:
        bound: the listening sockets, in the order of the settings.
        tls: our certificates, if any listener uses TLS.
        log_sink: takes the lines of the workers' logs.
    """

    log = Logger()

    def __init__(
        self,
        settings: Settings,
        reactor: Any,
        count: int,
        *,
        bound: Sequence[socket.socket],
        tls: TlsMaterial | None,
        clear_text_login: bool,
        log_sink: LogSink,
    ) -> None:
        self._settings = settings
        self._reactor = reactor
        self._bound = bound
        self._tls = tls
        self._clear_text_login = clear_text_login
        self._log_sink = log_sink
        self._hub = Hub(reactor)
        self._pulse = Pulse(reactor, self._ask_for_life, self._is_silent)
        self._ready: set[int] = set()
        self._leader: int | None = None
        self._stopping = False
        self._holding: Holding | None = None
        self._table: CountingMemory | None = None
        self._key = secrets.token_bytes(16)
        self._asker = Asker(reactor, self._ask_one)
        self._workers = {number: self._child(number) for number in range(1, count + 1)}

    def _child(self, number: int) -> Child:
        return Child(
            f"worker {number}",
            lambda: self._spawn(number),
            self._reactor,
            began=lambda process: self._attach(number, process.take_line(), FrameReader()),
            ended=lambda: self._lost(number),
        )

    # -- starting

    def start(self) -> None:
        """Hold the store, start all workers, wait until each accepts. Blocks.

        Raises:
            GatewayError: the store cannot be had.
            WorkersFailed: with a worker's own message and exit status.
        """
        self._holding = Holding.take(Path(self._settings.state_dir), wall_clock=time.time)
        self._table = CountingMemory.make(len(self._workers), tables_of(self._settings))
        try:
            lines = self._start_all()
        except BaseException:
            for worker in self._workers.values():
                worker.kill()
            self._release()
            raise
        for number, (line, reader) in lines.items():
            self._attach(number, line, reader)
            self._workers[number].watch()
        # What the first ones told while the last ones started, nobody has heard.
        self._hub.doubt()
        for number in lines:
            self._is_ready(number)

    def _start_all(self) -> dict[int, tuple[socket.socket, FrameReader]]:
        processes: dict[int, Process] = {}
        for number, worker in self._workers.items():
            try:
                processes[number] = worker.start_unwatched()
            except OSError as error:
                text = f"cannot start worker {number}: {error.strerror} ({error.filename})"
                raise WorkersFailed(text, 1) from error
        lines = {n: (process.take_line(), FrameReader()) for n, process in processes.items()}
        try:
            self._wait_for_all(processes, lines)
        except BaseException:
            for line, _ in lines.values():
                line.close()
            raise
        return lines

    def _wait_for_all(
        self,
        processes: Mapping[int, Process],
        lines: Mapping[int, tuple[socket.socket, FrameReader]],
    ) -> None:
        with selectors.DefaultSelector() as selector:
            for number, (line, _) in lines.items():
                selector.register(line, selectors.EVENT_READ, number)
            end = time.monotonic() + START_LIMIT_S
            while selector.get_map():
                for key, _ in selector.select(LOOK_S):
                    number = key.data
                    if self._first_word(number, processes[number], *lines[number]):
                        selector.unregister(key.fileobj)
                for process in processes.values():
                    process.relay_log()
                if time.monotonic() >= end:
                    late = ", ".join(str(key.data) for key in selector.get_map().values())
                    text = f"workers {late} did not start within {START_LIMIT_S:g} s"
                    raise WorkersFailed(text, 1)

    def _first_word(
        self, number: int, process: Process, line: socket.socket, reader: FrameReader
    ) -> bool:
        """Whether the worker is ready. Raises: WorkersFailed."""
        data = line.recv(65_536)
        if not data:
            process.wait(END_LIMIT_S)
            text = f"worker {number} ended while starting ({process.outcome()}); the log has more"
            raise WorkersFailed(text, 1)
        for message in reader.feed(data):
            if isinstance(message, Failed):
                raise WorkersFailed(message.text, message.status)
            if isinstance(message, Ready):
                return True  # what else was said stands in the reader
        return False

    def _spawn(self, number: int) -> Process:
        assert self._holding is not None and self._table is not None
        self._table.clear(number - 1)
        listeners = tuple(each.fileno() for each in self._bound)
        boot = WorkerBoot(
            number=number,
            settings=self._settings,
            listeners=listeners,
            connections=self._table.fd,
            connections_key=self._key,
            tls=self._tls,
            clear_text_login=self._clear_text_login,
            reactor=type(self._reactor).__module__,
        )
        return Process.spawn(
            MODULE,
            boot.to_json(),
            log=self._log_sink,
            fds=(*listeners, self._table.fd, self._holding.fd),
        )

    # -- running

    def _attach(self, number: int, end: socket.socket, reader: FrameReader) -> None:
        line = Line(
            self._reactor,
            lambda message: self._on_message(number, message),
            lambda: self._line_lost(number),
            reader,
        )
        self._hub.attach(number, line)
        adopt(self._reactor, end, line)
        self._pulse.watch(number, START_LIMIT_S)

    def _on_message(self, number: int, message: Message) -> None:
        self._pulse.heard(number)
        if self._hub.heard(number, message):
            return
        match message:
            case Ready():
                self._is_ready(number)
            case Beat():
                pass
            case Answer():
                self._asker.heard(message)
            case Hurried() if self._leader is not None:
                self._hub.send([self._leader], message)
            case Hurried():
                pass  # who takes the queue over begins without put-offs
            case Failed(_, text):
                self.log.error("worker {number} cannot start: {text}", number=number, text=text)
            case _:
                self.log.warn("not for the parent: {kind}", kind=type(message).__name__)

    def _is_ready(self, number: int) -> None:
        self._ready.add(number)
        self._pulse.watch(number, SILENCE_S)
        self._elect()

    def _ask_for_life(self, number: int) -> None:
        self._hub.send([number], Beat())

    def _is_silent(self, number: int, silent_s: float) -> None:
        worker = self._workers[number]
        tracer = tracer_of(worker.pid) if worker.pid is not None else 0
        if tracer:  # somebody is looking at it, and has stopped it for that
            self.log.warn(
                "{name} has not answered for {silent_s} s, and is left to process {tracer}, "
                "which traces it",
                name=worker.name,
                silent_s=int(silent_s),
                tracer=tracer,
            )
        else:
            worker.kill_stuck(silent_s)

    def _elect(self) -> None:
        if self._leader is None and self._ready and not self._stopping:
            self._leader = min(self._ready)
            self._hub.send([self._leader], Lead())

    def _line_lost(self, number: int) -> None:
        """It ends, or is out of our reach and ends for that reason."""
        self._is_out(number)
        self._workers[number].end_within(STOP_LIMIT_S)

    def _is_out(self, number: int) -> None:
        self._ready.discard(number)
        self._pulse.forget(number)
        self._hub.detach(number)

    def _lost(self, number: int) -> None:
        self._is_out(number)
        if self._leader == number:
            self._leader = None
            self._elect()

    def heard(self, events: Sequence[MailboxEvent], queue_grew: bool) -> None:
        """A command changed the store beside us."""
        self._hub.hint(events, queue_grew)

    def use_certificates(self, tls: TlsMaterial) -> None:
        """For new connections, of workers that start later as well."""
        self._tls = tls
        self._hub.send(self._workers, Reload(tls.to_json()))

    async def status(self) -> Mapping[str, Any]:
        """What the workers know: sessions, queue (null if it cannot be told), each of them."""
        tells = self._leader if self._leader is not None else min(self._ready, default=None)
        answers = await self._hub.ask(sorted(self._ready), queue_from=tells)
        sessions: Counter[str] = Counter()
        for answer in answers.values():
            sessions.update(answer["sessions"])
        return {
            "sessions": dict(sessions),
            "queue": answers.get(tells or 0, {}).get("queue"),
            "directories": answers.get(tells or 0, {}).get("directories", []),
            "workers": [
                {
                    "number": number,
                    "pid": worker.pid,
                    "uptime_s": worker.uptime_s,
                    "restarts": worker.restarts,
                    "ready": number in self._ready,
                    "runs_queue": number == self._leader,
                    "sessions": answers.get(number, {}).get("sessions"),
                }
                for number, worker in self._workers.items()
            ],
        }

    async def ask(self, kind: str, body: object) -> Mapping[str, object]:
        """What one of the workers knows. Raises: GatewayError."""
        return await self._asker.ask(kind, body)

    def _ask_one(self, question: Ask) -> bool:
        """Whoever runs the queue, if anybody does: deeds on it concern what is being sent."""
        number = self._leader if self._leader is not None else min(self._ready, default=None)
        if number is None:
            return False
        self._hub.send([number], question)
        return True

    # -- stopping

    async def stop(self) -> None:
        """Have all workers end in order, within a bound; then give the store up."""
        self._stopping = True
        self._pulse.stop()
        for each in self._bound:
            each.close()
        stops = [
            Deferred.fromCoroutine(worker.stop(STOP_LIMIT_S)) for worker in self._workers.values()
        ]
        await DeferredList(stops, fireOnOneErrback=True, consumeErrors=True)
        self._release()

    def _release(self) -> None:
        if self._table is not None:
            self._table.close()
            self._table = None
        if self._holding is not None:
            self._holding.close()
