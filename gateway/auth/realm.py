"""The twisted.cred realm: an account and an interface make an avatar.

Owns the choice of the avatar and the promise that whoever reads mail has their default mailboxes.
Never checks a password; the account comes from ``checkers``.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from twisted.cred.portal import IRealm
from twisted.internet.defer import Deferred
from zope.interface import implementer

from gateway.auth.avatars import MailAccount, Maildrop, Submitter
from gateway.auth.credentials import IMailAccount, IMaildrop, ISubmission
from gateway.core.account import Account
from gateway.core.ports.sharing import SharesMailboxes
from gateway.core.ports.store import MailboxStore

Learn = Callable[[Account], Coroutine[Deferred[Any], Any, None]]
Avatar = tuple[Any, Submitter | Maildrop | MailAccount, Callable[[], None]]


@implementer(IRealm)
class MailRealm:
    """Avatars for submission, POP3 and IMAP.

    Args:
        learn: hears of everybody who is about to use their mailboxes.
        shares: mailboxes that people of IMAP may open beside their own.
    """

    def __init__(
        self,
        store: MailboxStore,
        learn: Learn | None = None,
        shares: SharesMailboxes | None = None,
    ) -> None:
        self._store = store
        self._learn = learn
        self._shares = shares

    def requestAvatar(self, avatarId: Account, mind: object, *interfaces: Any) -> Deferred[Avatar]:
        return Deferred.fromCoroutine(self._avatar(avatarId, interfaces))

    async def _avatar(self, account: Account, interfaces: tuple[Any, ...]) -> Avatar:
        for interface in interfaces:
            if interface is ISubmission:
                return interface, Submitter(account), _log_out
            if interface is IMaildrop:
                await self._prepare(account)
                return interface, Maildrop(account, self._store), _log_out
            if interface is IMailAccount:
                await self._prepare(account)
                return interface, MailAccount(account, self._store, self._shares), _log_out
        raise NotImplementedError(f"no avatar for {interfaces!r}")

    async def _prepare(self, account: Account) -> None:
        if self._learn is not None:
            await self._learn(account)
        await self._store.ensure_account(account.account_id)


def _log_out() -> None:
    """Avatars hold nothing that must be released; sessions release their own locks."""
