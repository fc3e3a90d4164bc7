"""What ``twistd gateway`` runs: sockets bound first, everything else after privileges are dropped.

Owns the order of starting and stopping, SIGHUP, and the exit statuses of failures at start. The
objects themselves come from ``build``.

Limits: one process.
"""

from __future__ import annotations

import datetime
import os
import signal
import socket
import sys
import time
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any, NoReturn

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.logger import ILogObserver, Logger

from gateway.app import demo
from gateway.app.build import Parts, build, door_factory
from gateway.app.certificates import Validity, ensure_self_signed, validity
from gateway.app.log import LineLog, goes_to_stdout
from gateway.app.options import CannotStart, Options, refuse
from gateway.core.errors import GatewayError, SettingsError
from gateway.core.settings.model import Settings
from gateway.core.settings.paths import control_socket
from gateway.edge import listener
from gateway.edge.http.control import ControlResource
from gateway.edge.http.control_socket import listen_control
from gateway.edge.tls import CertificateFiles, ServerContexts

__all__ = ["Options", "makeService"]

DRAIN_LIMIT_S = 20.0
"""How long running sessions and deliveries may take to finish at stop; docker kills after 30."""

READY_LINE = "gateway ready\n"


def makeService(options: Options) -> GatewayService:
    """twistd's entry point."""
    from twisted.internet import reactor

    folder = options["demo"]
    twistd_options: Any = options.parent
    return GatewayService(
        options["loaded"].settings,
        reactor,
        demo_folder=Path(folder) if folder is not None else None,
        log=LineLog(sys.__stdout__) if goes_to_stdout(twistd_options) and sys.__stdout__ else None,
        daemon=not twistd_options["nodaemon"],
    )


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
        self._daemon = daemon
        self._bound: list[socket.socket] = []
        self._certificate = Path()
        self._contexts: Any = None  # ServerContexts; mypy cannot see what zope declares of it
        self._validity: Validity | None = None
        self._parts: Parts | None = None
        self._ports: list[listener.Listening] = []
        self._control: listener.Listening | None = None
        self._started_at = time.monotonic()

    # -- starting

    def setServiceParent(self, parent: Any) -> None:
        super().setServiceParent(parent)
        if self._line_log is not None:
            parent.setComponent(ILogObserver, self._line_log)

    def privilegedStartService(self) -> None:
        """While still root: ports below 1024 and private keys."""
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
        tls = self._settings.tls
        if tls.self_signed:
            names = (self._settings.hostname,)
            files = ensure_self_signed(Path(self._settings.state_dir), names)
        else:
            files = CertificateFiles(Path(tls.certificate), Path(tls.key))
        self._contexts = ServerContexts(files)
        self._certificate = files.certificate
        self._look_at_dates()

    def _look_at_dates(self) -> None:
        """Some clients say nothing of a certificate's dates but that they cannot connect."""
        try:
            self._validity = validity(self._certificate)
        except (OSError, ValueError):
            return  # exchanged since the context was made
        for warning in self._warnings():
            self.log.warn("{file}: {warning}", file=self._certificate, warning=warning)

    def _warnings(self) -> list[str]:
        now = datetime.datetime.now(datetime.UTC)
        warning = self._validity.warning(now) if self._validity is not None else None
        return [warning] if warning is not None else []

    def startService(self) -> None:
        """With the privileges we keep: store, directory, doors, queue."""
        super().startService()
        try:
            Path(self._settings.state_dir).mkdir(mode=0o700, parents=True, exist_ok=True)
            if self._settings.tls.self_signed:
                self._load_certificate()
            parts = self._parts = build(self._settings, self._reactor)
            self._control = listen_control(
                self._reactor,
                control_socket(Path(self._settings.state_dir)),
                ControlResource(self.status),
            )
        except SettingsError as error:
            self._refuse("\n".join(map(str, error.problems)))
        except GatewayError as error:
            self._refuse(str(error), 1)
        except OSError as error:
            where = error.filename or self._settings.state_dir
            hint = "state_dir has to be a folder that the gateway's user can write into"
            self._refuse(f"{where}: {error.strerror}; {hint}", 1)
        for listen, bound in zip(self._settings.listen, self._bound, strict=True):
            factory = door_factory(
                parts,
                listen,
                self._reactor,
                tls=self._contexts,
                clear_text_login=self._demo_folder is not None,
                ready=lambda: bool(self.running),
            )
            implicit = self._contexts if listen.tls == "implicit" else None
            self._ports.append(listener.serve(self._reactor, bound, factory, implicit))
        parts.queue.start()
        self._reactor.callWhenRunning(self._running)

    def _running(self) -> None:
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
        """Take a new certificate; what is wrong with it is logged and the old one stays."""
        if self._contexts is None:
            return
        try:
            self._contexts.reload()
        except SettingsError as error:
            self.log.error("certificate not reloaded: {error}", error=str(error))
        else:
            self.log.info("certificate reloaded")
            self._look_at_dates()

    async def status(self) -> Mapping[str, object]:
        """What ``gateway status`` shows."""
        assert self._parts is not None
        depth = await self._parts.store.depth()
        oldest_s = None
        if depth.oldest_created_at is not None:
            oldest_s = max(0, int(time.time()) - depth.oldest_created_at)
        return {
            "version": metadata.version("mail-gateway"),
            "pid": os.getpid(),
            "uptime_s": int(time.monotonic() - self._started_at),
            "listeners": [
                {"protocol": each.protocol, "address": each.address, "tls": each.tls}
                for each in self._settings.listen
            ],
            "sessions": dict(self._parts.sessions.count_by_protocol()),
            "queue": {
                "messages": depth.messages,
                "recipients": depth.recipients,
                "oldest_s": oldest_s,
            },
            "warnings": self._warnings(),
        }

    # -- stopping

    def stopService(self) -> Deferred[None]:
        """Finish what is in flight within a bound, then close the store (SECURITY D11)."""
        super().stopService()
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        for port in (*self._ports, self._control):
            if port is not None:
                await _stopped(port)
        parts = self._parts
        if parts is None:
            return
        try:
            # Both at once, as each may take as long as whoever stops us will wait in all.
            sending = Deferred.fromCoroutine(parts.queue.stop())
            cut_off = await parts.sessions.drain(self._reactor, DRAIN_LIMIT_S)
            if cut_off:
                self.log.warn("{count} sessions did not finish in time", count=cut_off)
            await sending
        finally:
            await parts.store.close()
            await parts.directory.close()
        self.log.info("stopped")


async def _stopped(port: listener.Listening) -> None:
    stopping = port.stopListening()
    if stopping is not None:
        await stopping
