"""MAIL: who may send as whom, and how a transaction begins."""

from __future__ import annotations

from gateway.core.envelope import MessageOptions
from gateway.core.errors import GatewayError, RelayDenied, UnknownRecipient
from gateway.core.route import LocalMailbox, Route
from gateway.edge.smtp.errors import reply_for, verdict_reply_for
from gateway.edge.smtp.session import Question, SmtpSession, settled
from gateway.edge.smtp.transaction import Transaction
from gateway.policy.facts import Envelope
from gateway.policy.verdicts import Stage
from gateway.wire import smtp_replies as replies
from gateway.wire.smtp_commands import Mail, Verb


def mail(session: SmtpSession, command: Mail) -> None:
    account = session.client.account
    if account is None and session.services.auth == "required":
        session.turn_down(replies.LOGIN_FIRST)
    elif command.size_octets > session.limits.size_octets:
        session.turn_down(replies.TOO_BIG)
    elif account is None or session.sasl.lists(command.sender):
        _begin(session, command)
    else:
        session.start(_begin_if_own(session, command))


def _begin(session: SmtpSession, command: Mail) -> None:
    """The sender may send."""
    envelope = _envelope(command)
    answer = session.visit.sender(envelope)
    if answer is None:
        _open(session, envelope)
    else:
        session.start(_judge(session, envelope, answer))


def _envelope(command: Mail) -> Envelope:
    options = MessageOptions(command.body)
    return Envelope(command.sender, options, announced_octets=command.size_octets)


async def _judge(session: SmtpSession, envelope: Envelope, answer: Question) -> None:
    verdict = await settled(answer)
    if verdict is None:
        _open(session, envelope)
    else:
        await session.refuse(verdict_reply_for(Stage.SENDER, verdict), verdict.reason)
        session.visit.reset()


def _open(session: SmtpSession, envelope: Envelope) -> None:
    session.begun += 1
    session.transaction = Transaction(f"{session.connection_id}-{session.begun}", envelope)
    session.core.succeeded(Verb.MAIL)
    session.send(replies.SENDER_OK.octets)


async def _begin_if_own(session: SmtpSession, command: Mail) -> None:
    """RFC 6409 section 6.1: people send as themselves (S32), which is also by any address whose
    mail comes to them without standing in their entry, such as one in an alias domain."""
    account = session.client.account
    assert account is not None and command.sender is not None
    route: Route | None = None
    try:
        route = await session.services.router.route(command.sender, may_relay=False)
    except (UnknownRecipient, RelayDenied):
        pass
    except GatewayError as error:
        await session.refuse(reply_for(error))
        return
    if isinstance(route, LocalMailbox) and route.account.account_id == account.account_id:
        envelope = _envelope(command)
        await _judge(session, envelope, session.visit.sender(envelope))
    else:
        await session.refuse(replies.sender_not_allowed(account.login))
