"""Who has logged in on a submission connection, and whether they may now, and as whom they send.

Owns the SASL exchange in progress, the count of failures and the one logout that each login is
owed. Never sends: the door turns results and errors into replies. Never keeps a password.
"""

from __future__ import annotations

from twisted.cred.portal import Portal

from gateway.auth.credentials import ISubmission
from gateway.auth.login import LoggedIn
from gateway.auth.sasl import MECHANISMS, Exchange, PasswordOffer, SaslError, Step, exchange
from gateway.core.account import Account
from gateway.core.address import Address
from gateway.core.errors import WrongCredentials
from gateway.edge.login import Visitor, log_in_at_door
from gateway.wire.smtp_commands import Auth
from gateway.wire.smtp_replies import (
    LOGGED_IN_ALREADY,
    NOT_IMPLEMENTED,
    TLS_FIRST,
    Reply,
)


class SmtpLogin:
    """The login of one connection."""

    __slots__ = ("_addresses", "_exchange", "_logged_in", "_offered", "_portal", "failed_logins")

    def __init__(self, portal: Portal, *, offered: bool) -> None:
        self._offered = offered
        self._portal = portal
        self._exchange: Exchange | None = None
        self._logged_in: LoggedIn | None = None
        self._addresses: frozenset[str] = frozenset()
        self.failed_logins = 0

    @property
    def account(self) -> Account | None:
        """The person, once logged in."""
        if self._logged_in is None:
            return None
        account: Account = self._logged_in.avatar.account
        return account

    # -- may they

    def mechanisms(self, *, login_allowed: bool) -> tuple[str, ...]:
        """What EHLO shows: nothing where a password could be overheard (SECURITY A1)."""
        return MECHANISMS if self.objection(login_allowed=login_allowed) is None else ()

    def objection(self, *, login_allowed: bool) -> Reply | None:
        """Why AUTH is not possible now; ``login_allowed`` is the connection's."""
        if not self._offered:
            return NOT_IMPLEMENTED
        if self._logged_in is not None:
            return LOGGED_IN_ALREADY  # RFC 4954 section 4
        return None if login_allowed else TLS_FIRST

    def lists(self, sender: Address | None) -> bool:
        """Whether the person's own entry has this address; everybody may be the null sender."""
        return sender is None or sender.key in self._addresses

    # -- the exchange

    def start(self, command: Auth) -> Step:
        """Begin an exchange. Raises: SaslError."""
        self._exchange = exchange(command.mechanism)
        return self._continue(self._exchange.start(command.initial))

    def respond(self, line: bytes) -> Step:
        """Go on with the exchange. Raises: SaslError."""
        assert self._exchange is not None
        try:
            return self._continue(self._exchange.respond(line))
        except SaslError:
            self._exchange = None
            raise

    def _continue(self, step: Step) -> Step:
        if isinstance(step, PasswordOffer):
            self._exchange = None
        return step

    async def finish(
        self, visitor: Visitor, offer: PasswordOffer, failed_login_s: float
    ) -> Account:
        """Check the offer.

        Raises:
            WrongCredentials: counted as a failure, and told late.
            DirectoryUnavailable, StoreUnavailable: no verdict.
        """
        try:
            logged_in = await log_in_at_door(
                visitor, self._portal, offer, ISubmission, failed_login_s=failed_login_s
            )
        except WrongCredentials:
            self.failed_logins += 1
            raise
        self._logged_in = logged_in
        account: Account = logged_in.avatar.account
        self._addresses = frozenset(address.casefold() for address in account.addresses)
        return account

    def drop_exchange(self) -> None:
        """The exchange cannot go on, its line was too long."""
        self._exchange = None

    def forget(self) -> None:
        """Log out, drop an exchange in progress."""
        self._exchange = None
        self._addresses = frozenset()
        logged_in, self._logged_in = self._logged_in, None
        if logged_in is not None:
            logged_in.logout()
