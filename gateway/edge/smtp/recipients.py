"""RCPT: each recipient is routed, weighed and judged, and answered for itself."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from gateway.core.address import path
from gateway.core.errors import GatewayError, OverQuota
from gateway.core.group import Group
from gateway.core.ids import AccountId
from gateway.core.log_text import escaped
from gateway.core.route import (
    Expansion,
    LocalMailbox,
    Outbound,
    Route,
    addressed_alone,
    groups_at,
)
from gateway.edge.smtp.errors import reply_for, verdict_reply_for
from gateway.edge.smtp.session import SmtpSession, settled
from gateway.edge.smtp.transaction import Transaction
from gateway.policy.facts import Recipient
from gateway.policy.group_rules import Poster
from gateway.policy.posting import JudgesPosting
from gateway.policy.quota import QuotaPolicy
from gateway.policy.verdicts import Action, Stage, Verdict
from gateway.wire import smtp_replies as replies
from gateway.wire.smtp_commands import Rcpt, Verb
from gateway.wire.smtp_replies import Reply


def rcpt(session: SmtpSession, command: Rcpt) -> None:
    session.start(_add(session, command))


async def _add(session: SmtpSession, command: Rcpt) -> None:
    transaction, services = session.transaction, session.services
    assert transaction is not None
    if transaction.accepted >= session.limits.recipients:
        await _refuse_one_more(session, transaction)
        return
    client = session.client
    full: Collection[AccountId] = ()
    try:
        route = await services.router.route(
            command.recipient, may_relay=client.may_relay or client.account is not None
        )
        groups = groups_at(route)
        if groups and services.posting is not None:
            verdict = await _word_of_groups(session, services.posting, groups)
            if verdict is not None:
                reply = verdict_reply_for(Stage.RECIPIENT, verdict)
                await _refuse(session, command, reply, verdict.reason)
                return
        if services.quota is not None and not isinstance(route, Outbound):
            full = await _weigh(services.quota, route, transaction.envelope.announced_octets)
    except GatewayError as error:
        await _refuse(session, command, refusal_of_recipient(services.quota, error), error)
        return
    recipient = Recipient(command.recipient, route, command.options)
    answer = session.visit.recipient(recipient)
    verdict = None if answer is None else await settled(answer)
    if verdict is not None:
        reply = verdict_reply_for(Stage.RECIPIENT, verdict)
        await _refuse(session, command, reply, verdict.reason)
        return
    transaction.add(recipient, full)
    session.core.succeeded(Verb.RCPT)
    session.send(replies.RECIPIENT_OK.octets)


async def _word_of_groups(
    session: SmtpSession, posting: JudgesPosting, groups: Sequence[Group]
) -> Verdict | None:
    """Who may write to the groups that the address is; no policy's ACCEPT passes over that."""
    transaction = session.transaction
    assert transaction is not None
    poster = Poster.of(session.client, transaction.envelope.sender)
    verdicts = await posting.judge(groups, poster)
    for verdict in verdicts:
        session.visit.note(Stage.RECIPIENT, verdict)
    return verdicts[-1] if verdicts[-1].action is Action.REJECT else None


async def _weigh(quota: QuotaPolicy, route: Route, announced_octets: int) -> Collection[AccountId]:
    """The members of a group who have no room: one of them must not keep the mail from the others.

    Raises: OverQuota for whoever is addressed alone.
    """
    alone = addressed_alone(route)
    if alone is not None:
        await quota.admit(alone, announced_octets)
    if alone is not None or not isinstance(route, Expansion):
        return ()
    full: list[AccountId] = []
    for member in route.members:
        if isinstance(member.route, LocalMailbox):
            try:
                await quota.admit(member.route.account, announced_octets)
            except OverQuota:
                full.append(member.route.account.account_id)
    return frozenset(full)


async def _refuse_one_more(session: SmtpSession, transaction: Transaction) -> None:
    """RFC 5321 section 4.5.3.1.10: the client sends the others afterwards. One that goes on and on
    does not read what it is told (SECURITY S24)."""
    if not _is_far_too_many(session, transaction):
        await session.refuse(replies.TOO_MANY_RECIPIENTS)


def _is_far_too_many(session: SmtpSession, transaction: Transaction) -> bool:
    """One more RCPT gets a 4xx; True: it was the last, and the connection is closed."""
    transaction.put_off += 1
    if transaction.put_off <= session.limits.recipients:
        return False
    session.close_on("far too many recipients", replies.TOO_MANY_REFUSED_RECIPIENTS)
    return True


async def _refuse(session: SmtpSession, command: Rcpt, reply: Reply, why: object) -> None:
    transaction = session.transaction
    assert transaction is not None
    session.core.recipient_refused()
    if reply.code < 500 and _is_far_too_many(session, transaction):
        return
    session.log.info(
        "{id} {peer} refused {recipient} from {sender}: {code} {error}",
        id=transaction.message_id,
        peer=session.peer_ip,
        recipient=escaped(path(command.recipient)),
        sender=escaped(path(transaction.envelope.sender)),
        code=reply.code,
        error=escaped(why),
    )
    await session.refuse(reply, why)


def refusal_of_recipient(quota: QuotaPolicy | None, error: GatewayError) -> Reply:
    """The reply to a recipient who cannot have the message because of this error."""
    if isinstance(error, OverQuota) and quota is not None and quota.rejects:
        return replies.MAILBOX_FULL_FOR_GOOD
    return reply_for(error)
