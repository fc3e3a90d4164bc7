"""CAPABILITY, ID, NOOP, LOGOUT, STARTTLS, LOGIN and AUTHENTICATE.

Owns who may log in when, and what they hear: before TLS ``PRIVACYREQUIRED`` (SECURITY A1), for
wrong credentials ``AUTHENTICATIONFAILED`` (where the settings allow it and the password was right,
``EXPIRED`` or ``CONTACTADMIN``), for directory trouble ``UNAVAILABLE`` (A5), and a
farewell after too many failures (A4). Never logs a password; what a client says of itself is
logged escaped and cut (A9).
"""

from __future__ import annotations

from dataclasses import replace

from twisted.logger import Logger

from gateway.auth import sasl
from gateway.auth.credentials import IMailAccount
from gateway.auth.login import LoggedIn
from gateway.core.errors import TooManyFailures, WrongCredentials
from gateway.edge.imap.errors import Reply, bad, no, ok, refused_login
from gateway.edge.imap.session import LineRefused, Session
from gateway.edge.login import Conversation, log_in_at_door, text_told
from gateway.wire.imap.commands import (
    Authenticate,
    Capability,
    Check,
    Id,
    Login,
    Logout,
    Noop,
    StartTls,
)
from gateway.wire.imap.replies import bye, challenge, id_line, untagged

MAX_LOGGED_ID = 1_024

log = Logger()


async def capability(session: Session, command: Capability) -> Reply:
    session.peer.send(untagged("CAPABILITY " + session.peer.capabilities()))
    return ok("Capabilities listed")


async def identify(session: Session, command: Id) -> Reply:
    if command.parameters:
        said = " ".join(f"{key!a}={value!a}" for key, value in command.parameters)
        log.info(
            "{id} client says it is {said}",
            id=session.peer.connection_id,
            said=said[:MAX_LOGGED_ID],
        )
    # No version: strangers may ask (RFC 2971 section 5).
    session.peer.send(id_line([("name", "mail-gateway")]))
    return ok("Pleased to meet you")


async def noop(session: Session, command: Noop | Check) -> Reply:
    """Also CHECK, as every change is durable before it is answered (RFC 3501 section 6.4.1)."""
    return ok("Done")


async def logout(session: Session, command: Logout) -> Reply:
    session.deselect()
    session.peer.send(bye("Logging out"))
    return ok("Goodbye", then=session.peer.close)


async def start_tls(session: Session, command: StartTls) -> Reply:
    peer = session.peer
    if peer.door.tls is None:
        return bad("TLS is not offered here")
    if peer.is_tls:
        return bad("TLS is in use already")
    if peer.buffered_octets:
        # Octets in clear text that want to be taken for encrypted ones (SECURITY F1a, S16).
        log.warn("{id} octets behind STARTTLS, dropped", id=peer.connection_id)
        return bad("Nothing may follow STARTTLS before the handshake", then=peer.abort)
    return ok("Begin TLS negotiation now", then=peer.start_tls)


async def login(session: Session, command: Login) -> Reply:
    if not session.peer.login_allowed:
        return _privacy_required()
    if not session.peer.passwords_allowed:
        return no("Passwords are not taken here", "CANNOT")
    # An empty or impossible login becomes "wrong credentials" below, as any other.
    return await _log_in(session, sasl.offer(command.username.encode(), command.password))


async def authenticate(session: Session, command: Authenticate) -> Reply:
    """RFC 3501 section 6.2.2 with the initial response of RFC 4959."""
    peer = session.peer
    if not peer.login_allowed:
        return _privacy_required()
    conversation = Conversation(
        peer,
        session.services.portal,
        IMailAccount,
        failed_login_s=session.services.limits.failed_login_s,
    )
    try:
        step = await conversation.begin(command.mechanism, command.initial)
        while isinstance(step, sasl.Challenge):
            peer.send(challenge(step.line))
            step = await conversation.go_on(await peer.next_line(sasl.MAX_LINE_OCTETS))
    except WrongCredentials as error:
        return _wrong_credentials(session, error)
    except TooManyFailures as error:
        return _go_away(session, error)
    except sasl.SaslUnknownMechanism:
        return no("This mechanism is not offered", "CANNOT")
    except sasl.SaslCancelled:
        return bad("Authentication cancelled")
    except sasl.SaslMalformed:
        return bad("The response is not base64")
    except LineRefused as refused:
        return bad(str(refused))
    return _logged_in(session, step)


def _privacy_required() -> Reply:
    return no("Start TLS first: passwords are not taken in clear text", "PRIVACYREQUIRED")


async def _log_in(session: Session, offer: sasl.PasswordOffer) -> Reply:
    peer = session.peer
    try:
        done = await log_in_at_door(
            peer,
            session.services.portal,
            offer,
            IMailAccount,
            failed_login_s=session.services.limits.failed_login_s,
        )
    except WrongCredentials as error:
        return _wrong_credentials(session, error)
    except TooManyFailures as error:
        return _go_away(session, error)
    return _logged_in(session, done)


def _wrong_credentials(session: Session, error: WrongCredentials) -> Reply:
    peer = session.peer
    session.failed_logins += 1
    reply = refused_login(error, text_told(error))
    if session.failed_logins < session.services.limits.failed_logins:
        return reply
    return replace(reply, then=lambda: peer.close(bye("Too many failed logins")))


def _go_away(session: Session, error: TooManyFailures) -> Reply:
    peer = session.peer
    return no(
        "Try again later",
        "UNAVAILABLE",
        then=lambda: peer.close(bye(error.safe_text.capitalize())),
    )


def _logged_in(session: Session, done: LoggedIn) -> Reply:
    peer = session.peer
    session.begin(done)
    peer.logged_in()
    return ok("Logged in", f"CAPABILITY {peer.capabilities()}")
