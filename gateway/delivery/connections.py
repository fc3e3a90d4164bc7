"""Connections to other servers, opened as targets demand and kept a while for more mail.

Owns which connections are idle, how long one serves, what is remembered of servers that refused a
login, SCRAM or BDAT, and the last words to all at the end. Never chooses a target, never knows a
message. A connection is only ever used for a target that asks for the very same: host, address,
port, protocol, login and TLS demand (SECURITY S18).

An opportunistic handshake that fails is followed by one connection in clear text, as between
strangers' servers mail would otherwise not flow at all and STARTTLS can be stripped anyway (RFC
7435); what demands TLS never is. Bounds: ``ConnectionLimits``; who sends bounds those in use.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.endpoints import wrapClientTLS
from twisted.internet.error import ConnectingCancelledError
from twisted.internet.protocol import Factory

from gateway.core.hosts import is_loopback
from gateway.core.next_hop import NextHop
from gateway.core.ports.clock import Timers
from gateway.delivery.endpoints import (
    Endpoints,
    SocketEndpoints,
    has_no_way,
    why_not_connected,
)
from gateway.delivery.memory import Memory
from gateway.delivery.reachability import Reachability
from gateway.delivery.scram import Scram
from gateway.delivery.smtp_client import SmtpClient
from gateway.delivery.targets import Protection, Target, TlsResult, TlsWitness
from gateway.delivery.timeouts import Timeouts
from gateway.delivery.tls import ClientTls
from gateway.wire.smtp_client import ClientSession
from gateway.wire.smtp_client_plan import NotOpened, Obstacle, Result, SessionPlan, TlsRule
from gateway.wire.smtp_client_results import defer
from gateway.wire.tlsrpt import ResultType

UNREACHABLE = "4.4.1"  # RFC 3463 section 3.5: no answer from host
REFUSED_LOGIN_S = 300.0
NO_CHUNKING_S = 3600.0
NO_SCRAM_S = 86_400.0  # each try of it is a refused login to a server that counts them


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """Bounds with their reasons.

    Args:
        idle: connections kept in all; each is a socket here and a process at some peers.
        idle_per_target: what a destination may use at once.
        messages: a server that counts them ends with 421, which costs a message one more try.
        age_s: so that hosts of equal preference keep sharing the load, and DNS counts again.
    """

    idle: int = 200
    idle_per_target: int = 50
    messages: int = 1000
    age_s: float = 300.0


class CannotOpen(Exception):
    """No connection to this target. Stays inside ``delivery``."""

    def __init__(self, end: NotOpened) -> None:
        self.end = end
        super().__init__(end.problem.text)


class Connection:
    """An open connection and how much it has served. Made by ``Connections`` alone.

    ``via`` is where it leads and how TLS protects it, in words.
    """

    __slots__ = ("client", "key", "messages", "opened_at", "via")

    def __init__(self, client: SmtpClient, target: Target, key: Hashable, opened_at: float) -> None:
        self.client = client
        self.key = key
        self.opened_at = opened_at
        self.messages = 0
        self.via = str(target)
        if client.secure:
            self.via += f",{_shown(client.tls_result, target)}"


class Connections:
    """Opens, keeps and ends connections.

    Args:
        hello: our name, as ``hello_octets`` made it.
        witness: hears what became of TLS.
        reachability: hears which addresses answered.
        scram: None: logins go by other mechanisms.
    """

    def __init__(
        self,
        hello: bytes,
        *,
        endpoints: Endpoints,
        sockets: SocketEndpoints,
        tls: ClientTls,
        timers: Timers,
        timeouts: Timeouts | None = None,
        limits: ConnectionLimits | None = None,
        witness: TlsWitness | None = None,
        reachability: Reachability | None = None,
        scram: Scram | None = None,
    ) -> None:
        self._hello = hello
        self._endpoints = endpoints
        self._sockets = sockets
        self._tls = tls
        self._timers = timers
        self._timeouts = timeouts or Timeouts()
        self._limits = limits or ConnectionLimits()
        self._witness = witness
        self._reachability = reachability or Reachability(timers)
        self._idle: dict[Hashable, list[Connection]] = {}
        self._order: dict[SmtpClient, Connection] = {}  # all idle ones, the longest idle first
        self._leaving: set[SmtpClient] = set()
        self._refused_logins: Memory[Result] = Memory(timers, REFUSED_LOGIN_S)
        self._scram = scram
        self._no_scram: Memory[bool] = Memory(timers, NO_SCRAM_S)
        self._no_chunking: Memory[bool] = Memory(timers, NO_CHUNKING_S)
        self._stopping = False
        self._all_left: Deferred[None] | None = None

    def take(self, target: Target) -> Connection | None:
        """An idle connection that may be used for this target; the latest used first."""
        line = self._idle.get(_key(target))
        if not line:
            return None
        connection = line[-1]
        self._forget(connection)
        return connection

    async def open(self, target: Target) -> Connection:
        """A new one. Raises: CannotOpen."""
        login = _login(target)
        refused = self._refused_logins.get(login) if login is not None else None
        if refused is not None:
            raise CannotOpen(NotOpened(refused, Obstacle.LOGIN))
        end = await self._open(target, _rule(target))
        if isinstance(end, NotOpened) and end.without_tls:
            end = await self._open(target, TlsRule.NEVER)
        if isinstance(end, Connection):
            return end
        if login is not None and end.obstacle is Obstacle.LOGIN:
            self._refused_logins.put(login, end.problem)
        raise CannotOpen(end)

    def give_back(self, connection: Connection) -> None:
        """Keep it if it may serve again, else part in peace."""
        client, limits = connection.client, self._limits
        if not client.is_idle:
            return
        connection.messages += 1
        most = min(limits.messages, client.limits.mail_max or limits.messages)
        line = self._idle.setdefault(connection.key, [])
        if (
            self._stopping
            or connection.messages >= most
            or self._timers.seconds() - connection.opened_at >= limits.age_s
            or len(line) >= limits.idle_per_target
        ):
            if not line:
                del self._idle[connection.key]
            client.quit()
            return
        if len(self._order) >= limits.idle:
            self._end(next(iter(self._order.values())))
            line = self._idle.setdefault(connection.key, [])
        line.append(connection)
        self._order[client] = connection

    def forget_refusal(self, hop: NextHop) -> None:
        """An administrator wants its login tried again at once."""
        login = (hop.host, hop.port, hop.user)
        self._refused_logins.forget(login)
        self._no_scram.forget(login)

    def avoid_chunking(self, target: Target) -> None:
        """It says CHUNKING and does not know BDAT."""
        self._no_chunking.put(_server(target), True)

    async def stop(self) -> None:
        """Say good-bye on all idle connections, and wait a moment for the answers."""
        self._stopping = True
        leaving = list(self._order)
        for connection in list(self._order.values()):
            self._end(connection)
        self._leaving = {client for client in leaving if not client.is_lost}
        if not self._leaving:
            return
        self._all_left = Deferred()
        timer = self._timers.callLater(self._timeouts.quit_s, self._everybody_left)
        await self._all_left
        if timer.active():
            timer.cancel()

    # -- opening

    async def _open(self, target: Target, rule: TlsRule) -> Connection | NotOpened:
        handshake = self._tls.handshake(target.host, target.demand)
        client = SmtpClient(
            ClientSession(self._plan(target, rule)),
            tls=handshake,
            timers=self._timers,
            timeouts=self._timeouts,
            scram=self._scram,
        )
        if target.socket:
            endpoint = self._sockets(target.socket, self._timeouts.connect_s)
        else:
            endpoint = self._endpoints(target.ip, target.port, self._timeouts.connect_s)
        if target.implicit_tls:
            endpoint = wrapClientTLS(handshake, endpoint)  # type: ignore[arg-type]  # provided
        factory = Factory.forProtocol(lambda: client)
        factory.noisy = False  # two lines in the log for each connection, with nothing in them
        try:
            await endpoint.connect(factory)
        except (CancelledError, ConnectingCancelledError):
            raise CancelledError() from None
        except Exception as problem:
            # Besides ConnectError also what the socket layer raises: no IPv6 here, no descriptors.
            if target.ip:
                self._reachability.failed(target.ip, no_way=has_no_way(problem))
            text = f"no connection to {target}: {why_not_connected(problem, target.socket)}"
            return NotOpened(defer(UNREACHABLE, text), Obstacle.SILENCE)
        end = await client.opened
        if client.scram_refused:
            self._no_scram.put(_login(target), True)
        if rule is not TlsRule.NEVER:
            self._tell(target, client, end)
        if end is not None:
            if end.obstacle is Obstacle.SILENCE and target.ip:
                self._reachability.failed(target.ip)
            return end
        self._reachability.worked(target.ip)
        connection = Connection(client, target, _key(target), self._timers.seconds())
        client.gone = self._gone
        return connection

    def _plan(self, target: Target, rule: TlsRule) -> SessionPlan:
        login = _login(target)
        scram = self._scram if login is not None and self._no_scram.get(login) is None else None
        return SessionPlan(
            self._hello,
            tls=rule,
            secure=target.implicit_tls,
            login=target.login,
            clear_text_login=is_loopback(target.ip),
            refuse_self=not target.named,
            lmtp=target.protocol == "lmtp",
            chunking=self._no_chunking.get(_server(target)) is None,
            nonce=scram.nonce() if scram is not None else b"",
        )

    def _tell(self, target: Target, client: SmtpClient, end: NotOpened | None) -> None:
        """RFC 8460: a host that could not be talked to at all says nothing about TLS."""
        if self._witness is None:
            return
        result = client.tls_result
        if not result.protocol and not result.failure:
            if end is not None and end.obstacle is not Obstacle.TLS:
                return
            if not client.secure:
                words = end.problem.text if end is not None else "STARTTLS is not offered"
                failure = ResultType.STARTTLS_NOT_SUPPORTED.value
                result = TlsResult(failure=failure, reason=words)
        if result.failure:
            result = replace(result, sending_ip=client.local_ip)
        self._witness.note(target, result)

    # -- keeping

    def _forget(self, connection: Connection) -> None:
        self._order.pop(connection.client, None)
        line = self._idle.get(connection.key)
        if line is not None and connection in line:
            line.remove(connection)
            if not line:
                del self._idle[connection.key]

    def _end(self, connection: Connection) -> None:
        self._forget(connection)
        connection.client.quit()

    def _gone(self, client: SmtpClient) -> None:
        connection = self._order.get(client)
        if connection is not None:
            self._forget(connection)
        if self._leaving and client.is_lost:
            self._leaving.discard(client)
            if not self._leaving:
                self._everybody_left()

    def _everybody_left(self) -> None:
        left, self._all_left = self._all_left, None
        if left is not None:
            left.callback(None)


def _server(target: Target) -> Hashable:
    return target.host, target.port, target.socket


def _login(target: Target) -> Hashable:
    """None where there is none."""
    return target.login and (target.host, target.port, target.login.user)


def _key(target: Target) -> Hashable:
    """All but the preference, which differs between domains with the same host."""
    return (
        target.host,
        target.ip,
        target.port,
        target.protocol,
        target.implicit_tls,
        target.login,
        target.demand,
        target.named,
        target.socket,
    )


def _rule(target: Target) -> TlsRule:
    demand = target.demand
    if demand.protection is Protection.NONE and not target.implicit_tls:
        return TlsRule.NEVER
    if target.implicit_tls:
        return TlsRule.REQUIRED
    weak = demand.protection is Protection.OPPORTUNISTIC or demand.testing
    return TlsRule.OPPORTUNISTIC if weak else TlsRule.REQUIRED


def _shown(result: TlsResult, target: Target) -> str:
    asked = target.demand.protection in (Protection.VERIFIED, Protection.DANE)
    proof = "proven" if asked and result.proven else "unproven"
    return ",".join(word for word in (result.protocol or "TLS", result.cipher, proof) if word)


def best(targets: Sequence[Target]) -> Sequence[Target]:
    """Those of the first one's preference."""
    preference = targets[0].preference
    return [target for target in targets if target.preference == preference]
