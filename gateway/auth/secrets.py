"""Secrets of people from wherever they are kept, and invented ones for everybody else.

Owns the order of the sources (app passwords stand before the directory) and the promise that
SCRAM's first answer does not tell who exists (SECURITY A6): unknown people, people without a secret
and people whose password is kept as it is get a salt made from the login with a key that outlives
restarts and is the same in all processes, so that the same question always has the same answer.

A stored verifier has the salt and the iterations it was made with: ``iterations`` and
``salt_octets`` should be as in those, or the difference tells. Deriving keys takes milliseconds and
is done in threads, for everybody alike as soon as one source keeps passwords as they are.

SCRAM has one salt for an exchange, told before anybody knows which password the client has. So all
app passwords of a person have one salt, and a proof is compared with each of them; with the
person's own password as well, where that is kept as it is or has a verifier with the same salt and
iterations.
"""

from __future__ import annotations

import hmac
import unicodedata
from collections.abc import Sequence
from functools import partial

from gateway.auth.app_passwords import AppPasswords
from gateway.auth.sasl import Found
from gateway.core.app_passwords import Place
from gateway.core.errors import DirectoryUnavailable
from gateway.core.login_secret import LoginSecret, ScramVerifier, SecretKind, scram_verifier
from gateway.core.ports.directory import SecretSource
from gateway.directory.threads import WorkerThreads

MAX_LOGIN_OCTETS = 1024


class Secrets:
    """Finds secrets for CRAM-MD5 and SCRAM.

    Args:
        sources: asked in this order; the first one that has a fitting secret is believed.
        app_passwords: None: there are none.
        key: 32 octets or more, kept for ever and never shown.
        iterations, salt_octets: of SCRAM, where we choose.
        threads: keys are derived there.
    """

    def __init__(
        self,
        sources: Sequence[SecretSource],
        *,
        key: bytes,
        iterations: int,
        salt_octets: int,
        threads: WorkerThreads,
        app_passwords: AppPasswords | None = None,
    ) -> None:
        self._sources = tuple(sources)
        self._app_passwords = app_passwords
        self._key = key
        self._iterations = iterations
        self._salt_octets = salt_octets
        self._threads = threads

    def kinds(self) -> frozenset[SecretKind]:
        """What can be told of anybody at all."""
        return self._kept_kinds() | ({SecretKind.SCRAM} if self._has_app_passwords else set())

    def common_kinds(self) -> frozenset[SecretKind]:
        """What can be told of everybody with a password."""
        common = frozenset().union(*(source.common_secret_kinds() for source in self._sources))
        # Of app passwords a hash is kept, whatever the directory keeps of its own.
        return common - {SecretKind.PASSWORD} if self._has_app_passwords else common

    @property
    def _has_app_passwords(self) -> bool:
        return self._app_passwords is not None and self._app_passwords.enabled

    def _kept_kinds(self) -> frozenset[SecretKind]:
        return frozenset().union(*(source.secret_kinds() for source in self._sources))

    async def find(self, login: str, kind: SecretKind, place: Place) -> Found:
        """The secret of this person; for SCRAM always with a verifier.

        Raises:
            DirectoryUnavailable: a source cannot say.
            StoreUnavailable: nor can the store about app passwords.
        """
        # What cannot be a login finds nobody; nothing of it has to reach a directory.
        possible = bool(login) and len(login.encode()) <= MAX_LOGIN_OCTETS
        apps = self._app_passwords if possible else None
        if kind is not SecretKind.SCRAM:
            wanted = possible and not (apps is not None and apps.only_here(place))
            return Found(await self._secret(login, kind) if wanted else None)
        made = await apps.verifiers(login, place) if apps is not None else ()
        secret = await self._own(login, place, needed=not made) if possible else None
        stored = secret.verifier if secret is not None else None
        shown = made[0][1] if made else stored or self._invented(login)
        derived: ScramVerifier | None = None
        if SecretKind.PASSWORD in self._kept_kinds():
            # Also where it is not needed: the time must not tell who has a stored verifier.
            password = secret.password if secret is not None else None
            derive = partial(scram_verifier, password or self._key, shown.salt, shown.iterations)
            derived = await self._threads.submit(derive)
        if not made:
            return Found(secret, stored or derived or shown)
        account = made[0][0]
        verifiers = [each for _, each in made]
        if secret is not None and secret.account.account_id == account.account_id:
            own = derived if secret.password is not None else stored
            if own is not None and _in_common(own) == _in_common(shown):
                verifiers.append(own)
        return Found(LoginSecret(account), verifiers[0], tuple(verifiers[1:]))

    async def _own(self, login: str, place: Place, *, needed: bool) -> LoginSecret | None:
        """What the sources keep of this person, if that is good for a login there.

        Raises: DirectoryUnavailable, if there is nothing else.
        """
        if self._app_passwords is not None and self._app_passwords.only_here(place):
            return None
        try:
            return await self._secret(login, SecretKind.SCRAM)
        except DirectoryUnavailable:
            if needed:
                raise
            return None

    async def _secret(self, login: str, kind: SecretKind) -> LoginSecret | None:
        for source in self._sources:
            secret = await source.secret(login)
            if secret is not None and secret.has(kind):
                return secret
        return None

    def _salt(self, login: str) -> bytes:
        # As directories compare logins, so that no spelling gets another salt.
        name = unicodedata.normalize("NFKC", login).casefold()
        return hmac.digest(self._key, b"salt\0" + name.encode(), "sha512")[: self._salt_octets]

    def _invented(self, login: str) -> ScramVerifier:
        """A verifier that no proof fits; ``Found.secret`` is None beside it."""
        return ScramVerifier(self._iterations, self._salt(login), bytes(32), bytes(32))


def _in_common(verifier: ScramVerifier) -> tuple[bytes, int]:
    return verifier.salt, verifier.iterations
