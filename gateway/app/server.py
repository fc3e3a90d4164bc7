"""The doors, the queue and the store of one process that serves: the whole gateway, or a worker.

Owns what runs between the start and the end of serving, and the orderly end: accept nothing, finish
what is in flight within DRAIN_LIMIT_S, then close the store (SECURITY D11). Never binds a socket,
reads a certificate file or handles a signal: whoever runs the process does.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping, Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from gateway.app.build import Parts
from gateway.app.doors import door_factory, mail_door, smtp_services
from gateway.core.queue import DestinationStatus, QueueDepth
from gateway.core.settings.listen import ListenSettings
from gateway.edge import listener
from gateway.edge.connection import Door
from gateway.edge.smtp.services import SmtpServices
from gateway.edge.tls import Listening, ServerContexts
from gateway.edge.tls_material import TlsMaterial

DRAIN_LIMIT_S = 20.0
SHOWN_DEAD = 5
"""How long running sessions and deliveries may take to finish at stop; docker kills after 30."""


class MailServer:
    """Serves mail with the parts given, on sockets given."""

    log = Logger()

    def __init__(
        self, parts: Parts, reactor: Any, *, tls: TlsMaterial | None, clear_text_login: bool
    ) -> None:
        """Raises: SettingsError (the certificates)."""
        self.parts = parts
        self._reactor = reactor
        self._contexts = ServerContexts(tls) if tls is not None else None
        self._clear_text_login = clear_text_login
        self._ports: list[listener.Listening] = []
        self._stopping = False

    def open_doors(self, bound: Sequence[socket.socket]) -> None:
        """Accept connections on the settings' listeners, in their order.

        The sockets are used up.
        """
        for listen, each in zip(self.parts.settings.listen, bound, strict=True):
            factory = door_factory(
                self.parts,
                listen,
                self._reactor,
                tls=self._tls_of(listen),
                clear_text_login=self._clear_text_login,
                ready=lambda: not self._stopping,
            )
            self._ports.append(listener.serve(self._reactor, each, factory))

    def _tls_of(self, listen: ListenSettings) -> Any:
        """Any: mypy cannot see what zope declares of ListenerContexts."""
        if self._contexts is None or listen.tls == "none":
            return None
        return self._contexts.for_listener(listening_of(listen))

    def smtp_door(self, listen: ListenSettings) -> tuple[Door, SmtpServices]:
        """What the sessions of a listener for SMTP have, for one that is only rehearsed."""
        door = mail_door(
            self.parts, listen, self._reactor, self._tls_of(listen), self._clear_text_login
        )
        return door, smtp_services(self.parts, listen)

    def use_certificates(self, tls: TlsMaterial) -> None:
        """For new connections. Raises: SettingsError."""
        if self._contexts is not None:
            self._contexts.use(tls)

    async def stop(self) -> None:
        """End in order."""
        self._stopping = True
        for port in self._ports:
            await stopped(port)
        parts = self.parts
        try:
            # Both at once, as each may take as long as whoever stops us will wait in all.
            sending = Deferred.fromCoroutine(parts.queue.stop())
            cut_off = await parts.sessions.drain(self._reactor, DRAIN_LIMIT_S)
            if cut_off:
                self.log.warn("{count} sessions did not finish in time", count=cut_off)
            await sending
        finally:
            if parts.tls_care is not None:
                await parts.tls_care.stop()
            await parts.picturing.stop()
            await parts.people_care.stop()
            await parts.store.close()
            await parts.directories.close()
            await parts.logins.close()


def listening_of(listen: ListenSettings) -> Listening:
    """What of the listener decides about its TLS."""
    return Listening(listen.client_ca_file, listen.protocol == "http")


async def stopped(port: listener.Listening) -> None:
    """Returns when the port accepts no more."""
    stopping = port.stopListening()
    if stopping is not None:
        await stopping


def queue_status(
    depth: QueueDepth, destinations: Sequence[DestinationStatus]
) -> Mapping[str, object]:
    """The queue as ``gateway status`` shows it; of dead destinations the first SHOWN_DEAD."""
    dead = sorted(
        (each.destination, each.dead_until, each.problem)
        for each in destinations
        if each.dead_until is not None
    )
    oldest_s = None
    if depth.oldest_created_at is not None:
        oldest_s = max(0, int(time.time()) - depth.oldest_created_at)
    return {
        "messages": depth.messages,
        "recipients": depth.recipients,
        "held": depth.held,
        "oldest_s": oldest_s,
        "dead_destinations": len(dead),
        "dead": [
            {"destination": name, "dead_until": until, "problem": problem}
            for name, until, problem in dead[:SHOWN_DEAD]
        ],
    }
