"""The twisted.cred checkers: one for each kind of proof, all over the directory port.

Owns what each kind must show before somebody is let in; which credentials interface a checker
serves is twisted.cred's way to put them beside each other. The avatar id is the Account, so that
nobody looks it up twice. Never tells why somebody is refused: that is for the log (SECURITY A6).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from cryptography import x509
from twisted.cred.checkers import ICredentialsChecker
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from zope.interface import implementer

from gateway.auth.app_passwords import AppPasswords
from gateway.auth.credentials import (
    CertificateLogin,
    ICertificateLogin,
    IPasswordLogin,
    IProofLogin,
    ITokenLogin,
    PasswordLogin,
    ProofLogin,
    TokenLogin,
)
from gateway.auth.passwords import PasswordDesk
from gateway.auth.tokens import TokenIssuer
from gateway.core.account import Account
from gateway.core.app_passwords import Place, text_in
from gateway.core.errors import WrongCredentials
from gateway.core.log_text import escaped, shown

_log = Logger()


class FindsPeople(Protocol):
    """What is needed of a directory for tokens; see ``core.ports.directory``."""

    async def find(self, login_or_address: str) -> Account | None: ...


class FindsOwners(Protocol):
    """What is needed of it for certificates."""

    async def find_by_certificate(self, name: str) -> Account | None: ...


@implementer(ICredentialsChecker)
class DeskChecker:
    """Asks the desk about a password."""

    credentialInterfaces = (IPasswordLogin,)

    def __init__(self, desk: PasswordDesk) -> None:
        self._desk = desk

    def requestAvatarId(self, credentials: PasswordLogin) -> Deferred[Account]:
        return Deferred.fromCoroutine(self._desk.account(credentials))


class PasswordChecker(Protocol):
    """The checker of passwords that are no app passwords."""

    def requestAvatarId(self, credentials: PasswordLogin) -> Deferred[Account]: ...


@implementer(ICredentialsChecker)
class AppPasswordChecker:
    """Stands before the directory: what has the form of an app password never comes to it."""

    credentialInterfaces = (IPasswordLogin,)

    def __init__(self, app_passwords: AppPasswords, others: PasswordChecker) -> None:
        self._app_passwords = app_passwords
        self._others = others

    def requestAvatarId(self, credentials: PasswordLogin) -> Deferred[Account]:
        return Deferred.fromCoroutine(self._account(credentials))

    async def _account(self, credentials: PasswordLogin) -> Account:
        text = text_in(credentials.password)
        place = credentials.place
        if text is not None:
            found = await self._app_passwords.log_in(credentials.login, text, place)
            account, credentials.trail.app_password = found
            return account
        if self._app_passwords.only_here(place):
            raise await self._app_passwords.another_refused(credentials.login, place)
        return await self._others.requestAvatarId(credentials)


@implementer(ICredentialsChecker)
class ProofChecker:
    """Checks what CRAM-MD5 and SCRAM have computed against the person's secret.

    Args:
        app_passwords: None: there are none.
    """

    credentialInterfaces = (IProofLogin,)

    def __init__(self, app_passwords: AppPasswords | None = None) -> None:
        self._app_passwords = app_passwords

    def requestAvatarId(self, credentials: ProofLogin) -> Deferred[Account]:
        return Deferred.fromCoroutine(self._account(credentials))

    async def _account(self, credentials: ProofLogin) -> Account:
        holds = credentials.proof.holds()  # for people without a secret as well: the same work
        account = credentials.account
        number = credentials.proof.app_password()
        if account is not None and credentials.proof.barred():
            await self._confirm(account, number, credentials.place)  # tells why, and notes it
            raise WrongCredentials
        if account is None or not holds or not account.enabled or account.locked:
            raise WrongCredentials
        if number:
            # The exchange may have begun long ago; whoever revoked it meanwhile wants it gone.
            await self._confirm(account, number, credentials.place)
            credentials.trail.app_password = number
        return account

    async def _confirm(self, account: Account, number: int, place: Place) -> None:
        assert self._app_passwords is not None, "nobody else makes verifiers with numbers"
        await self._app_passwords.confirm(account, number, place)


@implementer(ICredentialsChecker)
class TokenChecker:
    """Asks the issuer whose the token is, and the directory who that is."""

    credentialInterfaces = (ITokenLogin,)

    def __init__(self, issuer: TokenIssuer, directory: FindsPeople) -> None:
        self._issuer = issuer
        self._directory = directory

    def requestAvatarId(self, credentials: TokenLogin) -> Deferred[Account]:
        return Deferred.fromCoroutine(self._account(credentials))

    async def _account(self, credentials: TokenLogin) -> Account:
        name = await self._issuer.whose(credentials.token)
        account = await self._directory.find(name)
        if account is None or not account.enabled or account.locked:
            raise _refused(f"a good token for {shown(name)}, who is nobody here or may not log in")
        if not _is_called(account, credentials.login):
            raise _refused(f"a good token for {account.login}, used as {shown(credentials.login)}")
        return account


@implementer(ICredentialsChecker)
class CertificateChecker:
    """Asks the directory whose certificate it is.

    Args:
        names: what of a certificate names its owner, by the administrator's rule; a certificate
            without such a name is nobody's.
    """

    credentialInterfaces = (ICertificateLogin,)

    def __init__(
        self, directory: FindsOwners, names: Callable[[x509.Certificate], Sequence[str]]
    ) -> None:
        self._directory = directory
        self._names = names

    def requestAvatarId(self, credentials: CertificateLogin) -> Deferred[Account]:
        return Deferred.fromCoroutine(self._account(credentials))

    async def _account(self, credentials: CertificateLogin) -> Account:
        names = self._names(credentials.certificate)
        owners: dict[str, Account] = {}
        for name in names:
            account = await self._directory.find_by_certificate(name)
            if account is not None:
                owners[account.account_id] = account
        if len(owners) != 1:
            # None, or a certificate that could be more than one person's (SECURITY L5).
            whose = ", ".join(map(shown, names)) or "no name"
            raise _refused(f"a certificate for {whose} belongs to {len(owners)} people")
        (account,) = owners.values()
        if not account.enabled or account.locked:
            raise _refused(f"a certificate of {account.login}, who is disabled or locked")
        if not _is_called(account, credentials.login):
            raise _refused(f"a certificate of {account.login}, used as {shown(credentials.login)}")
        return account


def _is_called(account: Account, name: str) -> bool:
    """Whether a client that says so speaks of this person; one that says nothing does (A3)."""
    wanted = name.casefold()
    return not name or wanted in (
        account.login.casefold(),
        *(address.casefold() for address in account.addresses),
    )


def _refused(why: str) -> WrongCredentials:
    _log.info("login refused: {why}", why=escaped(why))
    return WrongCredentials()
