"""The shortest checker of passwords: it asks a directory and remembers nothing.

Owns nothing of the gateway's own way (``auth.passwords`` does); tests stand it behind a login where
only the answer counts.
"""

from __future__ import annotations

from typing import Protocol

from twisted.cred.checkers import ICredentialsChecker
from twisted.internet.defer import Deferred
from zope.interface import implementer

from gateway.auth.credentials import IPasswordLogin, PasswordLogin
from gateway.core.account import Account
from gateway.core.errors import WrongCredentials


class ChecksPasswords(Protocol):
    """What is needed of a directory; see ``core.ports.directory``."""

    async def authenticate(self, login: str, password: bytes) -> Account: ...


@implementer(ICredentialsChecker)
class DirectoryChecker:
    """Asks the directory about a password."""

    credentialInterfaces = (IPasswordLogin,)

    def __init__(self, directory: ChecksPasswords) -> None:
        self._directory = directory

    def requestAvatarId(self, credentials: PasswordLogin) -> Deferred[Account]:
        return Deferred.fromCoroutine(self._account(credentials))

    async def _account(self, credentials: PasswordLogin) -> Account:
        account = await self._directory.authenticate(credentials.login, credentials.password)
        if not account.enabled:
            raise WrongCredentials
        return account
