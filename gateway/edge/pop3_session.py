"""One POP3 session: RFC 1939 with CAPA, STLS and AUTH over a MailConnection.

Owns lines in order, one command at a time, the login, UPDATE on QUIT, limits and
deadlines. Parsing is ``wire.pop3``'s, the TRANSACTION commands are ``pop3_transaction``'s.

Invariants: messages go only by QUIT (RFC 1939 section 6); whoever logged in is logged out once and
the maildrop's lock freed, whatever happens. Client octets never appear in a reply.
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from twisted.logger import Logger
from twisted.python.failure import Failure

from gateway.core.errors import GatewayError, TooManyFailures, WrongCredentials
from gateway.core.log_text import escaped
from gateway.edge.connection import Door, MailConnection
from gateway.edge.login import mechanisms, text_told
from gateway.edge.pop3_errors import reply_for
from gateway.edge.pop3_limits import Pop3Services
from gateway.edge.pop3_login import Answer, Authorization, Visit, enter
from gateway.edge.pop3_transaction import Pending, Transaction
from gateway.wire.foreign import is_binary
from gateway.wire.pop3 import (
    Auth,
    Capa,
    Pass,
    Quit,
    Refused,
    Situation,
    State,
    Stls,
    User,
    capability_lines,
    parse,
)
from gateway.wire.pop3_lines import (
    MAX_LINE_OCTETS,
    MAX_SASL_LINE_OCTETS,
    Broken,
    LineReader,
    is_foreign,
)
from gateway.wire.pop3_replies import err, listing, ok

MAX_AHEAD_OCTETS = 16 * 1024
"""Pipelined octets kept while a command runs; then reading pauses (RFC 2449 section 6.6)."""

MAX_UNSENT_OCTETS = 64 * 1024
"""Replies to pipelined commands made before the peer must take some of them."""


class Pop3Connection(MailConnection):
    """One POP3 session."""

    log = Logger()

    def __init__(self, door: Door, services: Pop3Services) -> None:
        super().__init__(door)
        self._portal = services.portal
        self._limits = services.limits
        self._reader = LineReader()
        self._state = State.AUTHORIZATION
        self._authorization = Authorization()
        self._transaction: Transaction | None = None
        self._visit: Visit | None = None
        self._login_by = 0.0
        self._failed_logins = 0
        self._bad_commands = 0
        self._unsent_octets = 0
        self._nothing_came = True
        self._draining = False

    # -- MailConnection

    def connection_ready(self) -> None:
        # No <timestamp>: RFC 1939 section 7 makes that the offer of APOP.
        self.send(ok(f"{self.door.hostname} POP3 server ready"))
        self._login_by = self.door.timers.seconds() + self._limits.login_s
        self._await_command()

    def connection_refused(self, reason: str) -> None:
        self.close(err(reason, "SYS/TEMP"))

    def tls_ready(self) -> None:
        self._await_command()

    def octets_received(self, data: bytes) -> None:
        if self._nothing_came:
            self._nothing_came = False
            if is_binary(data):  # SECURITY S20
                self.close(err("this is a POP3 server"))
                return
        self._reader.feed(data)
        self._work()

    def deadline_passed(self) -> None:
        if self.busy:
            self.log.info(
                "{id} gave up waiting for {peer}", id=self.connection_id, peer=self.peer_ip
            )
            self.abort()
        else:
            # RFC 1939 section 3: no UPDATE, and no response either.
            self.close()

    def connection_ended(self) -> None:
        if self._visit is not None:
            self._visit.leave()

    def command_failed(self, failure: Failure) -> None:
        if failure.check(GatewayError):
            self.log.warn("{id} {error}", id=self.connection_id, error=escaped(failure.value))
        else:
            self.log.failure("{id} command failed", failure, id=self.connection_id)
        if self._transaction is not None and self._transaction.mid_reply:
            self.abort()  # anything sent now would be taken for the message's text
        else:
            self.close(err(f"internal error, reference {self.connection_id}", "SYS/TEMP"))

    def drain(self) -> None:
        self._draining = True
        if not self.busy:
            self._go_away()

    def _go_away(self) -> None:
        if self.dismissed:
            self.close(err("this login is not valid any more, log in again", "AUTH"))  # RFC 3206
        else:
            self.close(err("shutting down, come back later", "SYS/TEMP"))

    # -- lines, in order, one at a time (RFC 2449 section 6.6)

    def send(self, data: bytes) -> None:
        self._unsent_octets += len(data)
        super().send(data)

    async def taken(self) -> None:
        """Wait until the peer took most of what was sent; a peer that does not is dropped."""
        self._unsent_octets = 0
        self.set_deadline(self._limits.stall_s)
        await self.writable()

    def _work(self) -> None:
        """Answer what is buffered, until a command has to wait."""
        try:
            while not self.busy and not self.closing:
                if self._draining:
                    self._go_away()
                elif self._unsent_octets > MAX_UNSENT_OCTETS:
                    self.run(self._catch_up(), self._work)
                elif not self._next():
                    break
        except Broken as broken:
            self.close(err(str(broken)))
        except Exception:
            self.command_failed(Failure())
        if self.closing:
            return
        if len(self._reader) > MAX_AHEAD_OCTETS:
            self.pause_reading()
        else:
            self.resume_reading()

    def _next(self) -> bool:
        """Answer one line; False if none is there yet."""
        in_exchange = self._authorization.in_exchange
        line = self._reader.next_line(MAX_SASL_LINE_OCTETS if in_exchange else MAX_LINE_OCTETS)
        if line is None:
            return False
        try:
            if in_exchange:
                pending: Pending | None = self._log_in(self._authorization.respond(line))
            else:
                pending = self._command(line)
        except Refused as refused:
            self._refuse(str(refused))
            pending = None
        if pending is not None:
            self.run(pending, self._answered)
        if not self.busy:
            self._await_command()
        return True

    def _answered(self) -> None:
        self._await_command()
        self._work()

    async def _catch_up(self) -> None:
        await self.taken()
        self._await_command()

    def _await_command(self) -> None:
        """Set the deadline of the next command. Only a whole command moves it, and before the
        login not even that (SECURITY N1)."""
        if self.closing or self.handshaking:
            return
        if self._state is State.TRANSACTION:
            self.set_deadline(self._limits.idle_s)
        else:
            self.set_deadline(max(self._login_by - self.door.timers.seconds(), 0.0))

    def _refuse(self, text: str) -> None:
        self._bad_commands += 1
        limit = self._limits.bad_commands
        if self._state is State.AUTHORIZATION:
            limit = self._limits.bad_commands_before_login
        if self._bad_commands < limit:
            self.send(err(text))
        else:
            self.close(err("too many bad commands"))

    def _command(self, line: bytes) -> Pending | None:
        if self._state is State.AUTHORIZATION and is_foreign(line):  # SECURITY S20
            self.close(err("this is a POP3 server"))
            return None
        command = parse(line, self._state)
        match command:
            case User() | Pass() | Auth():
                if not self.login_allowed:
                    raise Refused("login needs TLS here")  # SECURITY A1
                if not isinstance(command, Auth) and not self.door.means.passwords:
                    raise Refused("passwords are not taken here")
                return self._log_in(
                    self._authorization.handle(
                        command, self, self._portal, self._limits.failed_login_s
                    )
                )
            case Stls():
                self._stls()
            case Capa():
                self._capa()
            case Quit():
                return self._quit()
            case _:
                assert self._transaction is not None
                return self._transaction.handle(command)
        return None

    # -- TLS and capabilities

    def _capa(self) -> None:
        may_start_tls = (
            self.door.tls is not None and not self.is_tls and self._state is State.AUTHORIZATION
        )
        now = Situation(
            self.login_allowed, may_start_tls, mechanisms(self), self.door.means.passwords
        )
        self.send(listing(ok("capabilities follow"), capability_lines(now)))

    def _stls(self) -> None:
        if self.is_tls:
            raise Refused("TLS is active already")
        if self.door.tls is None:
            raise Refused("no TLS here")
        if len(self._reader):
            # Somebody may have put them there to be run inside TLS (SECURITY F1a, S16, P1).
            self.log.warn(
                "{id} octets behind STLS from {peer}", id=self.connection_id, peer=self.peer_ip
            )
            self.close(err("octets behind STLS"))
            return
        self.send(ok("begin TLS"))
        self._authorization = Authorization()
        self.start_tls()

    # -- login

    async def _log_in(self, step: Coroutine[Any, Any, Answer]) -> None:
        self.set_deadline(self._limits.idle_s)  # a large maildrop may take a while to look at
        try:
            answer = await step
            if isinstance(answer, bytes):
                self.send(answer)
                return
            visit = await enter(answer)
        except Refused as refused:
            self._refuse(str(refused))
            return
        except WrongCredentials as error:
            self._login_failed(error)
            return
        except GatewayError as error:
            if isinstance(error, TooManyFailures):
                self.close(reply_for(error))
                return
            self.log.warn("{id} not let in: {error}", id=self.connection_id, error=escaped(error))
            self.send(reply_for(error))
            return
        maildrop = visit.maildrop
        self._visit = visit
        self._state = State.TRANSACTION
        self._transaction = Transaction(maildrop, self)
        self._bad_commands = 0
        self.login = visit.account.login
        self.send(ok(f"{maildrop.count} messages ({maildrop.size_octets} octets)"))

    def _login_failed(self, error: WrongCredentials) -> None:
        self._failed_logins += 1
        reply = reply_for(error, text_told(error))
        if self._failed_logins < self._limits.failed_logins:
            self.send(reply)
        else:
            self.close(reply)

    # -- the end

    def _quit(self) -> Pending | None:
        if self._visit is None:
            self.close(ok("bye"))
            return None
        return self._update(self._visit)

    async def _update(self, visit: Visit) -> None:
        farewell = ok("bye")
        try:
            await visit.maildrop.commit()
        except GatewayError as error:
            self.log.warn("{id} QUIT: {error}", id=self.connection_id, error=escaped(error))
            farewell = reply_for(error, "some deleted messages were not removed")
        # Before the farewell: a client may come back as soon as it has read it.
        visit.leave()
        self.close(farewell)
