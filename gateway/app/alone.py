"""The gateway in one process: the demo, and small machines.

Owns the same things as ``supervisor``, without workers: whoever drives one can drive the other.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping, Sequence
from typing import Any

from twisted.internet.defer import Deferred

from gateway.app.asking import answer
from gateway.app.build import build
from gateway.app.directory_care import directory_status, look_at
from gateway.app.server import MailServer, queue_status
from gateway.core.mailboxes import MailboxEvent
from gateway.core.settings.model import Settings
from gateway.edge.tls_material import TlsMaterial


class Alone:
    """Serves in this process.

    Args:
        bound: the listening sockets, in the order of the settings.
        tls: our certificates, if any listener uses TLS.
    """

    def __init__(
        self,
        settings: Settings,
        reactor: Any,
        *,
        bound: Sequence[socket.socket],
        tls: TlsMaterial | None,
        clear_text_login: bool,
    ) -> None:
        self._settings = settings
        self._reactor = reactor
        self._bound = bound
        self._tls = tls
        self._clear_text_login = clear_text_login
        self._server: MailServer | None = None
        self._started_at = time.monotonic()

    def start(self) -> None:
        """Open everything and accept. Blocks. Raises: SettingsError, GatewayError, OSError."""
        parts = build(self._settings, self._reactor)
        self._server = MailServer(
            parts, self._reactor, tls=self._tls, clear_text_login=self._clear_text_login
        )
        self._server.open_doors(self._bound)
        parts.queue.start()
        if parts.tls_care is not None:
            parts.tls_care.start()
        parts.picturing.start()
        parts.people_care.start()
        Deferred.fromCoroutine(parts.store.ask_destinations())
        look_at(parts.directory)

    def heard(self, events: Sequence[MailboxEvent], queue_grew: bool) -> None:
        """A command changed the store beside us."""
        if self._server is not None:
            self._server.parts.store.heard(events, queue_grew)

    def use_certificates(self, tls: TlsMaterial) -> None:
        """For new connections. Raises: SettingsError."""
        if self._server is not None:
            self._server.use_certificates(tls)

    async def status(self) -> Mapping[str, Any]:
        """Sessions, queue, and this process as the only worker."""
        assert self._server is not None
        parts = self._server.parts
        sessions = dict(parts.sessions.count_by_protocol())
        worker = {
            "number": 1,
            "pid": os.getpid(),
            "uptime_s": int(time.monotonic() - self._started_at),
            "restarts": 0,
            "ready": True,
            "runs_queue": True,
            "sessions": sessions,
        }
        queue = queue_status(await parts.store.depth(), parts.queue.snapshot())
        return {
            "sessions": sessions,
            "queue": queue,
            "directories": directory_status(parts.directory.health(), parts.picturing.status()),
            "workers": [worker],
        }

    async def ask(self, kind: str, body: object) -> Mapping[str, object]:
        """What this process knows. Raises: GatewayError."""
        assert self._server is not None
        return await answer(self._server, kind, body)

    async def stop(self) -> None:
        """End in order, within a bound."""
        if self._server is not None:
            await self._server.stop()
