"""The twisted.cred checker over the directory port.

Owns the hand-over of credentials to the directory; which credentials interface a checker serves is
twisted.cred's way to add others (tokens, certificates) beside it. Never decides itself.
"""

from __future__ import annotations

from twisted.cred.checkers import ICredentialsChecker
from twisted.internet.defer import Deferred
from zope.interface import implementer

from gateway.auth.credentials import IPasswordLogin, PasswordLogin
from gateway.core.account import Account
from gateway.core.errors import WrongCredentials
from gateway.core.ports.directory import Directory


@implementer(ICredentialsChecker)
class DirectoryChecker:
    """Asks the directory; the avatar id is the Account, so that nobody looks it up twice."""

    credentialInterfaces = (IPasswordLogin,)

    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    def requestAvatarId(self, credentials: PasswordLogin) -> Deferred[Account]:
        return Deferred.fromCoroutine(self._account(credentials))

    async def _account(self, credentials: PasswordLogin) -> Account:
        account = await self._directory.authenticate(credentials.login, credentials.password)
        if not account.enabled:
            # The port promises it already; a directory that forgets must not open the door.
            raise WrongCredentials
        return account
