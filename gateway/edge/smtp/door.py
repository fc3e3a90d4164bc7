"""The SMTP doors: mail from strangers for our people ("smtp"), mail from our people ("submission").

Owns the mail transaction: MAIL, RCPT, DATA and what follows the dot, each in the order state (the
core has judged it), permission, port, reply. The session around it is in ``session``, the
envelope in ``transaction``, the trace fields in ``trace_header``.

Invariants: 250 after the dot only when the store has promised (SECURITY D1); whatever that reply
is, the transaction is over (S4).
"""

from __future__ import annotations

from typing import ClassVar

from twisted.internet.defer import CancelledError
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory
from twisted.logger import Logger

from gateway.core.address import path
from gateway.core.envelope import Hold, MessageOptions
from gateway.core.errors import GatewayError, OverQuota, RelayDenied, UnknownRecipient
from gateway.core.log_text import escaped
from gateway.core.ports.body import IncomingBody
from gateway.core.route import LocalMailbox, Route
from gateway.edge.connection import Door
from gateway.edge.smtp.errors import reply_for
from gateway.edge.smtp.services import SmtpServices
from gateway.edge.smtp.session import SESSION_ANSWERS, Question, SmtpSession, settled
from gateway.edge.smtp.trace_header import protocol_name, received
from gateway.edge.smtp.transaction import Transaction
from gateway.policy.facts import Envelope, Recipient
from gateway.policy.verdicts import Stage
from gateway.wire import smtp_replies as replies
from gateway.wire.smtp_commands import Data, Mail, Rcpt, Verb
from gateway.wire.smtp_replies import Reply
from gateway.wire.smtp_server import ContentEnded


class SmtpFactory(Factory):
    """Makes the connections of one listener; ``door.protocol`` is ``smtp`` or ``submission``."""

    noisy = False

    def __init__(self, door: Door, services: SmtpServices) -> None:
        assert door.protocol in ("smtp", "submission")
        self.door = door
        self.services = services

    def buildProtocol(self, addr: IAddress | None) -> SmtpConnection:
        return SmtpConnection(self.door, self.services)


class SmtpConnection(SmtpSession):
    """One client, with its mail transaction."""

    log: ClassVar[Logger] = Logger()

    def __init__(self, door: Door, services: SmtpServices) -> None:
        super().__init__(door, services)
        self._transaction: Transaction | None = None
        self._body: IncomingBody | None = None
        self._begun = 0  # transactions

    @property
    def reference(self) -> str:
        transaction = self._transaction
        return self.connection_id if transaction is None else transaction.message_id

    def _reset(self) -> None:
        self._transaction = None
        self._visit.reset()
        body, self._body = self._body, None
        if body is not None:
            body.discard()

    def _mail(self, command: Mail) -> None:
        if not self._faces_strangers and self._login.account is None:
            self._start(self._refuse(replies.LOGIN_FIRST))
        elif command.size_octets > self._limits.size_octets:
            self._start(self._refuse(replies.TOO_BIG))
        elif self._faces_strangers or self._login.lists(command.sender):
            self._begin(command)
        else:
            self._start(self._begin_if_own(command))

    def _begin(self, command: Mail) -> None:
        """The sender may send."""
        envelope = self._envelope(command)
        answer = self._visit.sender(envelope)
        if answer is None:
            self._open(envelope)
        else:
            self._start(self._judge_sender(envelope, answer))

    @staticmethod
    def _envelope(command: Mail) -> Envelope:
        options = MessageOptions(command.body)
        return Envelope(command.sender, options, announced_octets=command.size_octets)

    async def _judge_sender(self, envelope: Envelope, answer: Question) -> None:
        verdict = await settled(answer)
        if verdict is None:
            self._open(envelope)
        else:
            await self._refuse(self._refusal_by(Stage.SENDER, verdict), verdict.reason)
            self._visit.reset()

    def _open(self, envelope: Envelope) -> None:
        self._begun += 1
        self._transaction = Transaction(f"{self.connection_id}-{self._begun}", envelope)
        self._core.succeeded(Verb.MAIL)
        self.send(replies.SENDER_OK.octets)

    async def _begin_if_own(self, command: Mail) -> None:
        """RFC 6409 section 6.1: people send as themselves (S32), which is also by any address whose
        mail comes to them without standing in their entry, such as one in an alias domain."""
        account = self._login.account
        assert account is not None and command.sender is not None
        route: Route | None = None
        try:
            route = await self._services.router.route(command.sender, may_relay=False)
        except (UnknownRecipient, RelayDenied):
            pass
        except GatewayError as error:
            await self._refuse(reply_for(error))
            return
        if isinstance(route, LocalMailbox) and route.account.account_id == account.account_id:
            envelope = self._envelope(command)
            await self._judge_sender(envelope, self._visit.sender(envelope))
        else:
            await self._refuse(replies.sender_not_allowed(account.login))

    def _rcpt(self, command: Rcpt) -> None:
        self._start(self._add_recipient(command))

    async def _add_recipient(self, command: Rcpt) -> None:
        transaction = self._transaction
        assert transaction is not None
        if transaction.accepted >= self._limits.recipients:
            await self._refuse(replies.TOO_MANY_RECIPIENTS)
            return
        try:
            route = await self._services.router.route(
                command.recipient, may_relay=self._login.account is not None
            )
            if self._services.quota is not None and isinstance(route, LocalMailbox):
                await self._services.quota.admit(
                    route.account, transaction.envelope.announced_octets
                )
        except GatewayError as error:
            await self._refuse_recipient(command, self._refusal_of_recipient(error), error)
            return
        recipient = Recipient(command.recipient, route, command.options)
        verdict = await settled(self._visit.recipient(recipient))
        if verdict is not None:
            reply = self._refusal_by(Stage.RECIPIENT, verdict)
            await self._refuse_recipient(command, reply, verdict.reason)
            return
        transaction.add(recipient)
        self._core.succeeded(Verb.RCPT)
        self.send(replies.RECIPIENT_OK.octets)

    async def _refuse_recipient(self, command: Rcpt, reply: Reply, why: object) -> None:
        transaction = self._transaction
        assert transaction is not None
        self._core.recipient_refused()
        self.log.info(
            "{id} {peer} refused {recipient} from {sender}: {code} {error}",
            id=transaction.message_id,
            peer=self.peer_ip,
            recipient=escaped(path(command.recipient)),
            sender=escaped(path(transaction.envelope.sender)),
            code=reply.code,
            error=escaped(why),
        )
        await self._refuse(reply, why)

    def _refusal_of_recipient(self, error: GatewayError) -> Reply:
        quota = self._services.quota
        if isinstance(error, OverQuota) and quota is not None and quota.rejects:
            return replies.MAILBOX_FULL_FOR_GOOD
        return reply_for(error)

    def _refusal_of_message(self, error: GatewayError, transaction: Transaction) -> Reply:
        """For good only if everybody addressed is over their quota: a 5xx would turn the message
        away from people who have room. A 4xx lets the sender try again, and ask for each at RCPT.
        """
        if isinstance(error, OverQuota) and not transaction.is_for_none_but(error.account_ids):
            return reply_for(error)
        return self._refusal_of_recipient(error)

    async def _over_quota(self, transaction: Transaction, octets: int) -> Reply | None:
        """The refusal of a message that somebody addressed has no room for; None: go on."""
        if self._services.quota is None:
            return None
        try:
            await self._services.quota.admit_message(transaction.local, octets)
        except OverQuota as error:
            self.log.info(
                "{id} {peer} message from {sender} refused: {error}",
                id=self.connection_id,
                peer=self.peer_ip,
                sender=escaped(path(transaction.envelope.sender)),
                error=escaped(error),
            )
            return self._refusal_of_message(error, transaction)
        return None

    def _data(self, _: Data) -> None:
        if self._faces_strangers and self._core.buffered:
            # Sent without waiting for 354: RFC 2920 section 3.1 makes DATA the last of a group.
            self._close_on("pipelined behind DATA", replies.TALKED_TOO_EARLY)
            return
        try:
            body = self._services.intake.open_body()
        except GatewayError as error:
            self._core.data_refused()
            if self._core.buffered:
                self._close_on("no room for a body, and content sent early", reply_for(error))
            else:
                self._start(self._refuse(reply_for(error)))
            return
        self._body = body
        self._content_since = self.door.timers.seconds()
        self._core.start_content(body.write)
        self.send(replies.START_CONTENT.octets)

    def _content_ended(self, event: ContentEnded) -> None:
        self._start(self._finish(event.refusal))

    async def _finish(self, refusal: Reply | None) -> None:
        """The dot came: hand the message to the store and answer."""
        transaction, body = self._transaction, self._body
        assert transaction is not None and body is not None
        if refusal is None:
            refusal = await self._over_quota(transaction, body.size_octets)
        if refusal is not None:
            await self._refuse(refusal)
            self._reset()
            return
        # From here on the store owns the body: a connection lost now must not discard it.
        self._body = None
        now = self._services.wall_clock()
        size_octets = body.size_octets
        quota = self._services.quota
        quarantine = self._visit.quarantine
        message = transaction.message(
            trace_header=received(
                host=self.client.hello,
                peer_ip=self.peer_ip,
                hostname=self.door.hostname,
                protocol=protocol_name(
                    esmtp=self._core.esmtp, tls=self.is_tls, authenticated=bool(self.login)
                ),
                ingest_id=transaction.message_id,
                recipient=transaction.only_recipient,
                at=now,
            ),
            body=body,
            received_at=int(now),
            may_exceed_quota=quota is not None and quota.promises,
            hold=None if quarantine is None else Hold(f"quarantine: {quarantine.reason}"),
            trace=self._journal.accepted(transaction, self.client, self._visit, size_octets, now),
        )
        try:
            kept = await self._services.intake.accept(message)
        except CancelledError:
            raise  # the client is gone; the store ends what it has begun
        except Exception as error:
            body.discard()
            if not isinstance(error, GatewayError):
                raise
            self.log.error(
                "{ingest} not accepted: {error}",
                ingest=transaction.message_id,
                error=escaped(error),
            )
            await self._refuse(self._refusal_of_message(error, transaction), error)
            self._reset()
            return
        self._reset()
        self._errors = self._idle_commands = 0
        self.send(replies.accepted(transaction.message_id).octets)
        self.log.info(
            "{ingest} {peer} accepted from {sender} to {recipients}: {size} octets,"
            " {local} local, {remote} remote{queued}",
            peer=self.peer_ip,
            ingest=transaction.message_id,
            sender=escaped(path(transaction.envelope.sender)),
            recipients=escaped(transaction.recipients_in_short),
            local=len(message.local),
            remote=len(message.remote),
            queued=f", queued as {kept.queue_id}" if kept.queue_id else "",
            size=size_octets,
        )

    answers = {
        **SESSION_ANSWERS,
        Mail: _mail,
        Rcpt: _rcpt,
        Data: _data,
        ContentEnded: _content_ended,
    }
