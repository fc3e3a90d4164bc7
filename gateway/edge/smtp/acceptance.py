"""The whole message is there: weighed, judged, handed to the store, and answered.

Invariants: a 2xx is sent only when the store has promised (SECURITY D1); whatever is answered, the
transaction is over (S4). LMTP gives each recipient an answer (RFC 2033 section 4.2): a full mailbox
keeps nobody else's mail away, while what is wrong with the message or the store is for all.
"""

from __future__ import annotations

from dataclasses import replace

from twisted.internet.defer import CancelledError

from gateway.core.envelope import BodyKind, Hold
from gateway.core.errors import GatewayError, OverQuota
from gateway.core.log_text import escaped
from gateway.core.messages import Accepted, NewMessage
from gateway.core.ports.body import IncomingBody
from gateway.core.submissions import Submission
from gateway.edge.smtp import submission
from gateway.edge.smtp.errors import reply_for, verdict_reply_for
from gateway.edge.smtp.forwarding import refusal_of_loop
from gateway.edge.smtp.recipients import refusal_of_recipient
from gateway.edge.smtp.session import SmtpSession, settled
from gateway.edge.smtp.trace_header import date_time, policy_field, protocol_name, received
from gateway.edge.smtp.transaction import Transaction
from gateway.policy.person_limits import Room
from gateway.policy.quota import QuotaPolicy
from gateway.policy.verdicts import Stage
from gateway.wire import smtp_replies as replies
from gateway.wire.message_id import LOOKED_AT, message_id_in, solicitation_in
from gateway.wire.smtp_replies import Reply

FULL = OverQuota()
_log = SmtpSession.log
"""The session's; asked of a session, each time a new one is made."""


async def finish(session: SmtpSession, refusal: Reply | None, *, last: bool = True) -> None:
    """All octets have come: hand the message to the store and answer.

    Args:
        refusal: why it cannot be accepted whatever it holds.
        last: False: refused with a chunk behind which others would have come.
    """
    transaction, body = session.transaction, session.body
    assert transaction is not None
    # RFC 2033 section 4.2: an answer for each RCPT that was accepted.
    session.answers = answers = transaction.accepted if last and session.is_lmtp else 1
    why = ""
    if refusal is None:
        assert body is not None
        refusal = _made_text(session, transaction)
        if refusal is None and session.outgoing is not None:
            refusal = await submission.judged(session, transaction)
        if refusal is None and session.services.quota is not None:
            refusal = await _over_quota(
                session, session.services.quota, transaction, body.size_octets
            )
        if refusal is None and transaction.leads_outside:
            refusal = await refusal_of_loop(session, transaction, body)
        if refusal is None and session.services.offer.no_soliciting:
            refusal = await _unwanted(session, body)
        answer = None if refusal is not None else session.visit.content(body)
        verdict = None if answer is None else await settled(answer)
        if verdict is not None:
            refusal, why = verdict_reply_for(Stage.CONTENT, verdict), verdict.reason
    room: Room | None = None
    if refusal is None and session.client.account is not None:
        place = await submission.place(session, transaction)
        if isinstance(place, Reply):
            refusal = place
        else:
            room = place
    if refusal is not None:
        await session.refuse(refusal, why, times=answers)
        session.answers = 1
        session.reset()
        return
    assert body is not None
    message_id = await _message_id(session, body)
    size_octets = body.size_octets
    message = _message(session, transaction, body, message_id, room)
    # From here on the store owns the body: a connection lost now must not discard it.
    session.body = None
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
        reply = _refusal_of_message(session, error, transaction)
        await session.refuse(reply, error, times=answers)
        session.answers = 1
        session.reset()
        return
    session.reset()
    session.forgive()
    held = kept.held
    if room is not None and message.hold is room.hold:  # and no quarantine, which nobody is told
        held = room.hold or kept.held
    _promise(session, transaction, held)
    session.answers = 0
    _log_accepted(session, transaction, message, kept, size_octets)
    if held is not None:
        submission.tell(session, transaction.message_id, held)
    session.answers = 1


def _made_text(session: SmtpSession, transaction: Transaction) -> Reply | None:
    """All of a binary message is there: it is text from now on, or why it cannot be."""
    binary = session.binary
    if binary is None:
        return None
    binary.end()
    if binary.problem is not None:
        return replies.not_convertible(binary.problem.text, signed=binary.problem.signed)
    envelope = transaction.envelope
    envelope.options = replace(envelope.options, body=BodyKind.EIGHT_BIT)
    return None


async def _unwanted(session: SmtpSession, body: IncomingBody) -> Reply | None:
    """The same for a message as for MAIL (RFC 3865 section 2.5)."""
    try:
        said = solicitation_in(await body.read(0, LOOKED_AT))
    except GatewayError as error:
        return reply_for(error)
    unwanted = session.services.offer.no_soliciting
    return replies.UNWANTED_SOLICITATION if any(each in unwanted for each in said) else None


def _promise(session: SmtpSession, transaction: Transaction, held: Hold | None) -> None:
    """Answer for a message that is safe; ``held``: by its sender's limits, who is told so."""
    if held is not None:
        until = None if held.until is None else date_time(held.until)
        reply = replies.accepted_and_held(transaction.message_id, held.reason, until).octets
    elif transaction.is_lowered:
        reply = replies.accepted_with_priority(
            transaction.message_id, transaction.envelope.options.priority
        ).octets
    else:
        reply = replies.accepted(transaction.message_id)
    if not session.is_lmtp:
        session.send(reply)
        return
    full = refusal_of_recipient(session.services.quota, FULL).with_id(transaction.message_id)
    for recipient in transaction.envelope.recipients:
        session.send(full if transaction.is_left_out(recipient) else reply)


async def _message_id(session: SmtpSession, body: IncomingBody) -> str:
    """For the trace; a disk in trouble says so when the message is accepted."""
    if session.services.trace is None:
        return ""
    if session.outgoing is not None and session.outgoing.message_id:
        return session.outgoing.message_id
    try:
        return message_id_in(await body.read(0, LOOKED_AT))
    except GatewayError:
        return ""


def _message(
    session: SmtpSession,
    transaction: Transaction,
    body: IncomingBody,
    message_id: str,
    room: Room | None,
) -> NewMessage:
    services = session.services
    now = services.wall_clock()
    quota = services.quota
    return transaction.message(
        trace_header=policy_field(session.visit.tags)
        + received(
            host=session.client.hello,
            peer_ip=session.peer_ip,
            hostname=session.door.hostname,
            protocol=protocol_name(
                esmtp=session.core.esmtp,
                tls=session.is_tls,
                authenticated=session.client.account is not None,
                lmtp=session.is_lmtp,
                utf8=transaction.envelope.options.smtputf8,
            ),
            ingest_id=transaction.message_id,
            recipient=transaction.only_recipient,
            at=now,
            login=submission.shown_login(session),
            priority=transaction.envelope.options.priority,
        )
        + (b"" if session.outgoing is None else session.outgoing.added),
        body=body,
        received_at=int(now),
        # In LMTP who has no room was left out a moment ago.
        may_exceed_quota=quota is not None and (quota.promises or session.is_lmtp),
        hold=_hold(session, transaction, room, now),
        submission=None if room is None else _counted(session, room),
        trace=session.journal.accepted(
            transaction, session.client, session.visit, body.size_octets, now, message_id
        ),
    )


def _counted(session: SmtpSession, room: Room) -> Submission:
    """How it counts. What somebody has to release is not let go by the end of an hour."""
    if session.visit.quarantine is None:
        return room.submission
    return replace(room.submission, room=None, otherwise=None)


def _hold(
    session: SmtpSession, transaction: Transaction, room: Room | None, now: float
) -> Hold | None:
    quarantine = session.visit.quarantine
    if quarantine is not None:
        return Hold(f"quarantine: {quarantine.reason}")
    if room is not None and room.hold is not None:
        return room.hold  # a later release stays the later one
    release_at = transaction.envelope.options.release_at
    if release_at is not None and release_at > now:
        return Hold("release: the sender asked for delivery later", release_at)  # RFC 4865
    return None


def _refusal_of_message(
    session: SmtpSession, error: GatewayError, transaction: Transaction
) -> Reply:
    """For good only if everybody addressed is over their quota: a 5xx would turn the message away
    from people who have room. A 4xx lets the sender try again, and ask for each at RCPT."""
    if isinstance(error, OverQuota) and not transaction.is_for_none_but(error.account_ids):
        return reply_for(error)
    return refusal_of_recipient(session.services.quota, error)


async def _over_quota(
    session: SmtpSession, quota: QuotaPolicy, transaction: Transaction, octets: int
) -> Reply | None:
    """The refusal of a message that somebody addressed has no room for; None: go on.

    People who are addressed as members of a group refuse nothing: their copies wait in the queue.
    """
    try:
        await quota.admit_message(transaction.local, octets)
    except OverQuota as error:
        full = transaction.set_aside(error.account_ids)
        if session.is_lmtp and not transaction.is_for_none_but(full):
            transaction.leave_out(full)
            full = ()
        if not full:
            return None
        session.log.info(
            "{id} {peer} message from {sender} refused: {error}",
            id=transaction.message_id,
            peer=session.peer_ip,
            sender=escaped(transaction.sender_path),
            error=escaped(error),
        )
        return _refusal_of_message(session, OverQuota(full), transaction)
    return None


def _log_accepted(
    session: SmtpSession,
    transaction: Transaction,
    message: NewMessage,
    kept: Accepted,
    size_octets: int,
) -> None:
    _log.info(
        "{ingest} {peer} accepted from {sender} to {recipients}: {size} octets,"
        " {local} local, {remote} remote{queued}",
        peer=session.peer_ip,
        ingest=transaction.message_id,
        sender=escaped(transaction.sender_path),
        recipients=escaped(transaction.recipients_in_short),
        local=len(message.local),
        remote=len(message.remote),
        queued=f", queued as {kept.queue_id}" if kept.queue_id else "",
        size=size_octets,
    )
