"""What every door's connection has: identity, deadline, one command at a time, TLS, closing.

Owns the transport's life: the peer's address and a short id for logs, one lazily moved deadline
timer, output that leaves in one write per batch, back-pressure for long replies, STARTTLS, and an
orderly close. Never parses; never knows a protocol's words. Subclasses implement
``connection_ready``, ``octets_received``, ``deadline_passed``, ``connection_ended`` and ``drain``.

Limits: reading pauses only when a subclass says so (``pause_reading``); a peer that does not take a
closing reply within CLOSE_GRACE_S is aborted.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from twisted.internet import defer, error
from twisted.internet.interfaces import (
    IHandshakeListener,
    IOpenSSLServerConnectionCreator,
    IPushProducer,
)
from twisted.internet.protocol import Protocol as TwistedProtocol
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from gateway.auth.mechanisms import PASSWORDS_ONLY, Means
from gateway.core.eager import left_of
from gateway.core.errors import GatewayError
from gateway.core.hosts import is_loopback
from gateway.core.ports.clock import Timer, Timers
from gateway.core.tls_transport import EagerTlsFactory, is_tcp, start_tls
from gateway.edge.begin import begin

CLOSE_GRACE_S = 10.0
HANDSHAKE_LIMIT_S = 30.0  # SECURITY S19


class SessionRegistry(Protocol):
    """Who is connected; kept by ``edge.sessions``."""

    def add(self, connection: MailConnection) -> str:
        """Count the connection in; returns why it is refused, or empty text."""
        ...

    def remove(self, connection: MailConnection) -> None: ...

    def new_id(self) -> str:
        """A short id for a connection, for logs and replies."""
        ...


@dataclass(frozen=True, slots=True)
class Door:
    """What a listener gives to each of its connections.

    Args:
        protocol: ``smtp``, ``submission``, ``pop3``, ``imap``.
        hostname: our name for greetings.
        timers: monotonic time and timers.
        sessions: the registry of open connections.
        tls: contexts for STARTTLS, None when not offered; ``implicit_tls`` means that the listener
            itself speaks TLS.
        tls_layers: for STARTTLS on TCP connections; None: the transport's own way.
        clear_text_login: login is allowed without TLS (demo on loopback only).
        listener: its name in the settings, for policies and the trace.
        banner: what follows our name in the greeting.
        means: what logins are checked with.
    """

    protocol: str
    hostname: str
    timers: Timers
    sessions: SessionRegistry
    tls: IOpenSSLServerConnectionCreator | None = None
    tls_layers: EagerTlsFactory | None = None
    implicit_tls: bool = False
    clear_text_login: bool = False
    listener: str = ""
    banner: str = ""
    means: Means = PASSWORDS_ONLY


@implementer(IHandshakeListener, IPushProducer)
class MailConnection(TwistedProtocol):
    """One client connection of any mail protocol."""

    log: ClassVar[Logger] = Logger()
    # What we use of it is spread over six of Twisted's interfaces (TCP, TLS, consumer, producer).
    transport: Any

    def __init__(self, door: Door) -> None:
        self.door = door
        self.connection_id = door.sessions.new_id()
        self.peer_ip = ""
        self.is_tls = door.implicit_tls
        self.login = ""  # canonical login once authenticated; shown in status
        self.closing = self.dismissed = False
        self.handshaking = door.implicit_tls  # TLS has begun and is not there yet
        self._eager = False
        self._corked = 0
        self._output: list[bytes] = []
        self._timer: Timer | None = None
        self._deadline_at = 0.0
        self._running: defer.Deferred[None] | None = None
        self._gate: defer.Deferred[None] | None = None
        self._write_blocked = False
        self._reading_paused = False
        self._ended = False

    # -- for subclasses to implement

    def connection_ready(self) -> None:
        """The connection is counted in: send the greeting, set the first deadline."""
        raise NotImplementedError

    def octets_received(self, data: bytes) -> None:
        """Octets arrived; all output made meanwhile leaves in one write."""
        raise NotImplementedError

    def deadline_passed(self) -> None:
        """The deadline came; usually ``close`` with the protocol's farewell."""
        raise NotImplementedError

    def connection_refused(self, reason: str) -> None:
        """Too many connections; ``close`` with the protocol's refusal."""
        raise NotImplementedError

    def connection_ended(self) -> None:
        """The connection is gone: discard bodies, log out, stop watches. Called exactly once."""

    def command_failed(self, failure: Failure) -> None:
        """A coroutine given to ``run`` raised; answer generically. Default: log and abort."""
        self.log.failure("{id} command failed", failure, id=self.connection_id)
        self.abort()

    def drain(self) -> None:
        """The gateway stops: finish what is in flight, then say goodbye and ``close``."""
        raise NotImplementedError

    def dismiss(self) -> None:
        """As ``drain``, because whoever has logged in may not go on."""
        self.dismissed = True
        self.drain()

    # -- Twisted's side

    def connectionMade(self) -> None:
        peer = self.transport.getPeer()
        self.peer_ip = getattr(peer, "host", "") or "local"
        set_no_delay = getattr(self.transport, "setTcpNoDelay", None)
        if set_no_delay is not None:
            set_no_delay(True)
        self._eager = is_tcp(self.transport)
        self.transport.registerProducer(self, True)
        refusal = self.door.sessions.add(self)
        if refusal:
            if self.door.implicit_tls:
                self.abort()  # a reason could be told after a handshake only, and nobody counts us
            else:
                self.connection_refused(refusal)
            return
        self._cork()
        try:
            self.connection_ready()
        finally:
            self._uncork()
        if self.handshaking and not self.closing:
            self._move_deadline(HANDSHAKE_LIMIT_S)

    def handshakeCompleted(self) -> None:
        self.handshaking = False
        self.is_tls = True
        if not self.closing:
            self.tls_ready()

    def tls_ready(self) -> None:
        """The TLS handshake is done; set the deadline for the first command."""

    def dataReceived(self, data: bytes) -> None:
        if self.closing:
            return
        self._cork()
        try:
            self.octets_received(data)
        finally:
            self._uncork()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self._ended:
            return
        self._ended = self.closing = True
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None
        gate, self._gate = self._gate, None
        running, self._running = self._running, None
        if running is not None:
            running.cancel()  # reaches a waiting gate as well
        elif gate is not None:
            gate.errback(error.ConnectionDone())
        try:
            self.connection_ended()
        finally:
            self.door.sessions.remove(self)  # last: who waits for it may close the store at once

    # -- deadline: one timer, moved lazily, as most deadlines never pass

    def set_deadline(self, seconds: float) -> None:
        """Call ``deadline_passed`` in so many seconds unless moved again before.

        Without effect once closing, and in a handshake: nothing may prolong the grace or
        HANDSHAKE_LIMIT_S, such as a policy's verdict that comes meanwhile.
        """
        if not self.closing and not self.handshaking:
            self._move_deadline(seconds)

    def _move_deadline(self, seconds: float) -> None:
        self._deadline_at = self.door.timers.seconds() + seconds
        if self._timer is None:
            self._timer = self.door.timers.callLater(seconds, self._timer_fired)
        elif self._timer.getTime() > self._deadline_at:
            self._timer.reset(seconds)

    def _timer_fired(self) -> None:
        self._timer = None
        if self._ended:
            return
        left = self._deadline_at - self.door.timers.seconds()
        if left > 0.001:
            self._timer = self.door.timers.callLater(left, self._timer_fired)
        elif self.closing:
            self.abort()
        else:
            self._cork()
            try:
                self.deadline_passed()
            finally:
                self._uncork()

    # -- output: one write per batch

    def send(self, data: bytes) -> None:
        """Queue octets for the peer; they leave at the end of the current batch."""
        if self._ended:
            return
        self._output.append(data)
        if not self._corked:
            self._flush()

    def _cork(self) -> None:
        self._corked += 1

    def _uncork(self) -> None:
        self._corked -= 1
        if not self._corked:
            self._flush()

    def _flush(self) -> None:
        if self._output and not self._ended:
            output, self._output = self._output, []
            data = output[0] if len(output) == 1 else b"".join(output)
            if self._eager:
                data = left_of(self.transport, data)
                if not data:
                    return
                self._eager = False  # from now on in order, buffered
            self.transport.write(data)

    async def writable(self) -> None:
        """Wait until the peer has taken most of what was sent (back-pressure for long replies)."""
        self._flush()
        if self._write_blocked and not self._ended:
            assert self._gate is None, "one reply is streamed at a time"
            self._gate = defer.Deferred()
            await self._gate

    def pauseProducing(self) -> None:
        self._write_blocked = True

    def resumeProducing(self) -> None:
        self._write_blocked = False
        gate, self._gate = self._gate, None
        if gate is not None:
            gate.callback(None)

    def stopProducing(self) -> None:
        """The transport lost its consumer; ``connectionLost`` follows."""

    # -- commands: one coroutine at a time

    @property
    def busy(self) -> bool:
        """A command's coroutine is running; later commands stay in the core's buffer."""
        return self._running is not None

    def run(
        self, command: Coroutine[defer.Deferred[Any], Any, None], then: Callable[[], None]
    ) -> None:
        """Run one command; ``then`` is called when it ends later than this call returns.

        A command that ends at once leaves ``busy`` False and does not call ``then``, so that a
        loop over buffered commands does not recurse.
        """
        assert self._running is None
        try:
            deferred = begin(command)
        except Exception:
            self._command_error(Failure())
            return
        if deferred is None or deferred.addErrback(self._command_error).called:
            return
        self._running = deferred
        deferred.addCallback(self._command_done, then).addErrback(self._out_of_step)

    def _command_error(self, failure: Failure) -> None:
        if not self._ended:
            self.command_failed(failure)
        elif not failure.check(defer.CancelledError, GatewayError):
            self.log.failure("{id} failed after its end", failure, id=self.connection_id)

    def _command_done(self, _: None, then: Callable[[], None]) -> None:
        self._running = None
        if self._ended:
            return
        self._cork()
        try:
            then()
        finally:
            self._uncork()

    def _out_of_step(self, failure: Failure) -> None:
        """``then`` failed: as for a fault in ``dataReceived``, whose caller is Twisted."""
        self.log.failure("{id} failed between two commands", failure, id=self.connection_id)
        self.abort()

    # -- input

    @property
    def login_allowed(self) -> bool:
        """Nobody can listen to a password: over TLS, or in the demo from the machine itself."""
        return self.is_tls or (self.door.clear_text_login and is_loopback(self.peer_ip))

    def pause_reading(self) -> None:
        """Stop reading from the peer (it sent more than we want to buffer)."""
        if not self._reading_paused and not self._ended:
            self._reading_paused = True
            self.transport.pauseProducing()

    def resume_reading(self) -> None:
        if self._reading_paused and not self._ended:
            self._reading_paused = False
            self.transport.resumeProducing()

    # -- TLS and closing

    def start_tls(self) -> None:
        """Switch to TLS after what was sent so far; ``tls_ready`` is called when it is done."""
        assert self.door.tls is not None
        self._flush()
        # What a slow peer has not taken yet must leave before the first octet of TLS.
        all_sent, self._eager = self._eager, False  # past the transport would be past TLS
        self.set_deadline(HANDSHAKE_LIMIT_S)
        self.handshaking = True
        layers = self.door.tls_layers
        if layers is None or not is_tcp(self.transport):
            self.transport.startTLS(self.door.tls)
            return
        self.transport.unregisterProducer()
        self._write_blocked = False  # the layer tells of its own
        self.transport = start_tls(self.transport, self, layers, all_sent=all_sent)
        self.transport.registerProducer(self, True)

    def close(self, farewell: bytes = b"") -> None:
        """Send the farewell and close once it is taken; nothing that arrives later is looked at.

        In the middle of a handshake nothing can be said, and a client that never ends it would only
        keep the gateway from stopping.
        """
        if self.closing:
            return
        if self.handshaking:
            self.abort()
            return
        if farewell:
            self.send(farewell)
        self._flush()
        self.closing = True
        self.transport.unregisterProducer()
        self._move_deadline(CLOSE_GRACE_S)
        self.transport.loseConnection()

    def abort(self) -> None:
        """Drop the connection at once."""
        self.closing = True
        if not self._ended:
            self.transport.abortConnection()
