"""What ``twistd gateway`` runs: sockets bound first, everything else after privileges are dropped.

Owns the order of starting and stopping, signals, the certificates' files, the control socket, and
the exit statuses of failures at start. Mail is served by ``alone`` in this process, or by workers
that ``supervisor`` runs.
"""

from __future__ import annotations

import datetime
import os
import signal
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, NoReturn, Protocol

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.logger import ILogObserver, Logger

from gateway.app import demo, descriptors
from gateway.app.alone import Alone
from gateway.app.certificates import Validity, tls_files, validity
from gateway.app.children import Child
from gateway.app.collecting import spare_what_is_built
from gateway.app.directory_care import directory_warnings
from gateway.app.indexing import indexer
from gateway.app.log import LineLog, gather_while_running, goes_to_stdout, relay_to_twistd
from gateway.app.options import CannotStart, Options, refuse
from gateway.app.processors import worker_count
from gateway.app.server import listening_of, stopped
from gateway.app.steady import keep_steady
from gateway.app.supervisor import Supervisor, WorkersFailed
from gateway.core.errors import GatewayError, SettingsError
from gateway.core.mailboxes import MailboxEvent
from gateway.core.settings.model import Settings
from gateway.core.settings.paths import control_socket
from gateway.edge import listener
from gateway.edge.http.control import ControlResource
from gateway.edge.http.control_asking import asking_routes
from gateway.edge.http.control_changes import changes_route
from gateway.edge.http.control_leavers import leavers_routes
from gateway.edge.http.control_people import people_routes
from gateway.edge.http.control_picture import picture_routes
from gateway.edge.http.control_queue import queue_routes
from gateway.edge.http.control_socket import listen_control
from gateway.edge.tls import ServerContexts
from gateway.edge.tls_material import Pem, TlsFiles, TlsMaterial

__all__ = ["Options", "makeService"]

READY_LINE = "gateway ready\n"

INDEXER_STOP_S = 5.0


def makeService(options: Options) -> GatewayService:
    """twistd's entry point."""
    from twisted.internet import reactor

    keep_steady(reactor)
    folder = options["demo"]
    twistd_options: Any = options.parent
    log: LineLog | None = None
    if goes_to_stdout(twistd_options) and sys.__stdout__:
        log = LineLog(sys.__stdout__)
        gather_while_running(log, reactor)
    return GatewayService(
        options["loaded"].settings,
        reactor,
        demo_folder=Path(folder) if folder is not None else None,
        log=log,
        daemon=not twistd_options["nodaemon"],
    )


class Serving(Protocol):
    """Who serves mail: this process or workers. Kept by ``alone`` and ``supervisor``."""

    def start(self) -> None: ...

    def heard(self, events: Sequence[MailboxEvent], queue_grew: bool) -> None: ...

    def use_certificates(self, tls: TlsMaterial) -> None: ...

    async def status(self) -> Mapping[str, Any]: ...

    async def ask(self, kind: str, body: object) -> Mapping[str, object]: ...

    async def stop(self) -> None: ...


class GatewayService(Service):
    """The whole gateway as one service."""

    log = Logger()

    def __init__(
        self,
        settings: Settings,
        reactor: Any,
        *,
        demo_folder: Path | None,
        log: LineLog | None,
        daemon: bool,
    ) -> None:
        self._settings = settings
        self._reactor = reactor
        self._demo_folder = demo_folder
        self._line_log = log
        self._log_sink = log.relay if log is not None else relay_to_twistd
        self._daemon = daemon
        self._bound: list[socket.socket] = []
        self._files: TlsFiles | None = None
        self._tls: TlsMaterial | None = None
        self._validity: list[Validity] = []
        self._serving: Serving | None = None
        self._indexer: Child | None = None
        self._control: listener.Listening | None = None
        self._started_at = time.monotonic()

    # -- starting

    def setServiceParent(self, parent: Any) -> None:
        super().setServiceParent(parent)
        if self._line_log is not None:
            parent.setComponent(ILogObserver, self._line_log)

    def privilegedStartService(self) -> None:
        """While still root: ports below 1024 and private keys."""
        if missing := descriptors.raise_limit(self._settings.limits.connections):
            self.log.warn("{missing}", missing=missing)
        try:
            if not self._settings.tls.self_signed:
                self._load_certificate()
            self._bound = [listener.bind(each.address) for each in self._settings.listen]
        except SettingsError as error:
            self._refuse("\n".join(map(str, error.problems)))
        except GatewayError as error:
            self._refuse(str(error), 1)

    def _refuse(self, text: str, status: int = 2) -> NoReturn:
        """End the start with a message where the administrator looks."""
        if self._line_log is None:
            for line in text.splitlines():
                self.log.critical("cannot start: {line}", line=line)
        if self._daemon:
            # Standard error is gone, and twistd's launcher waits for ever for a daemon that ends
            # in another way. The log has the message; where in our code it arose helps nobody.
            sys.excepthook = lambda *_: None
            raise CannotStart(text)
        refuse(text, status)

    def _load_certificate(self) -> None:
        if all(each.tls == "none" for each in self._settings.listen):
            return
        self._files = tls_files(self._settings)
        self._tls = self._usable(self._files.read())

    def _usable(self, tls: TlsMaterial) -> TlsMaterial:
        """The same, proved by making every context. Raises: SettingsError."""
        contexts = ServerContexts(tls)
        for listen in self._settings.listen:
            if listen.tls != "none":
                contexts.for_listener(listening_of(listen))
        self._look_at_dates(tls.certificates)
        return tls

    def _look_at_dates(self, certificates: Sequence[Pem]) -> None:
        """Some clients say nothing of a certificate's dates but that they cannot connect."""
        self._validity = [validity(pem.certificate) for pem in certificates]
        now = datetime.datetime.now(datetime.UTC)
        for pem, each in zip(certificates, self._validity, strict=True):
            warning = each.warning(now)
            if warning is not None:
                self.log.warn("{file}: {warning}", file=pem.files.certificate, warning=warning)

    def _warnings(self) -> list[str]:
        now = datetime.datetime.now(datetime.UTC)
        warnings = (each.warning(now) for each in self._validity)
        return list(dict.fromkeys(warning for warning in warnings if warning is not None))

    def startService(self) -> None:
        """With the privileges we keep: store, directory, doors, queue."""
        super().startService()
        try:
            Path(self._settings.state_dir).mkdir(mode=0o700, parents=True, exist_ok=True)
            if self._settings.tls.self_signed:
                self._load_certificate()
            serving = self._serve()
            serving.start()
            self._serving = serving
            self._control = listen_control(
                self._reactor,
                control_socket(Path(self._settings.state_dir)),
                ControlResource(
                    self.status,
                    [
                        changes_route(serving.heard),
                        *asking_routes(serving.ask),
                        *queue_routes(serving.ask),
                        *people_routes(serving.ask),
                        *leavers_routes(serving.ask),
                        *picture_routes(serving.ask),
                    ],
                ),
            )
        except SettingsError as error:
            self._refuse("\n".join(map(str, error.problems)))
        except WorkersFailed as error:
            self._refuse(str(error), error.status)
        except GatewayError as error:
            self._refuse(str(error), 1)
        except OSError as error:
            where = error.filename or self._settings.state_dir
            hint = "state_dir has to be a folder that the gateway's user can write into"
            self._refuse(f"{where}: {error.strerror}; {hint}", 1)
        self._indexer = indexer(self._settings, self._reactor, self._log_sink)
        if self._indexer is not None:
            self._indexer.start()
        self._reactor.callWhenRunning(self._running)

    def _serve(self) -> Serving:
        count = worker_count(self._settings.workers)
        clear_text_login = self._demo_folder is not None
        if count == 1:
            return Alone(
                self._settings,
                self._reactor,
                bound=self._bound,
                tls=self._tls,
                clear_text_login=clear_text_login,
            )
        return Supervisor(
            self._settings,
            self._reactor,
            count,
            bound=self._bound,
            tls=self._tls,
            clear_text_login=clear_text_login,
            log_sink=self._log_sink,
        )

    def _running(self) -> None:
        spare_what_is_built()
        signal.signal(signal.SIGHUP, self._on_hangup)
        for number in (signal.SIGTERM, signal.SIGINT):
            # Twisted's own handlers stop the reactor too, but twistd then dies of the signal: an
            # ordered stop shall end with status 0.
            signal.signal(number, self._on_stop)
        text = READY_LINE
        if self._demo_folder is not None:
            text = f"{demo.welcome(self._settings, self._demo_folder)}\n{text}"
        if self._line_log is None:
            self.log.info("{ready}", ready=READY_LINE.strip())
        # twistd has turned sys.stdout into the log; this line is a contract and goes out as it is.
        os.write(1, text.encode())

    # -- running

    def _on_stop(self, number: int, frame: object) -> None:
        signal.signal(number, signal.SIG_DFL)  # whoever asks twice does not want to wait
        self.log.info("stopping on {name}", name=signal.Signals(number).name)
        self._reactor.callFromThread(self._reactor.stop)

    def _on_hangup(self, number: int, frame: object) -> None:
        self._reactor.callFromThread(self.reload)

    def reload(self) -> None:
        """Take new certificates; what is wrong with them is logged and the old ones stay."""
        if self._files is None or self._serving is None:
            return
        try:
            tls = self._usable(self._files.read())
            self._serving.use_certificates(tls)
        except SettingsError as error:
            self.log.error("certificate not reloaded: {error}", error=str(error))
        else:
            self._tls = tls
            self.log.info("certificate reloaded")

    async def status(self) -> Mapping[str, object]:
        """What ``gateway status`` shows."""
        assert self._serving is not None
        serving = await self._serving.status()
        return {
            "version": metadata.version("mail-gateway"),
            "pid": os.getpid(),
            "uptime_s": int(time.monotonic() - self._started_at),
            "listeners": [
                {"protocol": each.protocol, "address": each.address, "tls": each.tls}
                for each in self._settings.listen
            ],
            **serving,
            "warnings": [*self._warnings(), *directory_warnings(serving["directories"])],
        }

    # -- stopping

    def stopService(self) -> Deferred[None]:
        """Finish what is in flight within a bound, then close the store (SECURITY D11)."""
        super().stopService()
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        if self._control is not None:
            await stopped(self._control)
        ends = [self._serving.stop()] if self._serving is not None else []
        if self._indexer is not None:
            ends.append(self._indexer.stop(INDEXER_STOP_S))
        for end in [Deferred.fromCoroutine(each) for each in ends]:  # all begin at once
            await end
        self.log.info("stopped")
