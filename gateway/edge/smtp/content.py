"""DATA and what follows the dot: the message is taken in, and handed to the store.

Invariants: 250 after the dot only when the store has promised (SECURITY D1); whatever that reply
is, the transaction is over (S4).
"""

from __future__ import annotations

from twisted.internet.defer import CancelledError

from gateway.core.address import path
from gateway.core.envelope import Hold
from gateway.core.errors import GatewayError, OverQuota
from gateway.core.log_text import escaped
from gateway.core.messages import Accepted, NewMessage
from gateway.core.ports.body import IncomingBody
from gateway.edge.smtp.errors import reply_for, verdict_reply_for
from gateway.edge.smtp.recipients import refusal_of_recipient
from gateway.edge.smtp.session import SmtpSession, settled
from gateway.edge.smtp.trace_header import policy_field, protocol_name, received
from gateway.edge.smtp.transaction import Transaction
from gateway.policy.verdicts import Stage
from gateway.wire import smtp_replies as replies
from gateway.wire.smtp_commands import Data
from gateway.wire.smtp_events import ContentEnded
from gateway.wire.smtp_replies import Reply


def data(session: SmtpSession, _: Data) -> None:
    core = session.core
    if session.faces_strangers and core.buffered:
        # Sent without waiting for 354: RFC 2920 section 3.1 makes DATA the last of a group.
        session.close_on("pipelined behind DATA", replies.TALKED_TOO_EARLY)
        return
    try:
        body = session.services.intake.open_body()
    except GatewayError as error:
        core.data_refused()
        if core.buffered:
            session.close_on("no room for a body, and content sent early", reply_for(error))
        else:
            session.turn_down(reply_for(error))
        return
    session.body = body
    session.content_since = session.door.timers.seconds()
    core.start_content(body.write)
    session.send(replies.START_CONTENT.octets)


def content_ended(session: SmtpSession, event: ContentEnded) -> None:
    session.start(_finish(session, event.refusal))


async def _finish(session: SmtpSession, refusal: Reply | None) -> None:
    """All octets have come: hand the message to the store and answer."""
    transaction, body = session.transaction, session.body
    assert transaction is not None and body is not None
    why = ""
    if refusal is None:
        refusal = await _over_quota(session, transaction, body.size_octets)
    if refusal is None:
        verdict = await settled(session.visit.content(body))
        if verdict is not None:
            refusal, why = verdict_reply_for(Stage.CONTENT, verdict), verdict.reason
    if refusal is not None:
        await session.refuse(refusal, why)
        session.reset()
        return
    # From here on the store owns the body: a connection lost now must not discard it.
    session.body = None
    size_octets = body.size_octets
    message = _message(session, transaction, body)
    try:
        kept = await session.services.intake.accept(message)
    except CancelledError:
        raise  # the client is gone; the store ends what it has begun
    except Exception as error:
        body.discard()
        if not isinstance(error, GatewayError):
            raise
        session.log.error(
            "{ingest} not accepted: {error}", ingest=transaction.message_id, error=escaped(error)
        )
        await session.refuse(_refusal_of_message(session, error, transaction), error)
        session.reset()
        return
    session.reset()
    session.forgive()
    session.send(replies.accepted(transaction.message_id).octets)
    _log_accepted(session, transaction, message, kept, size_octets)


def _message(session: SmtpSession, transaction: Transaction, body: IncomingBody) -> NewMessage:
    services = session.services
    now = services.wall_clock()
    quota, quarantine = services.quota, session.visit.quarantine
    return transaction.message(
        trace_header=policy_field(session.visit.tags)
        + received(
            host=session.client.hello,
            peer_ip=session.peer_ip,
            hostname=session.door.hostname,
            protocol=protocol_name(
                esmtp=session.core.esmtp, tls=session.is_tls, authenticated=bool(session.login)
            ),
            ingest_id=transaction.message_id,
            recipient=transaction.only_recipient,
            at=now,
        ),
        body=body,
        received_at=int(now),
        may_exceed_quota=quota is not None and quota.promises,
        hold=None if quarantine is None else Hold(f"quarantine: {quarantine.reason}"),
        trace=session.journal.accepted(
            transaction, session.client, session.visit, body.size_octets, now
        ),
    )


def _refusal_of_message(
    session: SmtpSession, error: GatewayError, transaction: Transaction
) -> Reply:
    """For good only if everybody addressed is over their quota: a 5xx would turn the message away
    from people who have room. A 4xx lets the sender try again, and ask for each at RCPT."""
    if isinstance(error, OverQuota) and not transaction.is_for_none_but(error.account_ids):
        return reply_for(error)
    return refusal_of_recipient(session.services.quota, error)


async def _over_quota(session: SmtpSession, transaction: Transaction, octets: int) -> Reply | None:
    """The refusal of a message that somebody addressed has no room for; None: go on."""
    quota = session.services.quota
    if quota is None:
        return None
    try:
        await quota.admit_message(transaction.local, octets)
    except OverQuota as error:
        session.log.info(
            "{id} {peer} message from {sender} refused: {error}",
            id=transaction.message_id,
            peer=session.peer_ip,
            sender=escaped(path(transaction.envelope.sender)),
            error=escaped(error),
        )
        return _refusal_of_message(session, error, transaction)
    return None


def _log_accepted(
    session: SmtpSession,
    transaction: Transaction,
    message: NewMessage,
    kept: Accepted,
    size_octets: int,
) -> None:
    session.log.info(
        "{ingest} {peer} accepted from {sender} to {recipients}: {size} octets,"
        " {local} local, {remote} remote{queued}",
        peer=session.peer_ip,
        ingest=transaction.message_id,
        sender=escaped(path(transaction.envelope.sender)),
        recipients=escaped(transaction.recipients_in_short),
        local=len(message.local),
        remote=len(message.remote),
        queued=f", queued as {kept.queue_id}" if kept.queue_id else "",
        size=size_octets,
    )
