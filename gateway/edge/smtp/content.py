"""DATA and BDAT: a message comes in, and its end starts the acceptance.

Owns where its octets go. What makes a message of them is in ``acceptance``; framing, sizes and bare
newlines are the core's. Binary content is made text before anything else looks at it, so that no
reader, check or next server ever meets a NUL or a lone newline.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from gateway.core.envelope import BodyKind
from gateway.core.errors import GatewayError
from gateway.core.ports.body import IncomingBody
from gateway.edge.smtp import submission
from gateway.edge.smtp.acceptance import finish
from gateway.edge.smtp.errors import reply_for
from gateway.edge.smtp.session import SmtpSession
from gateway.wire import smtp_replies as replies
from gateway.wire.mime.binary_parts import BinaryParts
from gateway.wire.smtp_commands import Bdat, Data
from gateway.wire.smtp_events import ChunkEnded, ContentEnded
from gateway.wire.smtp_replies import Reply


def data(session: SmtpSession, _: Data) -> None:
    core = session.core
    if session.faces_strangers and core.buffered:
        # Sent without waiting for 354: RFC 2920 section 3.1 makes DATA the last of a group.
        session.close_on("pipelined behind DATA", replies.TALKED_TOO_EARLY)
        return
    body = _open_body(session)
    if isinstance(body, Reply):
        core.data_refused()
        if core.buffered:
            session.close_on("no room for a body, and content sent early", body)
        else:
            session.turn_down(body)
        return
    # Binary content comes by BDAT (RFC 3030 section 3), as the core sees to.
    core.start_content(submission.entrance(session, body))
    session.send(replies.START_CONTENT.octets)


def content_ended(session: SmtpSession, event: ContentEnded) -> None:
    _note_wish(session, event)
    session.start(finish(session, event.refusal))


def bdat(session: SmtpSession, _: Bdat) -> None:
    """RFC 3030: the octets come whatever is said, so the answer is given behind them."""
    body = _open_body(session) if session.body is None else session.body
    if isinstance(body, Reply):
        session.core.refuse_chunk(body)
    else:
        session.core.start_chunk(_entrance(session, body))


def chunk_ended(session: SmtpSession, event: ChunkEnded) -> None:
    if event.last or event.refusal is not None:
        _note_wish(session, event)
        session.start(finish(session, event.refusal, last=event.last))
    else:
        session.send(replies.chunk_taken(event.octets).octets)


def _note_wish(session: SmtpSession, event: ContentEnded | ChunkEnded) -> None:
    """RFC 8689 section 5: ``TLS-Required: No`` counts unless REQUIRETLS was said."""
    if not event.tls_optional or session.transaction is None:
        return
    envelope = session.transaction.envelope
    if not envelope.options.require_tls:
        envelope.options = replace(envelope.options, tls_optional=True)


def _entrance(session: SmtpSession, body: IncomingBody) -> Callable[[bytes], None]:
    """What the octets of a chunk are written to."""
    if session.binary is not None:
        return session.binary.write  # the next chunk
    write = submission.entrance(session, body)
    transaction = session.transaction
    assert transaction is not None
    if transaction.envelope.options.body is not BodyKind.BINARY:
        return write
    session.binary = BinaryParts(write, session.limits.header_octets)
    return session.binary.write


def _open_body(session: SmtpSession) -> IncomingBody | Reply:
    """Where the message goes."""
    if not session.services.has_room():
        return replies.NO_ROOM
    try:
        session.body = body = session.services.intake.open_body()
    except GatewayError as error:
        return reply_for(error)
    return body
