"""What both SMTP doors share before any mail: greeting, EHLO, STARTTLS, AUTH, order, patience.

Owns the loop that works off the core's events one at a time, and the counting of errors and idle
commands. Mail transactions are in ``door``, which adds its rows to SESSION_ANSWERS; logins are
in ``login``, codes for errors in ``errors``; framing, syntax and order are the core's.

Invariants: one reply per command, in order, one command at a time. Nothing is sent back of what the
client said, and no credentials reach the log.

Limits: ``SmtpLimits``; reading pauses while MAX_BUFFERED octets wait behind a slow command.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import Any, ClassVar

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from gateway.auth.sasl import Challenge, PasswordOffer, SaslError, Step
from gateway.core.errors import GatewayError
from gateway.core.hosts import is_loopback
from gateway.edge.connection import Door, MailConnection
from gateway.edge.login import pause
from gateway.edge.smtp.errors import (
    login_reply_for,
    sasl_reply_for,
    unexpected,
    verdict_reply_for,
)
from gateway.edge.smtp.journal import Journal
from gateway.edge.smtp.login import SmtpLogin
from gateway.edge.smtp.services import SmtpServices
from gateway.policy.checks import Answer
from gateway.policy.facts import Client
from gateway.policy.verdicts import Stage, Verdict
from gateway.wire import smtp_replies as replies
from gateway.wire.smtp_commands import Auth, Ehlo, Simple, Verb
from gateway.wire.smtp_extensions import Offer, ehlo_reply
from gateway.wire.smtp_limits import BareNewlines, SmtpLimits
from gateway.wire.smtp_replies import Reply
from gateway.wire.smtp_server import AuthResponse, Phase, Refused, SmtpServer

MAX_BUFFERED = 65_536

Question = Answer | Coroutine[Deferred[Any], Any, Answer]
"""What a policy gives back: its answer, or a wait for it."""


class SmtpSession(MailConnection):
    """One client of an SMTP door; subclasses add the mail transaction."""

    log: ClassVar[Logger] = Logger()

    answers: ClassVar[Mapping[type, Callable[[Any, Any], None]]]
    """The method for each event of the core."""

    def __init__(self, door: Door, services: SmtpServices) -> None:
        super().__init__(door)
        self._services = services
        self._limits: SmtpLimits = services.limits
        self._faces_strangers = door.protocol == "smtp"
        default: BareNewlines = "reject" if self._faces_strangers else "normalise"
        self._core = SmtpServer(self._limits, self._limits.bare_newlines or default)
        self._login = SmtpLogin(door, services.portal)
        self.client = Client(self.connection_id, door.listener, door.protocol, "")
        self._visit = services.policy.visit(self.client)
        self._journal = Journal(services.trace, services.wall_clock)
        self._content_since = 0.0
        self._greeted = False
        self._handshaking = door.implicit_tls
        self._draining = False
        self._errors = 0
        self._idle_commands = 0

    # -- life of the connection

    def connection_ready(self) -> None:
        self.client.peer_ip = self.peer_ip
        self.client.is_tls = self.is_tls
        answer = self._visit.connected()
        if answer is None:
            self._welcome()
        else:
            self.set_deadline(self._limits.idle_s)
            self._start(self._judge_client(answer))

    async def _judge_client(self, answer: Question) -> None:
        verdict = await settled(answer)
        if verdict is None:
            self._welcome()
        else:
            self._end(self._refusal_by(Stage.CONNECT, verdict))

    def _welcome(self) -> None:
        """Wait for early talkers, then greet."""
        if (
            self._faces_strangers
            and not self.door.implicit_tls
            and self._limits.greet_pause_s > 0
            and not is_loopback(self.peer_ip)
        ):
            self.set_deadline(self._limits.greet_pause_s)
        else:
            self._greet()

    def _greet(self) -> None:
        self._greeted = True
        banner = self.door.banner or "ESMTP"
        self.send(f"220 {self.door.hostname} {banner}\r\n".encode("ascii"))
        self._offer_auth()
        self.set_deadline(self._limits.idle_s)

    def connection_refused(self, reason: str) -> None:
        self._end(replies.too_many_connections(reason))

    def tls_ready(self) -> None:
        self._handshaking = False
        self.client.is_tls = True
        self._offer_auth()
        self.set_deadline(self._limits.idle_s)

    def deadline_passed(self) -> None:
        if not self._greeted:
            self._greet()
        elif self._handshaking:
            self.abort()
        elif self.busy and not self._write_blocked:
            # The ports have deadlines of their own; giving up here could repeat an accepted mail.
            self.set_deadline(self._limits.idle_s)
        elif self._core.phase is Phase.CONTENT:
            self._end(replies.TOO_SLOW)
        else:
            self._end(replies.IDLE_TOO_LONG)

    def connection_ended(self) -> None:
        self._reset()
        self._login.forget()

    def drain(self) -> None:
        self._draining = True
        if not self.busy and self._core.phase is not Phase.CONTENT:
            self._end(replies.SHUTTING_DOWN)

    def command_failed(self, failure: Failure) -> None:
        self.log.failure("{id} command failed", failure, id=self.connection_id)
        self.send(unexpected(self.connection_id).octets)

    # -- events

    def octets_received(self, data: bytes) -> None:
        if not self._greeted:
            self._close_on("talked before the greeting", replies.TALKED_TOO_EARLY)
            return
        self._core.feed(data)
        self._proceed()

    def _proceed(self) -> None:
        """Work off what has arrived, up to a command that has to wait."""
        core = self._core
        while not self.closing and not self.busy:
            if self._draining and core.phase is not Phase.CONTENT:
                self._end(replies.SHUTTING_DOWN)
                return
            if self._write_blocked:
                self._start(self.writable())  # who does not read replies gets no more of them
                continue
            event = core.next_event()
            if event is None:
                break
            self.answers[type(event)](self, event)
        if self.closing or self._handshaking:
            return
        if self.busy:
            if core.buffered > MAX_BUFFERED:
                self.pause_reading()
            return
        self.resume_reading()
        if core.phase is Phase.CONTENT:
            # A whole message has to come with a minimum rate, however steadily it drips.
            until = self._content_since + self._limits.content_grace_s
            until += core.content_octets / self._limits.content_min_rate
            left = max(0.0, until - self.door.timers.seconds())
            self.set_deadline(min(left, self._limits.idle_s))
        else:
            self.set_deadline(self._limits.idle_s)

    def _start(self, command: Coroutine[Deferred[Any], Any, None]) -> None:
        self.run(command, self._proceed)

    def _refused(self, event: Refused) -> None:
        self._login.drop_exchange()
        if event.close:
            self._close_on("no SMTP, or over a limit", event.reply)
        else:
            self._start(self._refuse(event.reply))

    @property
    def reference(self) -> str:
        """The id of the message that is being sent, or of the connection."""
        return self.connection_id

    def _refusal_by(self, stage: Stage, verdict: Verdict) -> Reply:
        return verdict_reply_for(stage, verdict)

    async def _refuse(self, reply: Reply, why: object = "") -> None:
        """Answer with a 4xx or 5xx; who gets many 5xx waits, then is let go (SECURITY S24).

        Args:
            why: for the trace, where it is more than the reply's text.
        """
        self._journal.refused(self.reference, self.client, self._visit, reply, why)
        if reply.code >= 500:
            self._errors += 1
            if self._errors >= self._limits.errors_hard:
                self._close_on("too many errors", replies.TOO_MANY_ERRORS)
                return
            if self._errors > self._limits.errors_soft:
                await pause(self.door.timers, self._limits.error_delay_s)
        self.send(reply.with_id(self.reference))

    def _end(self, farewell: Reply) -> None:
        """Say why, and close."""
        self._journal.refused(self.reference, self.client, self._visit, farewell)
        self.close(farewell.with_id(self.reference))

    def _close_on(self, reason: str, reply: Reply) -> None:
        self.log.info(
            "{id} {peer} closed: {reason}", id=self.connection_id, peer=self.peer_ip, reason=reason
        )
        self._end(reply)

    def _reset(self) -> None:
        """Forget the transaction (RFC 5321 section 4.1.1.5)."""
        raise NotImplementedError

    # -- session commands

    def _simple(self, command: Simple) -> None:
        match command.verb:
            case Verb.STARTTLS:
                self._start_tls()
            case Verb.QUIT:
                self.close(replies.GOODBYE.octets)
            case verb:
                if self._count_idle_command():
                    if verb is Verb.RSET:
                        self._reset()
                    self._core.succeeded(verb)
                    self.send(_FIXED[verb].octets)

    def _hello(self, command: Ehlo) -> None:
        if not self._count_idle_command():
            return
        if self._faces_strangers and self._core.buffered:
            # RFC 2920 section 3.1: EHLO is the last of a group (SECURITY S21).
            self._close_on("pipelined behind EHLO", replies.TALKED_TOO_EARLY)
            return
        self._reset()
        self.client.hello = command.host
        answer = self._visit.greeted()
        if answer is None:
            self._answer_hello(command)
        else:
            self._start(self._judge_hello(command, answer))

    async def _judge_hello(self, command: Ehlo, answer: Question) -> None:
        verdict = await settled(answer)
        if verdict is None:
            self._answer_hello(command)
        else:
            await self._refuse(self._refusal_by(Stage.HELLO, verdict), verdict.reason)

    def _answer_hello(self, command: Ehlo) -> None:
        self._core.succeeded(command.verb)
        if command.verb is Verb.HELO:
            self.send(f"250 {self.door.hostname}\r\n".encode("ascii"))
            return
        self.send(
            ehlo_reply(
                Offer(
                    hostname=self.door.hostname,
                    size_octets=self._limits.size_octets,
                    starttls=self.door.tls is not None and not self.is_tls,
                    mechanisms=self._mechanisms(),
                )
            )
        )

    def _count_idle_command(self) -> bool:
        self._idle_commands += 1
        if self._idle_commands <= self._limits.idle_commands:
            return True
        self._close_on("too many commands without mail", replies.TOO_MANY_COMMANDS)
        return False

    def _start_tls(self) -> None:
        if self.is_tls:
            self._start(self._refuse(replies.TLS_ALREADY))
        elif self.door.tls is None:
            self._start(self._refuse(replies.NOT_IMPLEMENTED))
        elif self._core.buffered:
            # CVE-2011-0411: never run in TLS what came in clear (SECURITY S16).
            self.log.warn(
                "{id} {peer} dropped: octets behind STARTTLS",
                id=self.connection_id,
                peer=self.peer_ip,
            )
            self.abort()
        else:
            self.send(replies.READY_FOR_TLS.octets)
            self._reset()
            self._login.forget()
            self.login = self.client.hello = ""
            self.client.account = None
            self._core.start_tls()
            self._handshaking = True
            self.start_tls()

    # -- login

    def _mechanisms(self) -> tuple[str, ...]:
        return self._login.mechanisms(login_allowed=self.login_allowed)

    def _offer_auth(self) -> None:
        self._core.auth_offered = bool(self._mechanisms())

    def _auth(self, command: Auth) -> None:
        objection = self._login.objection(login_allowed=self.login_allowed)
        if objection is not None:
            self._start(self._refuse(objection))
            return
        self._exchange(lambda: self._login.start(command))

    def _auth_response(self, event: AuthResponse) -> None:
        self._core.expect_auth_response(False)
        self._exchange(lambda: self._login.respond(event.line))

    def _exchange(self, advance: Callable[[], Step]) -> None:
        try:
            step = advance()
        except SaslError as error:
            self._start(self._refuse(sasl_reply_for(error)))
            return
        if isinstance(step, Challenge):
            self._core.expect_auth_response(True)
            self.send(b"334 %b\r\n" % step.line)
        else:
            self._start(self._log_in(step))

    async def _log_in(self, offer: PasswordOffer) -> None:
        try:
            account = await self._login.finish(self, offer, self._limits.failed_login_s)
        except GatewayError as error:
            await self._refuse(login_reply_for(error))
            if self._login.failed_logins >= self._limits.failed_logins:
                self._close_on("too many failed logins", replies.TOO_MANY_LOGINS)
            return
        self.login = account.login
        self.client.account = account
        self._core.succeeded(Verb.AUTH)
        self.send(replies.LOGGED_IN.octets)


async def settled(answer: Question) -> Verdict | None:
    """A policy's answer, awaited if it must be."""
    if answer is None or isinstance(answer, Verdict):
        return answer
    return await answer


_FIXED: Mapping[Verb, Reply] = {
    Verb.RSET: replies.OK,
    Verb.NOOP: replies.OK,
    Verb.VRFY: replies.CANNOT_VERIFY,
    Verb.EXPN: replies.NOT_IMPLEMENTED,
    Verb.HELP: replies.HELP,
}

SESSION_ANSWERS: Mapping[type, Callable[[Any, Any], None]] = {
    Refused: SmtpSession._refused,
    Ehlo: SmtpSession._hello,
    Simple: SmtpSession._simple,
    Auth: SmtpSession._auth,
    AuthResponse: SmtpSession._auth_response,
}
"""The rows that need no mail transaction."""
