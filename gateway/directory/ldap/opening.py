"""A connection to one server, from its name to the first request: reached and protected.

Owns the order, which is what keeps passwords safe: nothing is asked before TLS is there and
proven if TLS was demanded (SECURITY L7, L8), and nobody is asked twice. How a name leads to a
connection is ``reaching``'s. Never chooses a server, never goes on to another one.

Limits: ``connect_timeout_s`` for finding and reaching, ``deadline_s`` for everything.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from twisted.internet.defer import CancelledError
from twisted.internet.error import TimeoutError
from twisted.internet.protocol import Factory

from gateway.core.hosts import parse_ip
from gateway.core.log_text import escaped
from gateway.directory.ldap.asking import LdapFailed
from gateway.directory.ldap.dialogue import Dialogue, words_of_loss
from gateway.directory.ldap.patience import within
from gateway.directory.ldap.reaching import Reaches
from gateway.directory.ldap.tls import LdapTls, Protection


class Security(Enum):
    """How a connection is protected, in an administrator's words."""

    CLEAR = "clear text"
    START_TLS = "StartTLS"
    TLS = "TLS"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a server is.

    Args:
        name: for logs: ``ldaps://dc1.example.com``.
        host: name or IP address to connect to.
        server_name: that the certificate must have; empty: the host.
    """

    name: str
    host: str
    port: int
    security: Security
    server_name: str = ""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of a connection.

    Args:
        connect_timeout_s: until TCP accepts, over all addresses.
        deadline_s: until it is protected.
        message_limit_octets: what one message of the server may have.
    """

    connect_timeout_s: float
    deadline_s: float
    message_limit_octets: int


@dataclass(frozen=True, slots=True)
class Opened:
    """A connection, and what protects it."""

    dialogue: Dialogue
    protection: Protection


class TlsFailed(LdapFailed):
    """The server was reached, and TLS with it did not come about.

    Args:
        protection: what it showed.
    """

    def __init__(self, reason: str, protection: Protection) -> None:
        super().__init__(reason)
        self.protection = protection


class Opener:
    """Opens connections.

    Args:
        reactor: IReactorTime and IReactorTCP, with a name resolver.
        tls: None: nothing but clear text can be opened.
        reaches: remembers addresses; None: one of its own.
    """

    def __init__(self, reactor: Any, tls: LdapTls | None, reaches: Reaches | None = None) -> None:
        self._reactor = reactor
        self._reaches = reaches or Reaches(reactor)
        self._tls = tls

    async def open(
        self,
        place: Place,
        limits: Limits,
        *,
        ended: Callable[[Dialogue, str], None] | None = None,
    ) -> Opened:
        """Reached and protected; not bound.

        Raises: LdapFailed.
        """
        tls = self._tls
        if place.security is not Security.CLEAR and tls is None:
            raise LdapFailed(f"{place.name}: no TLS settings")
        began = self._reactor.seconds()
        dialogue = await self._connect(place, limits, ended)
        if place.security is Security.CLEAR or tls is None:
            return Opened(dialogue, Protection())
        handshake = tls.handshake(place.server_name or place.host)
        dialogue.explain = handshake.why
        left_s = limits.deadline_s - (self._reactor.seconds() - began)
        try:
            if place.security is Security.START_TLS:
                await dialogue.start_tls(handshake, deadline_s=left_s)
            else:
                await dialogue.handshake(handshake, deadline_s=left_s)
        except LdapFailed as failed:
            raise TlsFailed(failed.reason, handshake.protection()) from None
        protection = handshake.protection()
        if not handshake.proven:  # it ends already, and nothing that it said counts
            dialogue.fail(protection.problem)
            raise TlsFailed(f"{place.name}: {protection.problem}", protection)
        dialogue.explain = words_of_loss
        return Opened(dialogue, protection)

    async def _connect(
        self, place: Place, limits: Limits, ended: Callable[[Dialogue, str], None] | None
    ) -> Dialogue:
        def build() -> Dialogue:
            return Dialogue(
                place.name,
                self._reactor,
                message_limit_octets=limits.message_limit_octets,
                ended=ended,
            )

        factory: Any = Factory.forProtocol(build)
        factory.noisy = False
        limit_s = min(limits.connect_timeout_s, limits.deadline_s)
        late = f"{place.name}: connecting: no answer in {limit_s:g} s"
        reached = self._reached(place, factory, limit_s, late)
        if parse_ip(place.host) is not None:
            return await reached  # an address has that limit of its own
        return await within(self._reactor, limit_s, reached, late)

    async def _reached(self, place: Place, factory: Any, limit_s: float, late: str) -> Dialogue:
        """Raises: LdapFailed."""
        try:
            dialogue: Dialogue = await self._reaches.connect(
                place.host, place.port, factory, timeout_s=limit_s
            )
        except CancelledError:
            raise
        except TimeoutError:
            reason = late
        except Exception as error:
            reason = f"{place.name}: connecting: {escaped(error, 200) or type(error).__name__}"
        else:
            return dialogue
        raise LdapFailed(reason)
