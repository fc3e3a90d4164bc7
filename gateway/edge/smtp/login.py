"""Who has logged in on an SMTP connection, and whether they may now, and as whom they send.

Owns the SASL conversation in progress, the count of failures and the one logout that each login is
owed. Never sends: the door turns results and errors into replies. Never keeps a password.
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from twisted.cred.portal import Portal

from gateway.auth.avatars import Submitter
from gateway.auth.credentials import ISubmission
from gateway.auth.login import LoggedIn
from gateway.auth.sasl import Challenge
from gateway.core.account import Account
from gateway.core.errors import WrongCredentials
from gateway.edge.login import Conversation, Visitor, mechanisms
from gateway.wire.smtp_commands import Auth
from gateway.wire.smtp_replies import (
    LOGGED_IN_ALREADY,
    NOT_IMPLEMENTED,
    TLS_FIRST,
    Reply,
)

Step = Coroutine[Any, Any, Challenge | LoggedIn]


class SmtpLogin:
    """The login of one connection."""

    __slots__ = (
        "_conversation", "_logged_in", "_offered", "_portal", "failed_logins",
    )  # fmt: skip

    def __init__(self, portal: Portal, *, offered: bool) -> None:
        self._offered = offered
        self._portal = portal
        self._conversation: Conversation | None = None
        self._logged_in: LoggedIn | None = None
        self.failed_logins = 0

    @property
    def account(self) -> Account | None:
        """The person, once logged in."""
        if self._logged_in is None:
            return None
        account: Account = self._logged_in.avatar.account
        return account

    # -- may they

    def mechanisms(self, visitor: Visitor, *, login_allowed: bool) -> tuple[str, ...]:
        """What EHLO shows: nothing where a password could be overheard (SECURITY A1)."""
        if self.objection(login_allowed=login_allowed) is not None:
            return ()
        return mechanisms(visitor)

    def objection(self, *, login_allowed: bool) -> Reply | None:
        """Why AUTH is not possible now; ``login_allowed`` is the connection's."""
        if not self._offered:
            return NOT_IMPLEMENTED
        if self._logged_in is not None:
            return LOGGED_IN_ALREADY  # RFC 4954 section 4
        return None if login_allowed else TLS_FIRST

    # -- the exchange

    def begin(self, visitor: Visitor, command: Auth, failed_login_s: float) -> Step:
        """Start an exchange; awaiting it gives the next challenge, or None once logged in.

        Raises (when awaited):
            SaslError: the exchange is over, without an offer.
            WrongCredentials: counted as a failure, and told late.
            DirectoryUnavailable, StoreUnavailable: no verdict.
        """
        conversation = Conversation(
            visitor, self._portal, ISubmission, failed_login_s=failed_login_s
        )
        self._conversation = conversation
        return conversation.begin(command.mechanism, command.initial)

    def go_on(self, line: bytes) -> Step:
        """Go on with the client's line. Raises (when awaited): as ``begin``."""
        assert self._conversation is not None
        return self._conversation.go_on(line)

    async def taken(self, step: Step) -> Challenge | None:
        """What a step comes to: a challenge, or None when the person is logged in."""
        outcome: Challenge | LoggedIn | None = None
        try:
            outcome = await step
        except WrongCredentials:
            self.failed_logins += 1
            raise
        finally:
            if not isinstance(outcome, Challenge):
                self._conversation = None
        if isinstance(outcome, Challenge):
            return outcome
        self._logged_in = outcome
        return None

    def vouch(self, account: Account) -> None:
        """Somebody we believe says who it is (XCLIENT)."""
        self._logged_in = LoggedIn(Submitter(account), _nothing)

    def drop_exchange(self) -> None:
        """The exchange cannot go on, its line was too long."""
        self._conversation = None

    def forget(self) -> None:
        """Log out, drop an exchange in progress."""
        self._conversation = None
        logged_in, self._logged_in = self._logged_in, None
        if logged_in is not None:
            logged_in.logout()


def _nothing() -> None:
    """The logout of somebody who has not logged in with us."""
