"""One connection to another server: the Twisted side of ``wire.smtp_client``.

Owns the socket, the deadline of each phase, TLS and the body's way from the store to the wire with
back-pressure. Never decides what a reply means, nor how long the connection is kept for more. The
deadline belongs to a phase and moves with whole replies only, so a peer that drips octets gains
nothing (SECURITY N1), and who drips replies gains ``dialogue_s``.

``opened`` and each Deferred of ``send`` end exactly once; the connection itself may outlive them,
idle or by the answer to QUIT.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IHandshakeListener, IPushProducer
from twisted.internet.protocol import Protocol as TwistedProtocol
from twisted.internet.protocol import connectionDone
from twisted.internet.tcp import Connection as TcpConnection
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from gateway.core.eager import left_of
from gateway.core.errors import GatewayError
from gateway.core.ports.clock import Timer, Timers
from gateway.delivery.body import CHUNK_OCTETS, NO_BODY, Body
from gateway.delivery.scram import Scram
from gateway.delivery.targets import TlsResult
from gateway.delivery.timeouts import Timeouts
from gateway.delivery.tls import Handshake
from gateway.wire.content_scan import ContentScan
from gateway.wire.dot_stuffing import DotStuffer
from gateway.wire.mime.downgrade import Downgrade, Encodings
from gateway.wire.mime.part_rewriting import Unconvertible
from gateway.wire.scram_client import KeysWanted
from gateway.wire.smtp_client import NO_TRUST, ClientSession
from gateway.wire.smtp_client_envelope import Envelope
from gateway.wire.smtp_client_plan import (
    InspectBody,
    NotOpened,
    Opened,
    Request,
    Send,
    SendBody,
    Stage,
    StartTls,
    TransactionEnd,
)
from gateway.wire.smtp_client_results import PeerLimits
from gateway.wire.tlsrpt import ResultType

JUST_USED_S = 1.0  # shorter than any server keeps a connection on which nothing is said


@implementer(IHandshakeListener, IPushProducer)
class SmtpClient(TwistedProtocol):
    """Drives one session.

    Args:
        session: fresh.
        tls: of this connection, for STARTTLS or from its first octet.
        scram: where the session may log in by it.

    ``gone`` is called when the connection can no longer be used; ``tls_result`` is what became of
    TLS.
    """

    log = Logger()
    transport: Any

    def __init__(
        self,
        session: ClientSession,
        *,
        tls: Handshake,
        timers: Timers,
        timeouts: Timeouts,
        scram: Scram | None = None,
    ) -> None:
        self._session = session
        self._scram = scram
        self._tls = tls
        self._timers = timers
        self._timeouts = timeouts
        self._timer: Timer | None = None
        self._dialogue_ends = 0.0  # by the timers' clock, but for the body
        self._body = NO_BODY
        self._writing: Deferred[None] | None = None
        self._gate: Deferred[None] | None = None
        self._blocked = False
        self._lost = False
        self._eager = False  # into the socket at once
        self._idle_since = 0.0
        self._ended: Deferred[TransactionEnd] | None = None
        self.opened: Deferred[NotOpened | None] = Deferred(self._cancelled)
        self.gone: Callable[[SmtpClient], None] = _ignore
        self.tls_result = TlsResult()
        self.local_ip = ""

    @property
    def is_idle(self) -> bool:
        """Another message may be sent."""
        return self._session.stage is Stage.IDLE and not self._lost

    @property
    def is_lost(self) -> bool:
        """The connection has ended."""
        return self._lost

    @property
    def limits(self) -> PeerLimits:
        return self._session.limits

    @property
    def secure(self) -> bool:
        return self._session.secure

    @property
    def scram_refused(self) -> bool:
        return self._session.scram_refused

    def send(self, envelope: Envelope, body: Body) -> Deferred[TransactionEnd]:
        """Send one message; only when idle."""
        ended: Deferred[TransactionEnd] = Deferred(self._cancelled)
        self._ended = ended
        self._body = body
        now = self._begin_dialogue()
        just_used = now - self._idle_since < JUST_USED_S
        self._perform(self._session.begin(envelope, body.at_hand, just_used=just_used))
        self._set_deadline()
        return ended

    def quit(self) -> None:
        """Say good-bye, or close where that is not possible."""
        self._perform(self._session.quit())
        self._set_deadline()
        self.gone(self)

    # -- Twisted's side

    def connectionMade(self) -> None:
        # Now, as a closed socket does not know it any more.
        self.local_ip = getattr(self.transport.getHost(), "host", "")
        set_no_delay = getattr(self.transport, "setTcpNoDelay", None)
        if set_no_delay is not None:
            # Else EHLO waits behind the TLS handshake's end until the peer acknowledges that.
            set_no_delay(True)
        self._eager = isinstance(self.transport, TcpConnection)
        self._begin_dialogue()
        self._set_deadline()

    def dataReceived(self, data: bytes) -> None:
        session = self._session
        before = session.replies, session.stage
        requests = session.receive(data)
        if (session.replies, session.stage) != before:
            self._set_deadline()
        self._perform(requests)

    def handshakeCompleted(self) -> None:
        if self._tls.refuses:
            return  # the connection is being closed, and connectionLost hears why
        self.tls_result = self._tls.result()
        if self._session.stage is Stage.HANDSHAKE:
            self._perform(self._session.tls_started())
            self._set_deadline()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._lost = True
        stage = self._session.stage
        if stage is not Stage.CLOSED:
            dropped = reason.check(ConnectionDone, ConnectionLost) is not None
            if stage is Stage.HANDSHAKE or (stage is Stage.GREETING and not dropped):
                self.tls_result = self._tls.result(reason)
            if stage in (Stage.HANDSHAKE, Stage.GREETING) and not dropped:
                # TLS says why: a certificate, a version, another protocol.
                words = f"TLS failed: {self.tls_result.reason}"
                self._perform(self._session.give_up(NO_TRUST, words))
            else:
                words = f"the connection was lost while waiting for: {stage.value}"
                self._perform(self._session.give_up("4.4.2", words))
        self._stop()
        self.gone(self)

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
                    self._write(data)
                case TransactionEnd():
                    self._body = NO_BODY
                    self._idle_since = self._timers.seconds()
                    ended, self._ended = self._ended, None
                    if ended is not None:
                        ended.callback(request)
                case SendBody(encodings):
                    self._start(self._send_body(encodings))
                case InspectBody():
                    self._start(self._inspect_body())
                case StartTls():
                    self._eager = False  # past the transport would be past TLS
                    self._set_deadline()
                    self.transport.startTLS(self._tls)
                case KeysWanted():
                    self._start(self._make_keys(request))
                case Opened():
                    self._end_opening(None)
                case NotOpened():
                    self._end_opening(request)
                case _:
                    self._close()

    def _write(self, data: bytes) -> None:
        if self._eager:
            data = left_of(self.transport, data)
            if not data:
                return
            self._eager = False  # from now on in order, buffered
        self.transport.write(data)

    def _end_opening(self, end: NotOpened | None) -> None:
        if not self.opened.called:
            self.opened.callback(end)

    def _close(self) -> None:
        self.gone(self)
        writing, self._writing = self._writing, None
        if writing is not None:
            # In the middle of a message: nothing more may leave, least of all an end of data.
            writing.cancel()
            self._abort()
        elif not self._lost:
            self.transport.loseConnection()

    async def _make_keys(self, wanted: KeysWanted) -> None:
        assert self._scram is not None, "without it the plan has no nonce"
        try:
            keys = await self._scram.keys(wanted)
        except GatewayError as problem:
            self._writing = None
            words = f"the login for the next hop cannot be made now: {problem}"
            self._perform(self._session.give_up("4.3.2", words))
            return
        self._writing = None
        self._perform(self._session.keys_made(keys))

    # -- the body

    def _start(self, coroutine: Coroutine[Deferred[Any], Any, None]) -> None:
        writing: Deferred[None] = Deferred.fromCoroutine(coroutine)
        if not writing.called:
            self._writing = writing
        writing.addErrback(self._body_failed)

    def _body_failed(self, failure: Failure) -> None:
        ours = self._lost or self._session.stage is Stage.CLOSED
        if ours and failure.check(CancelledError):
            return  # by _close or _stop
        self._writing = None
        if failure.check(GatewayError, Unconvertible):
            self.log.warn("message cannot be read for sending: {error}", error=failure.value)
        else:
            self.log.failure("message cannot be read for sending", failure)
        words = "the message cannot be read at the moment"
        # Before the Close: what was written is no message, and must not be taken for one.
        self._abort()
        self._perform(self._session.give_up("4.3.0", words, ours=True))

    async def _inspect_body(self) -> None:
        offset = 0
        scan = ContentScan()
        while offset < self._body.size_octets:
            chunk = await self._chunk(offset)
            offset += len(chunk)
            scan.feed(chunk)
        self._writing = None
        self._perform(self._session.body_inspected(scan.end()))
        self._set_deadline()

    async def _send_body(self, encodings: Encodings | None) -> None:
        stuffer = DotStuffer()
        downgrade = None if encodings is None else Downgrade(encodings)
        offset = 0
        self._eager = False  # what waits in the transport must not be overtaken
        self.transport.registerProducer(self, True)
        try:
            while offset < self._body.size_octets:
                self._set_deadline()
                chunk = await self._chunk(offset)
                offset += len(chunk)
                if downgrade is not None:
                    chunk = downgrade.feed(chunk)
                self.transport.write(stuffer.feed(chunk))
                if self._blocked:
                    self._gate = Deferred()
                    await self._gate
        finally:
            self._blocked = False
            self.transport.unregisterProducer()
        self._writing = None
        rest = b"" if downgrade is None else stuffer.feed(downgrade.finish())
        self.transport.write(rest + stuffer.finish())
        self._perform(self._session.body_sent())
        self._begin_dialogue()
        self._set_deadline()

    async def _chunk(self, offset: int) -> bytes:
        length = min(CHUNK_OCTETS, self._body.size_octets - offset)
        chunk = await self._body.read(offset, length)
        if not chunk:
            raise GatewayError("the message is shorter than recorded", offset=offset)
        return chunk

    # -- deadline and end

    def _begin_dialogue(self) -> float:
        now = self._timers.seconds()
        self._dialogue_ends = now + self._timeouts.dialogue_s
        return now

    def _set_deadline(self) -> None:
        if self._lost:
            return
        stage = self._session.stage
        seconds = self._timeouts.of(stage)
        if stage is not Stage.BODY and stage is not Stage.IDLE:
            seconds = min(seconds, max(0.0, self._dialogue_ends - self._timers.seconds()))
        if self._timer is not None and self._timer.active():
            self._timer.reset(seconds)
        else:
            self._timer = self._timers.callLater(seconds, self._deadline_passed)

    def _deadline_passed(self) -> None:
        self._timer = None
        stage = self._session.stage
        if stage is Stage.IDLE:
            self.quit()
            return
        if stage not in (Stage.QUIT, Stage.CLOSED):
            text = f"no answer in time while waiting for: {stage.value}"
            if stage is Stage.HANDSHAKE:
                failure = ResultType.VALIDATION_FAILURE.value
                self.tls_result = TlsResult(failure=failure, reason="no answer")
            self._perform(self._session.give_up("4.4.2", text))
        self._abort()

    def _cancelled(self, _: Deferred[Any]) -> None:
        """Nobody waits for the end any more: the gateway stops."""
        self._ended = None
        self._abort()

    def _abort(self) -> None:
        if not self._lost:
            self.transport.abortConnection()

    def _stop(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None
        writing, self._writing = self._writing, None
        if writing is not None:
            writing.cancel()


def _ignore(client: SmtpClient) -> None:
    """Nobody wants to know."""
