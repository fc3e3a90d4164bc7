"""AUTH (RFC 4954): the exchange as it goes over the wire, and what a success makes of the session.

Owns the replies. Who may log in when, and the state of the exchange, are in ``login``.
"""

from __future__ import annotations

from gateway.auth.sasl import SaslError
from gateway.core.errors import GatewayError, TooManyFailures
from gateway.edge.smtp.errors import login_reply_for, sasl_reply_for
from gateway.edge.smtp.login import Step
from gateway.edge.smtp.session import SmtpSession
from gateway.wire import smtp_replies as replies
from gateway.wire.smtp_commands import Auth, Verb
from gateway.wire.smtp_events import AuthResponse
from gateway.wire.smtp_replies import Reply


def auth(session: SmtpSession, command: Auth) -> None:
    if not session.count_idle_command():
        return
    objection = session.sasl.objection(login_allowed=session.login_allowed)
    if objection is not None:
        session.turn_down(objection)
        return
    step = session.sasl.begin(session, command, session.limits.failed_login_s)
    session.start(_take(session, step))


def auth_response(session: SmtpSession, event: AuthResponse) -> None:
    session.core.expect_auth_response(False)
    session.start(_take(session, session.sasl.go_on(event.line)))


async def _take(session: SmtpSession, step: Step) -> None:
    """One step of the exchange, to its reply."""
    sasl = session.sasl
    try:
        challenge = await sasl.taken(step)
    except SaslError as error:
        await session.refuse(sasl_reply_for(error))
        return
    except TooManyFailures as error:
        session.end(Reply(421, "4.7.0", error.safe_text))
        return
    except GatewayError as error:
        await session.refuse(login_reply_for(error))
        if sasl.failed_logins >= session.limits.failed_logins:
            session.close_on("too many failed logins", replies.TOO_MANY_LOGINS)
        return
    if challenge is not None:
        session.core.expect_auth_response(True)
        session.send(b"334 %b\r\n" % challenge.line)
        return
    account = sasl.account
    assert account is not None
    session.login = account.login
    session.client.account = account
    session.core.succeeded(Verb.AUTH)
    session.send(replies.LOGGED_IN.octets)
