"""One IMAP connection: octets to the reader, its events to the handlers, replies in order.

Owns the order of things: parse (the reader), check the state, check the permission, call the
handler, tell news of the selected mailbox, send the tagged reply. One command at a time; what the
client sends meanwhile stays in the reader, and reading pauses when that grows. Owns the deadlines
and how often a client may be wrong. Never touches a mailbox itself.

Deadlines: a stranger has ``login_s`` in all; a person ``idle_s`` between complete commands; a
message a minimum rate; a reply that nobody reads ``write_stall_s``. A command that runs long on our
side has none: the ports bound their own work.
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from twisted.internet.defer import CancelledError, Deferred

from gateway.edge.connection import Door, MailConnection
from gateway.edge.imap.append import examine_append
from gateway.edge.imap.errors import Reply, bad, no, reply_to
from gateway.edge.imap.registry import Registry, Row, When
from gateway.edge.imap.services import ImapServices
from gateway.edge.imap.session import LineRefused, MailboxDeleted, Session, State, Upload
from gateway.edge.login import mechanisms
from gateway.wire.foreign import HTTP_VERBS, is_binary
from gateway.wire.imap.commands import Command
from gateway.wire.imap.events import (
    AppendData,
    AppendFinished,
    AppendStarted,
    BadCommand,
    CommandReceived,
    ContinuationWanted,
    Event,
    MustClose,
    RawLine,
    RawLineRefused,
)
from gateway.wire.imap.reader import CommandReader
from gateway.wire.imap.replies import bye, continuation, tagged, untagged_status


class ImapConnection(MailConnection):
    """The IMAP door's side of one connection."""

    def __init__(self, door: Door, services: ImapServices, registry: Registry) -> None:
        super().__init__(door)
        self._services = services
        self._limits = services.limits
        self._registry = registry
        self._session = Session(self, services)
        self._reader = CommandReader(self._limits.before_login)
        self._heard = False
        self._bad_commands = 0
        self._line: Deferred[bytes] | None = None
        self._working = False
        self._stalled = False
        self._draining = False
        self._pending_octets = 0

    # -- MailConnection's hooks

    def connection_ready(self) -> None:
        code = f"CAPABILITY {self.capabilities()}"
        self.send(untagged_status("OK", f"{self.door.hostname} ready", code))
        self.set_deadline(self._limits.login_s)

    def connection_refused(self, reason: str) -> None:
        self.close(bye(reason, "LIMIT"))  # SECURITY N2

    def tls_ready(self) -> None:
        self.set_deadline(self._limits.login_s)

    def octets_received(self, data: bytes) -> None:
        if not self._heard:
            self._heard = True
            if is_binary(data):  # SECURITY S20
                self.abort()
                return
        self._reader.feed(data)
        self._work()

    def connection_ended(self) -> None:
        line, self._line = self._line, None
        if line is not None:
            line.cancel()
        self._session.end()

    def deadline_passed(self) -> None:
        if self._stalled:
            self.log.info("{id} the client takes nothing of a reply", id=self.connection_id)
            self.abort()
        elif self._waits_for_us:
            self.set_deadline(self._limits.idle_s)
        else:
            self.close(bye("Waited too long for you"))

    def drain(self) -> None:
        self._draining = True
        if not self.busy or self._line is not None:
            self._say_goodbye()

    @property
    def _waits_for_us(self) -> bool:
        """A person's command runs. A stranger gets no more time than ``login_s``."""
        known = self._session.state is not State.NOT_AUTHENTICATED
        return known and self.busy and self._line is None

    def _say_goodbye(self) -> None:
        if self.dismissed:
            self.close(bye("This login is not valid any more, log in again"))
        else:
            self.close(bye("The server is shutting down", "UNAVAILABLE"))

    # -- what commands may do with the connection (session.Peer)

    @property
    def buffered_octets(self) -> int:
        return self._reader.buffered_octets

    @property
    def passwords_allowed(self) -> bool:
        return self.login_allowed and self.door.means.passwords

    def capabilities(self) -> str:
        if self._session.state is not State.NOT_AUTHENTICATED:
            return self._registry.capabilities([When.LOGGED_IN])
        shown = [When.LOGIN_POSSIBLE] if self.login_allowed else []
        if not self.passwords_allowed:
            shown.append(When.LOGIN_REFUSED)
        if self.door.tls is not None and not self.is_tls:
            shown.append(When.STARTTLS_POSSIBLE)
        names = mechanisms(self) if self.login_allowed else ()
        return self._registry.capabilities(shown, (f"AUTH={name}" for name in names))

    def logged_in(self) -> None:
        self.login = self._session.account.login
        self._reader.limits = self._limits.after_login
        self._bad_commands = 0
        self._rest()

    def next_line(self, max_octets: int) -> Deferred[bytes]:
        assert self._line is None
        self._reader.expect_line(max_octets)
        line = self._line = Deferred[bytes]()
        self._flush()  # the challenge, before its answer can come
        self._work()  # the answer may be here already
        return line

    def send(self, data: bytes) -> None:
        if self.closing:
            return  # nothing follows BYE
        super().send(data)
        self._pending_octets += len(data)
        if self._pending_octets > self._limits.batch_octets:
            # Learn whether the peer keeps up before a pipeline of long replies has piled up.
            self._flush()

    def _flush(self) -> None:
        self._pending_octets = 0
        super()._flush()

    async def writable(self) -> None:
        self._flush()
        if not self._write_blocked or self.closing:
            return
        if self._session.state is State.NOT_AUTHENTICATED:
            await super().writable()  # the stranger's deadline stands
            return
        self._stalled = True
        self.set_deadline(self._limits.write_stall_s)
        try:
            await super().writable()
        finally:
            self._stalled = False
        self._rest()

    def start_tls(self) -> None:
        super().start_tls()
        # Nothing said in clear text counts (RFC 3501 section 6.2.1); there is nothing else kept.
        self._reader = CommandReader(self._limits.before_login)

    # -- the loop

    def _work(self) -> None:
        """Handle what the reader has, as long as nothing has to be waited for.

        A command that ends later calls this again; one that ends inside of it does not recurse.
        """
        if self._working:
            return
        self._working = True
        try:
            while not self.closing and (not self.busy or self._line is not None):
                event = self._reader.next_event()
                if event is None:
                    break
                self._handle(event)
        finally:
            self._working = False
        if self.closing:
            return
        if self.busy and self._reader.buffered_octets > self._limits.pipelined_octets:
            self.pause_reading()
        else:
            self.resume_reading()
        if self._session.upload is not None and not self.busy:
            self.set_deadline(self._session.upload.seconds_left(self.door.timers.seconds()))

    def _handle(self, event: Event) -> None:
        match event:
            case CommandReceived(command) | AppendFinished(command):
                self._run(self._perform(command))
            case AppendStarted():
                self._run(self._admit(event))
            case AppendData(data):
                upload = self._session.upload
                assert upload is not None, "the reader sends a message only when accepted"
                upload.body.write(data)
            case ContinuationWanted():
                self.send(continuation())
            case RawLine(line):
                self._taken_line().callback(line)
            case RawLineRefused(text):
                self._taken_line().errback(LineRefused(text))
            case BadCommand(tag, text, code, condition):
                self._session.drop_upload()
                self._rest()
                self._refuse(tag, Reply(condition, text, code))
            case MustClose(text, code):
                self.close(bye(text, code))

    def _taken_line(self) -> Deferred[bytes]:
        line, self._line = self._line, None
        assert line is not None, "the reader gives a raw line only when asked"
        return line

    def _refuse(self, tag: bytes | None, reply: Reply) -> None:
        if (
            self._session.state is State.NOT_AUTHENTICATED
            and tag is not None
            and tag.upper() in HTTP_VERBS
        ):
            self.close(bye("This is not a web server"))  # SECURITY S20
            return
        self._answer(tag or b"*", reply)

    # -- commands

    def _run(self, command: Coroutine[Deferred[Any], Any, None]) -> None:
        self._rest()
        self.run(command, self._finished)

    def _finished(self) -> None:
        """A command that had to wait for something is answered."""
        self._rest()
        if self._draining:
            self._say_goodbye()
        else:
            self._work()

    def _rest(self) -> None:
        """A person has all the time of a new command; a stranger's deadline stands."""
        if self._session.state is not State.NOT_AUTHENTICATED:
            self.set_deadline(self._limits.idle_s)

    async def _perform(self, command: Command) -> None:
        """One command from its state check to its tagged reply, which leave in one write."""
        row = self._registry.row_of(command)
        session = self._session
        self._cork()
        try:
            if self._write_blocked:
                await self.writable()  # who does not read replies gets no more of them
            reply = self._forbidden(row)
            if reply is None:
                reply = await row.handler(session, command)
                await session.refresh(now=row.looks)
                await session.tell(may_expunge=row.may_expunge(command))
            self._answer(command.tag, reply)
        except MailboxDeleted as gone:
            self.close(bye(gone.text))
        except Exception as error:
            self._failed(row, command, error)
        finally:
            session.drop_upload()
            self._uncork()

    async def _admit(self, started: AppendStarted) -> None:
        """Take an APPEND's message, or say why not before it is sent (SECURITY I12)."""
        command, session = started.command, self._session
        row = self._registry.row_of(command)
        try:
            reply = self._forbidden(row) or await examine_append(session, started)
            if reply is None:
                body = self._services.intake.open_body()
                now_s = self.door.timers.seconds()
                session.upload = Upload(body, started.size_octets, self._limits, now_s)
        except CancelledError:
            raise
        except Exception as error:
            reply = self._reply_to(row, error)
        if reply is None:
            self._reader.accept_append()
            if started.synchronising:
                self.send(continuation())
            return
        in_step = self._reader.refuse_append()
        self._answer(command.tag, reply)
        if not in_step:
            self.close(bye("The message is on its way and not wanted", reply.code))

    def _forbidden(self, row: Row) -> Reply | None:
        state = self._session.state
        if state not in row.states:
            return bad(f"{row.name} is not possible when {state.value}")
        if row.writes and self._session.selected.read_only:
            return no("The mailbox was opened for reading only", "READ-ONLY")
        return None

    def _failed(self, row: Row, command: Command, error: Exception) -> None:
        if isinstance(error, CancelledError) and self.closing:
            raise error
        self._answer(command.tag, self._reply_to(row, error))

    def _reply_to(self, row: Row, error: Exception) -> Reply:
        return reply_to(error, log=self.log, connection_id=self.connection_id, command=row.name)

    def _answer(self, tag: bytes, reply: Reply) -> None:
        self.send(tagged(tag, reply.condition, reply.text, reply.code))
        if reply.then is not None:
            reply.then()
        if reply.condition != "BAD":
            if self._session.state is not State.NOT_AUTHENTICATED:
                self._bad_commands = 0
            return
        self._bad_commands += 1
        if self._session.state is State.NOT_AUTHENTICATED:
            most = self._limits.bad_commands_before_login
        else:
            most = self._limits.bad_commands
        if self._bad_commands >= most:
            self.close(bye("Too many bad commands"))  # SECURITY I1
