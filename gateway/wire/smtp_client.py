"""The sending side of SMTP and LMTP without a socket: octets in, requests out.

Owns the life of one connection: its opening (``smtp_client_opening``), then transactions one after
the other (``smtp_client_transaction``), then QUIT. Never waits, reads a body or logs; the driver
does what the returned requests say and reports back by the methods below.

Between transactions the peer has nothing to say: octets that come then, or behind the last answer
of one, end the connection, so that nobody's answer is ever taken for another's.
"""

from __future__ import annotations

from gateway.core.scram import ScramKeys
from gateway.wire.content_scan import Content
from gateway.wire.smtp_client_envelope import Envelope
from gateway.wire.smtp_client_opening import NO_TRUST, Opening
from gateway.wire.smtp_client_plan import (
    Close,
    NotOpened,
    Obstacle,
    Opened,
    Request,
    Send,
    SessionPlan,
    Stage,
)
from gateway.wire.smtp_client_reply import ReplyMalformed, ReplyReader
from gateway.wire.smtp_client_results import PeerLimits, defer, limits_of
from gateway.wire.smtp_client_transaction import Peer, Transaction

__all__ = ["NO_TRUST", "ClientSession"]


class ClientSession:
    """One connection's dialogue. Every method that returns requests returns all that follow.

    ``replies`` grows with every reply; the driver moves its deadline by it. ``limits`` are what the
    server said it takes at once, known when it is open. ``scram_refused``: see ``LoggingIn``.
    """

    def __init__(self, plan: SessionPlan) -> None:
        self._plan = plan
        self._reader = ReplyReader()
        self._out: list[Request] = []
        self._opening: Opening | None = Opening(plan, self._out)
        self._transaction: Transaction | None = None
        self._peer = Peer({}, plan.secure, plan.lmtp, False, False)
        self._pause = Stage.IDLE  # between transactions
        self.limits = PeerLimits()
        self.replies = 0
        self.scram_refused = False

    @property
    def stage(self) -> Stage:
        if self._transaction is not None:
            return self._transaction.stage
        return self._opening.stage if self._opening is not None else self._pause

    @property
    def secure(self) -> bool:
        return self._opening.secure if self._opening is not None else self._peer.secure

    # -- what the driver reports

    def receive(self, data: bytes) -> list[Request]:
        """Octets from the peer."""
        if self._pause is Stage.CLOSED:
            return []
        opening = self._opening
        if opening is not None and opening.stage is Stage.HANDSHAKE:
            opening.injected()
            self._settle()
        elif self._pause is Stage.IDLE and opening is None and self._transaction is None:
            self._close()  # nothing was asked
        else:
            self._reader.feed(data)
            try:
                self._read()
            except ReplyMalformed as problem:
                self._give_up("4.5.0", f"the server broke the protocol: {problem}")
        return self._take()

    def tls_started(self) -> list[Request]:
        """The handshake is done."""
        assert self._opening is not None, "asked for by StartTls"
        self._opening.tls_started()
        return self._take()

    def keys_made(self, keys: ScramKeys) -> list[Request]:
        """The keys that ``KeysWanted`` asked for."""
        if self._opening is not None:
            self._opening.keys_made(keys)
            self._settle()
        return self._take()

    def begin(
        self, envelope: Envelope, octets: bytes | None, *, just_used: bool = False
    ) -> list[Request]:
        """Send a message; only when the session is idle.

        Args:
            octets: the message if it is at hand; None: it is streamed by the driver.
            just_used: see ``Transaction``.
        """
        assert self.stage is Stage.IDLE, "one message after the other"
        self._transaction = Transaction(
            envelope, octets, self._peer, self._out, just_used=just_used
        )
        self._transaction.begin()
        self._settle()
        return self._take()

    def body_inspected(self, content: Content) -> list[Request]:
        if self._transaction is not None:
            self._transaction.body_inspected(content)
            self._settle()
        return self._take()

    def body_sent(self) -> list[Request]:
        """The end of data is written."""
        if self._transaction is not None:
            self._transaction.body_sent()
        return self._take()

    def give_up(self, status: str, text: str, *, ours: bool = False) -> list[Request]:
        """It cannot go on: see ``Opening.give_up`` and ``Transaction.give_up``."""
        self._give_up(status, text, ours=ours)
        return self._take()

    def quit(self) -> list[Request]:
        """Say good-bye where the peer listens, else close."""
        if self.stage is Stage.IDLE:
            self._say_quit()
        else:
            self._close()
        return self._take()

    # -- replies

    def _read(self) -> None:
        reader = self._reader
        while self._pause is not Stage.CLOSED:
            reply = reader.next()
            if reply is None:
                return
            self.replies += 1
            if self._transaction is not None:
                self._transaction.on_reply(reply, more=reader.buffered)
            elif self._opening is not None:
                self._opening.on_reply(reply, more=reader.buffered)
            else:
                self._close()  # the answer to QUIT
                return
            self._settle()

    def _settle(self) -> None:
        """What follows when an opening or a transaction has just ended."""
        transaction, opening = self._transaction, self._opening
        if transaction is not None:
            if transaction.ended:
                self._transaction = None
                self._peer.used = True
                if not transaction.usable or self._reader.buffered:
                    self._close()
        elif opening is not None:
            self.scram_refused = opening.scram_refused
            if opening.stage is Stage.CLOSED:
                self._opening = None
                if opening.polite:
                    self._say_quit()
                else:
                    self._close()
            elif self._out and isinstance(self._out[-1], Opened):
                self._opening = None
                if self._reader.buffered:
                    problem = defer("4.5.0", "the server speaks without being asked")
                    self._out[-1] = NotOpened(problem, Obstacle.SILENCE)
                    self._close()
                else:
                    self._became_open(opening)

    def _became_open(self, opening: Opening) -> None:
        offer = opening.extensions
        self._peer = Peer(
            offer,
            opening.secure,
            self._plan.lmtp,
            pipelining="PIPELINING" in offer,
            chunking="CHUNKING" in offer and self._plan.chunking,
        )
        self.limits = limits_of(offer)

    def _give_up(self, status: str, text: str, *, ours: bool = False) -> None:
        if self._transaction is not None:
            self._transaction.give_up(status, text, ours=ours)
            self._settle()
        elif self._opening is not None:
            self._opening.give_up(status, text)
            self._settle()
        self._close()

    def _say_quit(self) -> None:
        self._pause = Stage.QUIT
        self._out.append(Send(b"QUIT\r\n"))

    def _close(self) -> None:
        if self._pause is not Stage.CLOSED:
            self._transaction = self._opening = None
            self._pause = Stage.CLOSED
            self._out.append(Close())

    def _take(self) -> list[Request]:
        requests = self._out[:]
        self._out.clear()
        return requests
