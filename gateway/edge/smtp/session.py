"""What every SMTP session has whatever is said in it: greeting, order, patience, refusals, its end.

Owns the loop that works off the core's events one at a time, the counting of errors and idle
commands, and the state that the handlers of commands share. Those stand beside it, a file per noun,
and ``door`` has the table of them; codes for errors are in ``errors``; framing, syntax and order
are the core's.

Invariants: one reply per command, in order, one command at a time. Nothing is sent back of what the
client said, and no credentials reach the log. Refusals end in the id that the trace has them by.

Limits: ``SmtpLimits``; reading pauses while MAX_BUFFERED octets wait behind a slow command.
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, ClassVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from gateway.core.hosts import is_loopback
from gateway.core.pause import pause
from gateway.core.ports.body import IncomingBody
from gateway.edge.connection import MailConnection
from gateway.edge.smtp.errors import UNEXPECTED, verdict_reply_for
from gateway.edge.smtp.journal import Journal
from gateway.edge.smtp.login import SmtpLogin
from gateway.edge.smtp.shared import Shared
from gateway.edge.smtp.submitter import Outgoing, Submitter
from gateway.edge.smtp.transaction import Transaction
from gateway.edge.tls import tls_in_words
from gateway.policy.checks import Answer
from gateway.policy.door_verdicts import early_talker, too_many_errors
from gateway.policy.facts import Client
from gateway.policy.verdicts import Stage, Verdict
from gateway.wire import smtp_replies as replies
from gateway.wire.mime.binary_parts import BinaryParts
from gateway.wire.smtp_events import Refused
from gateway.wire.smtp_extensions import DAY_S, Offer
from gateway.wire.smtp_limits import BareNewlines, SmtpLimits
from gateway.wire.smtp_replies import Reply
from gateway.wire.smtp_server import SmtpServer

MAX_BUFFERED = 65_536

Question = Answer | Coroutine[Deferred[Any], Any, Answer]
"""What a policy gives back: its answer, or a wait for it."""


@implementer(IHalfCloseableProtocol)
class SmtpSession(MailConnection):
    """One client of an SMTP or LMTP door."""

    __slots__ = (
        "_asked", "_errors", "_greeted", "_idle_commands", "_said_all", "_shared", "answers",
        "begun", "binary", "body", "client", "content_since", "core", "draining", "handshaking",
        "is_proxy", "limits", "outgoing", "sasl", "services", "submitter", "transaction", "visit",
    )  # fmt: skip

    log: ClassVar[Logger] = Logger()

    def __init__(self, shared: Shared) -> None:
        door, services = shared.door, shared.services
        super().__init__(door)
        self._shared = shared
        self.services = services
        self.limits: SmtpLimits = services.limits
        default: BareNewlines = "reject" if self.faces_strangers else "normalise"
        self.core = SmtpServer(self.limits, self.limits.bare_newlines or default, shared.offer)
        self.sasl = SmtpLogin(services.portal, offered=services.auth != "no")
        self.client = Client(self.connection_id, door.listener, door.protocol, "")
        self.visit = services.policy.visit(self.client)
        self.transaction: Transaction | None = None
        self.body: IncomingBody | None = None
        self.binary: BinaryParts | None = None
        self.outgoing: Outgoing | None = None
        self.submitter: Submitter | None = None
        self.answers = 1  # that the client waits for if the command fails now
        self.begun = 0  # transactions
        self.content_since: float | None = None  # since when what comes now is content
        self.is_proxy = False
        self.draining = False
        self._asked: object = None  # the event that is being answered
        self._greeted = False
        self._said_all = False
        self._errors = 0
        self._idle_commands = 0

    # -- life of the connection

    def connection_ready(self) -> None:
        self.client.peer_ip = self.peer_ip
        self.client.is_tls = self.is_tls
        self.is_proxy = self.services.may_xclient(self.peer_ip)
        if self.is_proxy:
            self.greet()  # who comes through it is judged when it says so
        else:
            self.judge_client()

    def judge_client(self) -> None:
        """The beginning of a session, once it is known who is there."""
        self.client.may_relay = self.services.may_relay(self.peer_ip)
        self.set_deadline(self.limits.idle_s)
        answer = self.visit.connected()
        if answer is None:
            self._welcome()
        else:
            self.start(self._judge_client(answer))

    async def _judge_client(self, answer: Question) -> None:
        verdict = await settled(answer)
        if verdict is None:
            self._welcome()
        else:
            self.end(verdict_reply_for(Stage.CONNECT, verdict))

    def _welcome(self) -> None:
        """Wait for early talkers, then greet."""
        if (
            self.faces_strangers
            and not self.is_proxy
            and not self.door.implicit_tls
            and self.limits.greet_pause_s > 0
            and not is_loopback(self.peer_ip)
        ):
            self.set_deadline(self.limits.greet_pause_s)
        else:
            self.greet()

    def greet(self) -> None:
        self._greeted = True
        banner = self.door.banner or "ESMTP"
        self.send(f"220 {self.door.hostname} {banner}\r\n".encode("ascii"))
        self.update_offer()
        self.set_deadline(self.limits.idle_s)

    def connection_refused(self, reason: str) -> None:
        self.end(replies.too_many_connections(reason))

    def tls_ready(self) -> None:
        self.client.is_tls = True
        self.client.tls = tls_in_words(self.transport)
        self.update_offer()
        self.set_deadline(self.limits.idle_s)

    def deadline_passed(self) -> None:
        if self.handshaking:
            self.abort()
        elif self.busy and not self._write_blocked:
            # The ports have deadlines of their own; giving up here could repeat an accepted mail.
            self.set_deadline(self.limits.idle_s)
        elif not self._greeted:
            self.greet()
        elif self.core.in_content:
            self.end(replies.TOO_SLOW)
        else:
            self.end(replies.IDLE_TOO_LONG)

    def connection_ended(self) -> None:
        self.reset()
        self.sasl.forget()
        self.visit.ended()
        self._shared.journal.ended(self.client)

    def readConnectionLost(self) -> None:
        """The client has shut its side down, and may still wait for answers: Exim does so behind
        the last message, with QUIT in the same segment. Whoever left for good is told in vain."""
        self._said_all = True
        if not self._greeted or self.handshaking:
            self.abort()
        elif not self.busy:
            self.close()

    def writeConnectionLost(self) -> None:
        """We never shut down one side only."""

    def drain(self) -> None:
        self.draining = True
        if not self.busy and not self.core.in_content:
            self._say_goodbye()

    def _say_goodbye(self) -> None:
        self.end(replies.LOGIN_ENDED if self.dismissed else replies.SHUTTING_DOWN)

    def command_failed(self, failure: Failure) -> None:
        reference = self.reference
        self.log.failure("{id} command failed", failure, id=reference)
        self._note_refusal(UNEXPECTED)
        if not self.answers:
            self.abort()  # one reply more would be taken for that to the next command
            return
        # Nobody knows how far it came, so nothing of the transaction may go on (SECURITY S4).
        self.sasl.drop_exchange()
        self.core.abandon()
        self.reset()
        self.send(UNEXPECTED.with_id(reference) * self.answers)
        self.answers = 1

    # -- events

    def octets_received(self, data: bytes) -> None:
        if not self._greeted:
            self.visit.note(Stage.CONNECT, early_talker(self.limits.greet_pause_s))
            self.close_on("talked before the greeting", replies.TALKED_TOO_EARLY)
            return
        self.core.feed(data)
        self._proceed(moved=False)

    def proceed(self) -> None:
        """A command has been answered; go on with what has arrived behind it."""
        self._proceed(moved=True)

    def _proceed(self, *, moved: bool) -> None:
        """Work off what has arrived, up to a command that has to wait.

        Args:
            moved: something was answered since the deadline was set. Octets alone do not move it,
                or a line could drip for ever (SECURITY N1).
        """
        core = self.core
        answers = self._shared.answers
        while not self.closing and not self.busy:
            if self.draining and not core.in_content:
                self._say_goodbye()
                return
            if self._write_blocked:
                self.start(self.writable())  # who does not read replies gets no more of them
                continue
            event = core.next_event()
            if event is None:
                break
            moved = True
            self._asked = event
            answers[type(event)](self, event)
        if self.closing or self.handshaking or not self._greeted:
            return
        if self._said_all and not self.busy:
            self.close()
            return
        if self.busy:
            if core.buffered > MAX_BUFFERED:
                self.pause_reading()
            return
        self._asked = None
        self.resume_reading()
        if core.in_content:
            # All content has to come with a minimum rate, however steadily it drips.
            now = self.door.timers.seconds()
            if self.content_since is None:
                self.content_since = now
            until = self.content_since + self.limits.content_grace_s
            until += core.content_octets / self.limits.content_min_rate
            self.set_deadline(min(max(0.0, until - now), self.limits.idle_s))
        elif moved:
            self.content_since = None
            self.set_deadline(self.limits.idle_s)

    def start(self, command: Coroutine[Deferred[Any], Any, None]) -> None:
        """Run what may have to wait; later commands wait behind it."""
        self.run(command, self.proceed)

    # -- refusals

    @property
    def journal(self) -> Journal:
        return self._shared.journal

    @property
    def faces_strangers(self) -> bool:
        return self.door.protocol == "smtp"

    @property
    def is_lmtp(self) -> bool:
        return self.door.protocol == "lmtp"

    @property
    def reference(self) -> str:
        """The id of the message that is being sent, or of the connection."""
        transaction = self.transaction
        return self.connection_id if transaction is None else transaction.message_id

    def turn_down(self, reply: Reply, why: object = "") -> None:
        """``refuse`` for a handler that waits for nothing."""
        self.start(self.refuse(reply, why))

    async def refuse(self, reply: Reply, why: object = "", *, times: int = 1) -> None:
        """Answer with a 4xx or 5xx; who gets many 5xx waits, then is let go (SECURITY S24).

        Args:
            why: for the trace, where it is more than the reply's text.
            times: answers that the client waits for (LMTP).
        """
        self._note_refusal(reply, why)
        if reply.code >= 500:
            self._errors += 1
            if self._errors >= self.limits.errors_hard:
                self.visit.note(Stage.HELLO, too_many_errors(self._errors))
                self.close_on("too many errors", replies.TOO_MANY_ERRORS)
                return
            if self._errors > self.limits.errors_soft:
                await pause(self.door.timers, self.limits.error_delay_s)
        self.send(reply.with_id(self.reference) * times)

    def end(self, farewell: Reply) -> None:
        """Say why, and close."""
        self._note_refusal(farewell)
        self.close(farewell.with_id(self.reference))

    def close_on(self, reason: str, reply: Reply) -> None:
        self.log.info(
            "{id} {peer} closed: {reason}", id=self.reference, peer=self.peer_ip, reason=reason
        )
        self.end(reply)

    def _note_refusal(self, reply: Reply, why: object = "") -> None:
        self._shared.journal.refused(
            self.reference, self.client, self.visit, reply, why, self._asked
        )

    def count_idle_command(self) -> bool:
        """One more command that brings no mail; False: one too many, and it was answered."""
        self._idle_commands += 1
        if self._idle_commands <= self.limits.idle_commands:
            return True
        self.close_on("too many commands without mail", replies.TOO_MANY_COMMANDS)
        return False

    def forgive(self) -> None:
        """Mail came: what went before it was no abuse."""
        self._errors = self._idle_commands = 0

    # -- state

    def reset(self) -> None:
        """Forget the transaction (RFC 5321 section 4.1.1.5)."""
        self.transaction = self.content_since = None
        self.visit.reset()
        self.binary = self.outgoing = None
        body, self.body = self.body, None
        if body is not None:
            body.discard()

    def update_offer(self) -> None:
        """TLS, a login, a proxy or the day may have changed what can be had."""
        services, door = self.services, self._shared.offer.door
        mechanisms: tuple[str, ...] = ()
        if services.auth != "no":
            mechanisms = self.sasl.mechanisms(self, login_allowed=self.login_allowed)
        self.core.offer(
            Offer(
                door,
                tls=self.is_tls,
                mechanisms=mechanisms,
                logged_in=self.client.account is not None,
                proxy=self.is_proxy,
                today=int(services.wall_clock()) // DAY_S if door.hold_s else 0,
            )
        )

    def become(self, client: Client) -> str:
        """A proxy has said who is there: begin anew with somebody of whom nothing else is known.

        Returns why it is one connection too many, or empty text.
        """
        self.reset()
        self.sasl.forget()
        self.login = ""
        self.visit.ended()
        self.door.sessions.remove(self)
        self.peer_ip = client.peer_ip
        client.may_relay = self.services.may_relay(client.peer_ip)
        self.client = client
        self.visit = self.services.policy.visit(client)
        self._greeted = False
        return self.door.sessions.add(self)


def refused(session: SmtpSession, event: Refused) -> None:
    """The core has judged already."""
    session.sasl.drop_exchange()
    if event.close:
        session.close_on("no SMTP, or over a limit", event.reply)
    else:
        session.turn_down(event.reply)


async def settled(answer: Question) -> Verdict | None:
    """A policy's answer, awaited if it must be."""
    if answer is None or isinstance(answer, Verdict):
        return answer
    return await answer
