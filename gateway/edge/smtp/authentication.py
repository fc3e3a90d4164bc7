"""AUTH (RFC 4954): the exchange as it goes over the wire, and what a success makes of the session.

Owns the replies. Who may log in when, and the state of the exchange, are in ``login``.
"""

from __future__ import annotations

from collections.abc import Callable

from gateway.auth.sasl import Challenge, PasswordOffer, SaslError, Step
from gateway.core.errors import GatewayError
from gateway.edge.smtp.errors import login_reply_for, sasl_reply_for
from gateway.edge.smtp.session import SmtpSession
from gateway.wire import smtp_replies as replies
from gateway.wire.smtp_commands import Auth, Verb
from gateway.wire.smtp_server import AuthResponse


def auth(session: SmtpSession, command: Auth) -> None:
    objection = session.sasl.objection(login_allowed=session.login_allowed)
    if objection is not None:
        session.turn_down(objection)
        return
    _exchange(session, lambda: session.sasl.start(command))


def auth_response(session: SmtpSession, event: AuthResponse) -> None:
    session.core.expect_auth_response(False)
    _exchange(session, lambda: session.sasl.respond(event.line))


def _exchange(session: SmtpSession, advance: Callable[[], Step]) -> None:
    try:
        step = advance()
    except SaslError as error:
        session.turn_down(sasl_reply_for(error))
        return
    if isinstance(step, Challenge):
        session.core.expect_auth_response(True)
        session.send(b"334 %b\r\n" % step.line)
    else:
        session.start(_log_in(session, step))


async def _log_in(session: SmtpSession, offer: PasswordOffer) -> None:
    limits = session.limits
    try:
        account = await session.sasl.finish(session, offer, limits.failed_login_s)
    except GatewayError as error:
        await session.refuse(login_reply_for(error))
        if session.sasl.failed_logins >= limits.failed_logins:
            session.close_on("too many failed logins", replies.TOO_MANY_LOGINS)
        return
    session.login = account.login
    session.client.account = account
    session.core.succeeded(Verb.AUTH)
    session.send(replies.LOGGED_IN.octets)
