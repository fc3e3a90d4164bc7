"""One connection to one LDAP server: many requests at once, each with its own end in time.

Owns message numbers, that a bind is alone on its connection (RFC 4511 section 4.2.1), that nothing
is asked between the wish for TLS and its proof, and the connection's end. Whatever goes wrong ends
in LdapFailed with a reason fit for a log: a server that says garbage, or goes away, takes all
requests on its connection with it (SECURITY F4, L10, L23). Answers find their way in ``answers``.

Never reconnects, never repeats a request, never follows a referral (F3, L6), and keeps neither
passwords nor requests once they are written.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from OpenSSL import SSL
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IHandshakeListener
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from gateway.core.log_text import escaped
from gateway.core.ports.clock import Timer, Timers
from gateway.core.tls_client import failure_words
from gateway.core.tls_transport import (
    client_tls_layers,
    close_sent,
    eager_socket,
    start_tls,
)
from gateway.directory.ldap.answers import MOST_PENDING, Answers, Pending
from gateway.directory.ldap.asking import BindAnswer, Found, Heard, LdapFailed
from gateway.wire.ldap.controls import START_TLS
from gateway.wire.ldap.filters import FilterSyntax
from gateway.wire.ldap.messages import (
    Abandon,
    BindRequest,
    BindResponse,
    Control,
    ExtendedRequest,
    ExtendedResponse,
    Request,
    SearchDone,
    SearchRequest,
    Unbind,
)
from gateway.wire.ldap.reading import Reader
from gateway.wire.ldap.writing import write

GOODBYE_S = 1.0
REASON_CHARACTERS = 600
_LAST_ID = 2**31 - 10_000
"""Of a request (RFC 4511 section 4.1.1.1); what is left is for goodbyes."""


def words_of_loss(reason: Failure) -> str:
    """Of a connection whose TLS, if any, has come about."""
    if isinstance(reason.value, SSL.Error):
        return f"TLS: {failure_words(reason)}"
    return str(reason.value) or type(reason.value).__name__


@implementer(IHandshakeListener)
class Dialogue(Protocol):
    """The client's side of a connection.

    Args:
        name: of the server, for reasons.
        message_limit_octets: what one message of the server may have.
        ended: told once, with the reason, when nothing more can be asked.

    Attributes:
        last_used_at: when something was asked or answered, on the timers' clock.
        explain: puts the loss of the connection into words.
    """

    transport: Any
    _tcp: Any

    def __init__(
        self,
        name: str,
        timers: Timers,
        *,
        message_limit_octets: int,
        ended: Callable[[Dialogue, str], None] | None = None,
    ) -> None:
        self.name = name
        self.last_used_at = timers.seconds()
        self.explain: Callable[[Failure], str] = words_of_loss
        self._timers = timers
        self._reader = Reader(message_limit_octets)
        self._answers = Answers(self, timers, self._finished)
        self._ended = ended
        self._last_id = 0
        self._binding = False
        self._retired = False
        self._closing = False
        self._hearing = False
        self._end = ""
        self._goodbye: Timer | None = None
        self._handshake: Deferred[None] | None = None

    # -- what can be asked of it

    @property
    def pending(self) -> int:
        """Requests without an answer."""
        return len(self._answers)

    @property
    def usable(self) -> bool:
        """More may be asked. A connection on which an answer did not come in time is not used any
        more, as it may have died without a word."""
        return not (self._end or self._closing or self._retired)

    def search(
        self,
        request: SearchRequest,
        controls: Sequence[Control] = (),
        *,
        deadline_s: float,
        reply_limit_octets: int,
        heard: Heard | None = None,
    ) -> Deferred[Found]:
        """Fails with LdapFailed. Cancelled, the search is abandoned (RFC 4511 section 4.11).

        Args:
            deadline_s: for all of it; with ``heard``: of silence.
            reply_limit_octets: for all of the answer; with ``heard`` it has no bound.
            heard: takes each entry; what it raises ends the search and is the outcome.
        """
        octets = None if heard is not None else reply_limit_octets
        pending = Pending("searching", SearchDone, deadline_s, octets, heard)
        return self._ask(request, controls, pending)

    def bind(
        self, request: BindRequest, controls: Sequence[Control] = (), *, deadline_s: float
    ) -> Deferred[BindAnswer]:
        """Fails with LdapFailed, and then the connection has ended, also when cancelled: nobody
        knows as whom it is bound."""
        # RFC 4513 section 5.1.2: a DN without a password "succeeds" as anonymous (SECURITY L1).
        if not request.mechanism and bool(request.dn) != bool(request.password):
            return self._refused("binding: a bind needs a DN and a password, or neither")
        if self.pending:
            return self._refused("binding: a bind must be alone on its connection")
        answer = self._ask(request, controls, Pending("binding", BindResponse, deadline_s))
        self._binding = self.pending > 0
        return answer

    def extended(
        self, request: ExtendedRequest, *, deadline_s: float, doing: str = "asking"
    ) -> Deferred[ExtendedResponse]:
        """Section 4.12. Fails with LdapFailed."""
        return self._ask(request, (), Pending(doing, ExtendedResponse, deadline_s))

    def close(self) -> None:
        """Say goodbye and close (RFC 4511 section 4.3); what is pending fails."""
        if self._end or self._closing:
            return
        self._closing = True
        self._answers.fail_all(self.failure, "closed")
        if self._handshake is not None:
            self.fail("closed")  # in clear nothing more is said, nor in half of TLS
            return
        self.transport.write(write(self._next_id(), Unbind()))
        if self._hearing and close_sent(self.transport):
            return
        self.transport.loseConnection()
        self._goodbye = self._timers.callLater(GOODBYE_S, self.transport.abortConnection)

    # -- TLS

    async def start_tls(self, creator: Any, *, deadline_s: float) -> None:
        """StartTLS (RFC 4511 section 4.14), and the handshake; anything but success ends the
        connection.

        Args:
            creator: IOpenSSLClientConnectionCreator.

        Raises: LdapFailed.
        """
        if self.pending:
            raise self.failure("StartTLS must be alone on its connection")
        began = self._timers.seconds()
        request = ExtendedRequest(START_TLS)
        result = (await self.extended(request, deadline_s=deadline_s, doing="StartTLS")).result
        problem = ""
        if result.code != 0:
            problem = f"StartTLS was refused: result code {result.code}, {result.diagnostic}"
        elif self._answers.holds_some or self._reader.waiting_octets or self._reader.garbage:
            # Whoever is on the way could say in clear what would be taken for said under TLS.
            problem = "octets behind the answer to StartTLS"
        if problem:
            self.fail(problem)
            raise self.failure(problem)
        await self.handshake(creator, deadline_s=deadline_s - (self._timers.seconds() - began))

    async def handshake(self, creator: Any, *, deadline_s: float) -> None:
        """TLS from now on; nothing is asked before it is there. Raises: LdapFailed."""
        if self._end:
            raise self.failure(self._end)
        done: Deferred[None] = Deferred()
        self._handshake = done
        late = f"the TLS handshake did not end in {max(0.0, deadline_s):g} s"
        timer = self._timers.callLater(max(0.0, deadline_s), self.fail, late)
        layers = client_tls_layers(creator, self._timers)
        try:
            self.transport = start_tls(self._tcp, self, layers, all_sent=True)
            await done
        except CancelledError:
            self.fail("the TLS handshake was given up")
            raise
        finally:
            if timer.active():
                timer.cancel()

    def handshakeCompleted(self) -> None:
        handshake, self._handshake = self._handshake, None
        if handshake is not None and not handshake.called:
            handshake.callback(None)

    # -- asking

    def _ask(
        self, request: Request, controls: Sequence[Control], pending: Pending
    ) -> Deferred[Any]:
        obstacle = self._obstacle()
        if not obstacle and pending.deadline_s <= 0:
            obstacle = "no time is left"  # a bind that is sent counts as an attempt
        if obstacle:
            return self._refused(f"{pending.doing}: {obstacle}")
        message_id = self._next_id()
        try:
            octets = write(message_id, request, controls)
        except (FilterSyntax, UnicodeEncodeError) as error:
            # The error's own text may hold what was to be written.
            return self._refused(f"{pending.doing}: cannot be written: {type(error).__name__}")
        answer = self._answers.expect(message_id, pending)
        self.last_used_at = self._timers.seconds()
        self.transport.write(octets)
        if message_id >= _LAST_ID:
            self.retire()
        return answer

    def _obstacle(self) -> str:
        if self._end:
            return self._end
        if self._handshake is not None:
            return "TLS is not there yet"
        if self._binding:
            return "a bind is under way"
        if not self.usable:
            return "the connection is not used any more"
        return f"{MOST_PENDING} requests are waiting" if self.pending >= MOST_PENDING else ""

    def _refused(self, reason: str) -> Deferred[Any]:
        refused: Deferred[Any] = Deferred()
        refused.errback(self.failure(reason))
        return refused

    def _next_id(self) -> int:
        self._last_id += 1
        return self._last_id

    # -- what comes

    def connectionMade(self) -> None:
        self._tcp = self.transport
        self.transport = eager_socket(self._tcp)

    def dataReceived(self, data: bytes) -> None:
        if not self._end and not self._closing:
            self._hearing = True
            self._answers.take(self._reader.feed(data))
            self._hearing = False
            self._look_at_garbage()

    def _look_at_garbage(self) -> None:
        """Once all before it has found its way."""
        if self._reader.garbage is not None and not self._answers.holds_some:
            self.fail(f"garbage: {self._reader.garbage}")

    def _finished(self) -> None:
        self._binding = False
        self.last_used_at = self._timers.seconds()
        if self._retired and not self.pending:
            self.close()

    # -- what the answers ask for

    def abandon(self, message_id: int) -> None:
        if not self._end:
            self.transport.write(write(self._next_id(), Abandon(message_id)))

    def failure(self, reason: str) -> LdapFailed:
        return LdapFailed(f"{self.name}: {escaped(reason, REASON_CHARACTERS)}")

    def pause(self) -> None:
        self.transport.pauseProducing()

    def resume(self) -> None:
        if not self._end and not self._closing:
            self.transport.resumeProducing()
            self._answers.take([])
            self._look_at_garbage()

    def retire(self) -> None:
        """Nothing more is asked; it closes once nobody waits any more."""
        self._retired = True
        if not self.pending:
            self.close()

    def fail(self, reason: str) -> None:
        """It ends now, with everything pending."""
        if not self._end:
            self.transport.abortConnection()
            self._over(reason)

    # -- the end

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if not self._end:
            lost = f"the connection was lost: {self.explain(reason)}"
            self._over("closed" if self._closing else lost)

    def _over(self, reason: str) -> None:
        self._end = reason
        if self._goodbye is not None and self._goodbye.active():
            self._goodbye.cancel()
        self._answers.fail_all(self.failure, reason)
        handshake, self._handshake = self._handshake, None
        if handshake is not None and not handshake.called:
            handshake.errback(self.failure(reason))
        ended, self._ended = self._ended, None
        if ended is not None:
            ended(self, escaped(reason, REASON_CHARACTERS))
