"""From the AUTHORIZATION state's words to an open maildrop.

Owns the name between USER and PASS, the SASL exchange, and the step from an offer to a Visit. Never
asks anybody whether a name exists: USER is always answered +OK (SECURITY A6). Never keeps a
password.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from twisted.cred.portal import Portal

from gateway.auth import sasl
from gateway.auth.credentials import IMaildrop
from gateway.auth.sasl import PasswordOffer
from gateway.core.account import Account
from gateway.core.ports.store import MailboxStore
from gateway.edge.login import Visitor, log_in_at_door
from gateway.edge.pop3_maildrop import OpenMaildrop
from gateway.wire.pop3 import Auth, Pass, Refused, User
from gateway.wire.pop3_replies import challenge, listing, ok

Answer = bytes | PasswordOffer
"""A reply to send, or what the client offers."""


class Authorization:
    """One connection's way to an offer. Make a new one after STLS: RFC 2595 section 4 forgets."""

    def __init__(self) -> None:
        self._name: bytes | None = None
        self._exchange: sasl.Exchange | None = None

    @property
    def in_exchange(self) -> bool:
        """The next line is a SASL response, not a command."""
        return self._exchange is not None

    def handle(self, command: User | Pass | Auth) -> Answer:
        """Go on with a command. Raises: Refused."""
        match command:
            case User(name):
                self._name = name
                return ok("send the password")
            case Pass(password):
                typed, self._name = self._name, None
                if typed is None:
                    raise Refused("send USER first")
                # An impossible name or password is an offer like any other: it fails as one.
                return sasl.offer(typed, password)
            case Auth(mechanism, initial):
                self._name = None
                return self._start(mechanism, initial)

    def _start(self, mechanism: str, initial: bytes | None) -> Answer:
        if not mechanism:
            # No RFC has it, but clients older than CAPA ask this way for the list.
            return listing(ok("mechanisms follow"), (m.encode("ascii") for m in sasl.MECHANISMS))
        try:
            exchange = self._exchange = sasl.exchange(mechanism)
        except sasl.SaslUnknownMechanism:
            raise Refused("unknown authentication mechanism") from None
        return self._step(lambda: exchange.start(initial))

    def respond(self, line: bytes) -> Answer:
        """Go on with the client's response line. Raises: Refused."""
        exchange = self._exchange
        assert exchange is not None
        return self._step(lambda: exchange.respond(line))

    def _step(self, advance: Callable[[], sasl.Step]) -> Answer:
        try:
            step = advance()
        except sasl.SaslCancelled:
            # RFC 5034 section 4: a cancelled exchange is answered with -ERR.
            self._exchange = None
            raise Refused("authentication cancelled") from None
        except sasl.SaslError:
            self._exchange = None
            raise Refused("malformed response") from None
        if isinstance(step, PasswordOffer):
            self._exchange = None
            return step
        return challenge(step.line)


@dataclass(slots=True)
class Visit:
    """A login with its locked maildrop; ``leave`` is owed, and may be called again."""

    account: Account
    maildrop: OpenMaildrop
    _logout: Callable[[], None] | None = field(repr=False)

    def leave(self) -> None:
        """Let the next session in and log out."""
        self.maildrop.release()
        logout, self._logout = self._logout, None
        if logout is not None:
            logout()


async def enter(
    visitor: Visitor, portal: Portal, offer: PasswordOffer, failed_login_s: float
) -> Visit:
    """Log in and open the maildrop.

    Raises:
        WrongCredentials, DirectoryUnavailable: as ``log_in_at_door``.
        MaildropInUse, StoreUnavailable: as ``OpenMaildrop.open``.
    """
    logged_in = await log_in_at_door(
        visitor, portal, offer, IMaildrop, failed_login_s=failed_login_s
    )
    try:
        account: Account = logged_in.avatar.account
        store: MailboxStore = logged_in.avatar.store
        maildrop = await OpenMaildrop.open(store, account.account_id)
    except BaseException:  # also when the client goes away meanwhile
        logged_in.logout()
        raise
    return Visit(account, maildrop, logged_in.logout)
