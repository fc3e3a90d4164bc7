"""MAIL: who may send as whom, and how a transaction begins."""

from __future__ import annotations

from gateway.core.errors import GatewayError, RelayDenied, UnknownRecipient
from gateway.core.route import LocalMailbox, Route
from gateway.edge.smtp.errors import reply_for, verdict_reply_for
from gateway.edge.smtp.options import options_of
from gateway.edge.smtp.session import Question, SmtpSession, settled
from gateway.edge.smtp.transaction import Transaction
from gateway.policy.facts import Envelope
from gateway.policy.verdicts import Stage
from gateway.wire import smtp_replies as replies
from gateway.wire.smtp_commands import Mail, Verb
from gateway.wire.smtp_replies import Reply


def mail(session: SmtpSession, command: Mail) -> None:
    services = session.services
    account = session.client.account
    if account is None and services.auth == "required":
        session.turn_down(replies.LOGIN_FIRST)
        return
    if command.size_octets > session.limits.size_octets:
        session.turn_down(replies.TOO_BIG)
        return
    if not services.has_room():
        session.turn_down(replies.NO_ROOM)
        return
    options = options_of(
        command,
        now=services.wall_clock(),
        known=account is not None,
        is_tls=session.is_tls,
        hold_s=services.offer.hold_s,
        unwanted=services.offer.no_soliciting,
    )
    if isinstance(options, Reply):
        session.turn_down(options)
        return
    envelope = Envelope(command.sender, options, announced_octets=command.size_octets)
    is_lowered = options.priority < (command.priority or 0)
    if account is None or session.sasl.lists(command.sender):
        _begin(session, envelope, is_lowered)
    else:
        session.start(_begin_if_own(session, envelope, is_lowered))


def _begin(session: SmtpSession, envelope: Envelope, is_lowered: bool) -> None:
    """The sender may send."""
    answer = session.visit.sender(envelope)
    if answer is None:
        _open(session, envelope, is_lowered)
    else:
        session.start(_judge(session, envelope, is_lowered, answer))


async def _judge(
    session: SmtpSession, envelope: Envelope, is_lowered: bool, answer: Question
) -> None:
    verdict = await settled(answer)
    if verdict is None:
        _open(session, envelope, is_lowered)
    else:
        await session.refuse(verdict_reply_for(Stage.SENDER, verdict), verdict.reason)
        session.visit.reset()


def _open(session: SmtpSession, envelope: Envelope, is_lowered: bool) -> None:
    session.begun += 1
    message_id = f"{session.connection_id}-{session.begun}"
    session.transaction = Transaction(message_id, envelope, is_lowered)
    session.core.succeeded(Verb.MAIL)
    session.send(replies.SENDER_OK.octets)


async def _begin_if_own(session: SmtpSession, envelope: Envelope, is_lowered: bool) -> None:
    """RFC 6409 section 6.1: people send as themselves (S32), which is also by any address whose
    mail comes to them without standing in their entry, such as one in an alias domain."""
    account = session.client.account
    assert account is not None and envelope.sender is not None
    route: Route | None = None
    try:
        route = await session.services.router.route(envelope.sender, may_relay=False)
    except (UnknownRecipient, RelayDenied):
        pass
    except GatewayError as error:
        await session.refuse(reply_for(error))
        return
    if isinstance(route, LocalMailbox) and route.account.account_id == account.account_id:
        await _judge(session, envelope, is_lowered, session.visit.sender(envelope))
    else:
        await session.refuse(replies.sender_not_allowed(account.login))
