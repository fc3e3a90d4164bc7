"""One connection to another server: the Twisted side of ``wire.smtp_client``.

Owns the socket, the deadline of each phase, TLS and the body's way from the store to the wire with
back-pressure. Never decides what a reply means. The deadline belongs to a phase and moves with
whole replies only, so a peer that drips octets gains nothing (SECURITY N1).

Ends ``ended`` exactly once; the connection itself may outlive that by the answer to QUIT.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from service_identity import VerificationError
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import (
    IHandshakeListener,
    IOpenSSLClientConnectionCreator,
    IPushProducer,
)
from twisted.internet.protocol import Protocol as TwistedProtocol
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from gateway.core.errors import GatewayError
from gateway.core.ports.clock import Timer, Timers
from gateway.wire.content_scan import ContentScan
from gateway.wire.dot_stuffing import DotStuffer
from gateway.wire.smtp_client import NO_TRUST, ClientSession
from gateway.wire.smtp_client_plan import (
    Close,
    Finished,
    InspectBody,
    Request,
    Send,
    SendBody,
    SessionEnd,
    Stage,
    StartTls,
)

CHUNK_OCTETS = 65_536

ReadBody = Callable[[int, int], Coroutine[Deferred[Any], Any, bytes]]
"""Octets of the message from an offset; fewer than asked at its end."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long each phase may take; the defaults are the minima of RFC 5321 section 4.5.3.2."""

    connect_s: float = 30.0  # TCP; the RFC has none. Several addresses may have to be tried
    greeting_s: float = 300.0
    command_s: float = 300.0  # EHLO, AUTH, MAIL, RCPT
    handshake_s: float = 60.0
    data_s: float = 120.0
    block_s: float = 180.0  # for each chunk of the body
    end_of_data_s: float = 600.0  # the peer may scan the message; too short makes duplicates
    quit_s: float = 10.0  # all is decided then

    def of(self, stage: Stage) -> float:
        match stage:
            case Stage.GREETING:
                return self.greeting_s
            case Stage.HANDSHAKE:
                return self.handshake_s
            case Stage.DATA:
                return self.data_s
            case Stage.BODY | Stage.INSPECT:
                return self.block_s
            case Stage.END_OF_DATA:
                return self.end_of_data_s
            case Stage.QUIT | Stage.CLOSED:
                return self.quit_s
            case _:
                return self.command_s


@implementer(IHandshakeListener, IPushProducer)
class SmtpClient(TwistedProtocol):
    """Drives one session.

    Args:
        session: fresh.
        read_body: where the message comes from.
        size_octets: of the message; a body that ends before is never completed with an end of data.
        tls: for STARTTLS.
    """

    log = Logger()
    transport: Any

    def __init__(
        self,
        session: ClientSession,
        read_body: ReadBody,
        size_octets: int,
        *,
        tls: IOpenSSLClientConnectionCreator,
        timers: Timers,
        timeouts: Timeouts,
    ) -> None:
        self._session = session
        self._read_body = read_body
        self._size_octets = size_octets
        self._tls = tls
        self._timers = timers
        self._timeouts = timeouts
        self._timer: Timer | None = None
        self._body: Deferred[None] | None = None
        self._gate: Deferred[None] | None = None
        self._blocked = False
        self._lost = False
        self.ended: Deferred[SessionEnd] = Deferred(self._cancelled)

    # -- Twisted's side

    def connectionMade(self) -> None:
        set_no_delay = getattr(self.transport, "setTcpNoDelay", None)
        if set_no_delay is not None:
            # Else EHLO waits behind the TLS handshake's end until the peer acknowledges that.
            set_no_delay(True)
        self._set_deadline()

    def dataReceived(self, data: bytes) -> None:
        before = self._session.replies, self._session.stage
        requests = self._session.receive(data)
        if (self._session.replies, self._session.stage) != before:
            self._set_deadline()
        self._perform(requests)

    def handshakeCompleted(self) -> None:
        if self._session.stage is Stage.HANDSHAKE:
            self._perform(self._session.tls_started())
            self._set_deadline()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._lost = True
        stage = self._session.stage
        if stage is not Stage.CLOSED:
            shaking = stage in (Stage.HANDSHAKE, Stage.GREETING)
            if shaking and not reason.check(ConnectionDone, ConnectionLost):
                # TLS says why: a certificate, a version, another protocol.
                words = f"TLS failed: {_words(reason)}"
                self._perform(self._session.give_up(NO_TRUST, words))
            else:
                words = f"the connection was lost while waiting for: {stage.value}"
                self._perform(self._session.give_up("4.4.2", words))
        self._stop()

    def pauseProducing(self) -> None:
        self._blocked = True

    def resumeProducing(self) -> None:
        self._blocked = False
        gate, self._gate = self._gate, None
        if gate is not None:
            gate.callback(None)

    def stopProducing(self) -> None:
        """The transport lost its consumer; ``connectionLost`` follows."""

    # -- what the session asks for

    def _perform(self, requests: list[Request]) -> None:
        for request in requests:
            match request:
                case Send(data):
                    self.transport.write(data)
                case StartTls():
                    self._set_deadline()
                    self.transport.startTLS(self._tls)
                case InspectBody():
                    self._start(self._inspect_body())
                case SendBody():
                    self._start(self._send_body())
                case Finished(end):
                    self._finish(end)
                case Close():
                    self._close()

    def _finish(self, end: SessionEnd) -> None:
        self._set_deadline()
        if not self.ended.called:
            self.ended.callback(end)

    def _close(self) -> None:
        body, self._body = self._body, None
        if body is not None:
            # In the middle of a message: nothing more may leave, least of all an end of data.
            body.cancel()
            self.transport.abortConnection()
        elif not self._lost:
            self.transport.loseConnection()

    # -- the body

    def _start(self, coroutine: Coroutine[Deferred[Any], Any, None]) -> None:
        body: Deferred[None] = Deferred.fromCoroutine(coroutine)
        if not body.called:
            self._body = body
        body.addErrback(self._body_failed)

    def _body_failed(self, failure: Failure) -> None:
        ours = self._lost or self._session.stage is Stage.CLOSED
        if ours and failure.check(CancelledError):
            return  # by _close or _stop
        self._body = None
        if failure.check(GatewayError):
            self.log.warn("message cannot be read for sending: {error}", error=failure.value)
        else:
            self.log.failure("message cannot be read for sending", failure)
        self._perform(self._session.give_up("4.3.0", "the message cannot be read at the moment"))
        self._abort()

    async def _inspect_body(self) -> None:
        offset = 0
        scan = ContentScan()
        while offset < self._size_octets:
            chunk = await self._chunk(offset)
            offset += len(chunk)
            scan.feed(chunk)
        self._body = None
        self._perform(self._session.body_inspected(scan.end()))
        self._set_deadline()

    async def _send_body(self) -> None:
        stuffer = DotStuffer()
        offset = 0
        self.transport.registerProducer(self, True)
        try:
            while offset < self._size_octets:
                self._set_deadline()
                chunk = await self._chunk(offset)
                offset += len(chunk)
                self.transport.write(stuffer.feed(chunk))
                if self._blocked:
                    self._gate = Deferred()
                    await self._gate
        finally:
            self._blocked = False
            self.transport.unregisterProducer()
        self._body = None
        self.transport.write(stuffer.finish())
        self._perform(self._session.body_sent())
        self._set_deadline()

    async def _chunk(self, offset: int) -> bytes:
        length = min(CHUNK_OCTETS, self._size_octets - offset)
        chunk = await self._read_body(offset, length)
        if not chunk:
            raise GatewayError("the message is shorter than recorded", offset=offset)
        return chunk

    # -- deadline and end

    def _set_deadline(self) -> None:
        if self._lost:
            return
        seconds = self._timeouts.of(self._session.stage)
        if self._timer is not None and self._timer.active():
            self._timer.reset(seconds)
        else:
            self._timer = self._timers.callLater(seconds, self._deadline_passed)

    def _deadline_passed(self) -> None:
        self._timer = None
        stage = self._session.stage
        if stage not in (Stage.QUIT, Stage.CLOSED):
            text = f"no answer in time while waiting for: {stage.value}"
            self._perform(self._session.give_up("4.4.2", text))
        self._abort()

    def _cancelled(self, _: Deferred[SessionEnd]) -> None:
        """Nobody waits for the end any more: the gateway stops."""
        self._abort()

    def _abort(self) -> None:
        if not self._lost:
            self.transport.abortConnection()

    def _stop(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None
        body, self._body = self._body, None
        if body is not None:
            body.cancel()


def _words(reason: Failure) -> str:
    """A TLS failure in words; OpenSSL's are (library, function, reason) triples in a list."""
    if reason.check(VerificationError):
        return "the certificate is for another name"
    args = getattr(reason.value, "args", ())
    triples = args[0] if args and isinstance(args[0], list) else []
    words = ", ".join(str(triple[-1]) for triple in triples if isinstance(triple, tuple) and triple)
    words = words or type(reason.value).__name__
    return "".join(c if c.isprintable() and c.isascii() else " " for c in words)[:200]
