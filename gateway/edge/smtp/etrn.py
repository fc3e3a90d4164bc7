"""ETRN (RFC 1985): a server that was away asks for the mail that waits for it.

Owns who may ask, and the replies. Only servers in networks named for it and people who have logged
in: whoever may hurry the queue may also keep it busy, and learns whether something waits.
"""

from __future__ import annotations

from collections.abc import Mapping

from gateway.core.errors import GatewayError
from gateway.core.ports.queue import QueueStarter
from gateway.core.queue import Start
from gateway.edge.smtp.session import SmtpSession
from gateway.wire import smtp_replies as replies
from gateway.wire.smtp_commands import Etrn, Verb
from gateway.wire.smtp_replies import Reply

_OUTCOMES: Mapping[Start, Reply] = {
    Start.STARTED: replies.QUEUE_STARTED,
    Start.NOTHING_WAITS: replies.NOTHING_QUEUED,
    Start.UNKNOWN: replies.NODE_UNKNOWN,
}


def etrn(session: SmtpSession, command: Etrn) -> None:
    services = session.services
    starter = services.queue_starter
    if not session.count_idle_command():
        return
    if starter is None:
        session.turn_down(replies.NOT_IMPLEMENTED)
    elif session.client.account is None and not services.may_etrn(session.peer_ip):
        session.turn_down(replies.NODE_NOT_ALLOWED)
    else:
        session.start(_ask(session, starter, command))


async def _ask(session: SmtpSession, starter: QueueStarter, command: Etrn) -> None:
    name = f"@{command.node}" if command.subdomains else command.node
    try:
        reply = _OUTCOMES[await starter.start(name)]
    except GatewayError as error:
        await session.refuse(replies.QUEUE_NOT_STARTED, error)
        return
    if reply.code >= 400:
        await session.refuse(reply)
        return
    session.core.succeeded(Verb.ETRN)
    session.send(reply.octets)
