"""From the AUTHORIZATION state's words to an open maildrop.

Owns the name between USER and PASS, the SASL conversation, and the step from a login to a Visit.
Never asks anybody whether a name exists: USER is always answered +OK (SECURITY A6). Never keeps a
password.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from twisted.cred.portal import Portal

from gateway.auth import sasl
from gateway.auth.credentials import IMaildrop
from gateway.auth.login import LoggedIn
from gateway.auth.sasl import Challenge
from gateway.core.account import Account
from gateway.core.ports.store import MailboxStore
from gateway.edge.login import Conversation, Visitor, log_in_at_door, mechanisms
from gateway.edge.pop3_maildrop import OpenMaildrop
from gateway.wire.pop3 import Auth, Pass, Refused, User
from gateway.wire.pop3_replies import challenge, listing, ok

Answer = bytes | LoggedIn
"""A reply to send, or a login that worked."""


class Authorization:
    """One connection's way to a login. Make a new one after STLS: RFC 2595 section 4 forgets."""

    def __init__(self) -> None:
        self._name: bytes | None = None
        self._conversation: Conversation | None = None

    @property
    def in_exchange(self) -> bool:
        """The next line is a SASL response, not a command."""
        return self._conversation is not None

    async def handle(
        self, command: User | Pass | Auth, visitor: Visitor, portal: Portal, failed_login_s: float
    ) -> Answer:
        """Go on with a command.

        Raises:
            Refused: the command is of no use here and now.
            WrongCredentials, DirectoryUnavailable, StoreUnavailable: as ``log_in_at_door``.
        """
        match command:
            case User(name):
                self._name = name
                return ok("send the password")
            case Pass(password):
                typed, self._name = self._name, None
                if typed is None:
                    raise Refused("send USER first")
                # An impossible name or password is an offer like any other: it fails as one.
                return await log_in_at_door(
                    visitor,
                    portal,
                    sasl.offer(typed, password),
                    IMaildrop,
                    failed_login_s=failed_login_s,
                )
            case Auth(mechanism, initial):
                self._name = None
                if not mechanism:
                    # No RFC has it, but clients older than CAPA ask this way for the list.
                    names = (name.encode("ascii") for name in mechanisms(visitor))
                    return listing(ok("mechanisms follow"), names)
                conversation = Conversation(
                    visitor, portal, IMaildrop, failed_login_s=failed_login_s
                )
                return await self._step(conversation, conversation.begin(mechanism, initial))

    async def respond(self, line: bytes) -> Answer:
        """Go on with the client's response line. Raises: as ``handle``."""
        conversation, self._conversation = self._conversation, None
        assert conversation is not None
        return await self._step(conversation, conversation.go_on(line))

    async def _step(
        self, conversation: Conversation, step: Coroutine[Any, Any, Challenge | LoggedIn]
    ) -> Answer:
        try:
            outcome = await step
        except sasl.SaslUnknownMechanism:
            raise Refused("unknown authentication mechanism") from None
        except sasl.SaslCancelled:
            # RFC 5034 section 4: a cancelled exchange is answered with -ERR.
            raise Refused("authentication cancelled") from None
        except sasl.SaslError:
            raise Refused("malformed response") from None
        if isinstance(outcome, Challenge):
            self._conversation = conversation
            return challenge(outcome.line)
        return outcome


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


async def enter(logged_in: LoggedIn) -> Visit:
    """Open the maildrop of somebody who has logged in; when it fails, they are logged out.

    Raises:
        MaildropInUse, StoreUnavailable: as ``OpenMaildrop.open``.
    """
    try:
        account: Account = logged_in.avatar.account
        store: MailboxStore = logged_in.avatar.store
        maildrop = await OpenMaildrop.open(store, account.account_id)
    except BaseException:  # also when the client goes away meanwhile
        logged_in.logout()
        raise
    return Visit(account, maildrop, logged_in.logout)
