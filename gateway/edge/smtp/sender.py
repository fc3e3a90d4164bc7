"""MAIL: who may send as whom, and how a transaction begins."""

from __future__ import annotations

from gateway.core.address import Address
from gateway.core.envelope import NO_OPTIONS
from gateway.edge.smtp.errors import verdict_reply_for
from gateway.edge.smtp.options import asks_for_nothing, options_of
from gateway.edge.smtp.session import Question, SmtpSession, settled
from gateway.edge.smtp.submission import refusal_of_sender, submitter_of
from gateway.edge.smtp.transaction import Transaction
from gateway.policy.facts import Envelope
from gateway.policy.senders import Names
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
        session.turn_down(replies.too_big(command.size_octets, session.limits.size_octets))
        return
    if not services.has_room():
        if session.count_idle_command():
            session.turn_down(replies.NO_ROOM)
        return
    options = NO_OPTIONS
    if not asks_for_nothing(command):
        wished = options_of(
            command,
            now=services.wall_clock(),
            known=account is not None,
            is_tls=session.is_tls,
            hold_s=services.offer.hold_s,
            unwanted=services.offer.no_soliciting,
        )
        if isinstance(wished, Reply):
            session.turn_down(wished)
            return
        options = wished
    envelope = Envelope(command.sender, options, announced_octets=command.size_octets)
    is_lowered = options.priority < (command.priority or 0)
    sender = command.sender
    if account is None or sender is None:
        _begin(session, envelope, is_lowered)
        return
    names = submitter_of(session, account).names
    if names.known(sender) is not None:
        _begin(session, envelope, is_lowered)
    else:
        session.start(_begin_if_allowed(session, envelope, is_lowered, names, sender))


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
    elif session.count_idle_command():  # a 4xx is no error, and yet to be had 100 times only
        await session.refuse(verdict_reply_for(Stage.SENDER, verdict), verdict.reason)
        session.visit.reset()


def _open(session: SmtpSession, envelope: Envelope, is_lowered: bool) -> None:
    session.begun += 1
    message_id = f"{session.connection_id}-{session.begun}"
    session.transaction = Transaction(message_id, envelope, is_lowered)
    session.core.succeeded(Verb.MAIL)
    session.send(replies.SENDER_OK.octets)


async def _begin_if_allowed(
    session: SmtpSession, envelope: Envelope, is_lowered: bool, names: Names, sender: Address
) -> None:
    """RFC 6409 section 6.1: people send as themselves (SECURITY S32)."""
    refusal = await refusal_of_sender(names, sender)
    if refusal is None:
        await _judge(session, envelope, is_lowered, session.visit.sender(envelope))
    else:
        await session.refuse(refusal)
