"""EHLO, HELO, STARTTLS and the commands that change nothing.

Owns what is answered to a client that names itself, and what TLS makes the session forget
(RFC 3207 section 4.2).
"""

from __future__ import annotations

from collections.abc import Mapping

from gateway.edge.smtp.errors import verdict_reply_for
from gateway.edge.smtp.session import Question, SmtpSession, settled
from gateway.policy.verdicts import Stage
from gateway.wire import smtp_replies as replies
from gateway.wire.smtp_commands import Ehlo, Simple, Verb
from gateway.wire.smtp_replies import Reply


def simple(session: SmtpSession, command: Simple) -> None:
    match command.verb:
        case Verb.STARTTLS:
            _start_tls(session)
        case Verb.QUIT:
            session.close(replies.GOODBYE.octets)
        case verb:
            if session.count_idle_command():
                if verb is Verb.RSET:
                    session.reset()
                session.core.succeeded(verb)
                reply = session.core.offered.help if verb is Verb.HELP else _FIXED[verb]
                session.send(reply.octets)


def hello(session: SmtpSession, command: Ehlo) -> None:
    if not session.count_idle_command():
        return
    if session.faces_strangers and session.core.buffered:
        # RFC 2920 section 3.1: EHLO is the last of a group (SECURITY S21).
        session.close_on("pipelined behind EHLO", replies.TALKED_TOO_EARLY)
        return
    session.reset()
    session.client.hello = command.host
    answer = session.visit.greeted()
    if answer is None:
        _answer(session, command)
    else:
        session.start(_judge(session, command, answer))


async def _judge(session: SmtpSession, command: Ehlo, answer: Question) -> None:
    verdict = await settled(answer)
    if verdict is None:
        _answer(session, command)
    else:
        await session.refuse(verdict_reply_for(Stage.HELLO, verdict), verdict.reason)


def _answer(session: SmtpSession, command: Ehlo) -> None:
    session.update_offer()
    session.core.succeeded(command.verb)
    if command.verb is Verb.HELO:
        session.send(f"250 {session.door.hostname}\r\n".encode("ascii"))
    else:
        session.send(session.core.offered.ehlo)


def _start_tls(session: SmtpSession) -> None:
    if session.core.buffered:
        # CVE-2011-0411: never run in TLS what came in clear (SECURITY S16).
        session.log.warn(
            "{id} {peer} dropped: octets behind STARTTLS",
            id=session.connection_id,
            peer=session.peer_ip,
        )
        session.abort()
    else:
        session.send(replies.READY_FOR_TLS.octets)
        session.reset()
        session.sasl.forget()
        session.login = session.client.hello = ""
        session.client.account = None
        session.core.start_tls()
        session.start_tls()


_FIXED: Mapping[Verb, Reply] = {
    Verb.RSET: replies.OK,
    Verb.NOOP: replies.OK,
    Verb.VRFY: replies.CANNOT_VERIFY,
}
