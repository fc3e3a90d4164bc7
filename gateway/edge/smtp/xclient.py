"""XCLIENT (Postfix's XCLIENT_README): a trusted proxy says who its client is.

Owns who may say so and what becomes of the session: as in Postfix, it begins anew, with a greeting,
as if the client had connected itself. Everything that was known of the one before is forgotten,
a login first of all; only a login that this very command names counts from then on. TLS is between
the proxy and us and stays what it is.

The proxy is known by the address of its socket, whatever XCLIENT said before.
"""

from __future__ import annotations

from dataclasses import replace

from gateway.core.account import Account
from gateway.core.errors import GatewayError
from gateway.core.log_text import escaped
from gateway.edge.smtp.errors import login_reply_for
from gateway.edge.smtp.session import SmtpSession
from gateway.policy.facts import Client
from gateway.wire import smtp_replies as replies
from gateway.wire.smtp_commands import Verb, Xclient


def xclient(session: SmtpSession, command: Xclient) -> None:
    if not session.count_idle_command():
        return
    if not session.is_proxy:
        session.turn_down(replies.NOT_A_PROXY)
    elif session.core.buffered:
        # What follows was written before it was known whose it is, and so is nobody's.
        session.close_on("pipelined behind XCLIENT", replies.TALKED_TOO_EARLY)
    else:
        session.start(_become(session, command))


async def _become(session: SmtpSession, command: Xclient) -> None:
    account: Account | None = None
    find_person = session.services.find_person
    if command.login:
        try:
            account = None if find_person is None else await find_person(command.login)
        except GatewayError as error:
            await session.refuse(login_reply_for(error), error)
            return
        if account is None or not account.enabled:
            await session.refuse(replies.PROXY_NAMES_NOBODY)
            return
    if session.draining:
        session.end(replies.SHUTTING_DOWN)  # it is counted out already, so to say
        return
    before = session.client
    refusal = session.become(_client(session, command))
    session.log.info(
        "{id} {before} speaks for {peer}: {said}",
        id=session.connection_id,
        before=before.peer_ip,
        peer=session.peer_ip,
        said=escaped(command),
    )
    if refusal:
        session.end(replies.too_many_connections(refusal))
        return
    if account is not None:
        session.sasl.vouch(account)
        session.login = account.login
        session.client.account = account
    session.core.succeeded(Verb.XCLIENT)
    session.judge_client()


def _client(session: SmtpSession, command: Xclient) -> Client:
    """The new one: what the command says, else what was known, but never a login."""
    old = session.client
    return replace(
        old,
        peer_ip=command.address or session.peer_ip,
        hello=old.hello if command.hello is None else command.hello,
        host_name=old.host_name if command.name is None else command.name,
        account=None,
        may_relay=False,
    )
