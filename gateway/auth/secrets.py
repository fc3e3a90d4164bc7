"""Secrets of people from wherever they are kept, and invented ones for everybody else.

Owns the order of the sources (the directory; others may stand before it) and the promise that
SCRAM's first answer does not tell who exists (SECURITY A6): unknown people, people without a secret
and people whose password is kept as it is get a salt made from the login with a key that outlives
restarts and is the same in all processes, so that the same question always has the same answer.

A stored verifier has the salt and the iterations it was made with: ``iterations`` and
``salt_octets`` should be as in those, or the difference tells. Deriving keys takes milliseconds and
is done in threads, for everybody alike as soon as one source keeps passwords as they are.
"""

from __future__ import annotations

import hmac
import unicodedata
from collections.abc import Sequence
from functools import partial

from gateway.auth.sasl import Found
from gateway.core.login_secret import LoginSecret, ScramVerifier, SecretKind, scram_verifier
from gateway.core.ports.directory import SecretSource
from gateway.directory.threads import WorkerThreads

MAX_LOGIN_OCTETS = 1024


class Secrets:
    """Finds secrets for CRAM-MD5 and SCRAM.

    Args:
        sources: asked in this order; the first one that has a fitting secret is believed.
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
    ) -> None:
        self._sources = tuple(sources)
        self._key = key
        self._iterations = iterations
        self._salt_octets = salt_octets
        self._threads = threads

    def kinds(self) -> frozenset[SecretKind]:
        """What can be told of anybody at all."""
        return frozenset().union(*(source.secret_kinds() for source in self._sources))

    def common_kinds(self) -> frozenset[SecretKind]:
        """What can be told of everybody with a password."""
        return frozenset().union(*(source.common_secret_kinds() for source in self._sources))

    async def find(self, login: str, kind: SecretKind) -> Found:
        """The secret of this person; for SCRAM always with a verifier.

        Raises:
            DirectoryUnavailable: a source cannot say.
        """
        secret = await self._secret(login, kind)
        if kind is not SecretKind.SCRAM:
            return Found(secret)
        verifier = secret.verifier if secret is not None else None
        if SecretKind.PASSWORD in self.kinds():
            # Also where it is not needed: the time must not tell who has a stored verifier.
            password = secret.password if secret is not None else None
            salt = self._salt(login)
            derive = partial(scram_verifier, password or self._key, salt, self._iterations)
            derived: ScramVerifier = await self._threads.submit(derive)
            verifier = verifier or derived
        return Found(secret, verifier or self._invented(login))

    async def _secret(self, login: str, kind: SecretKind) -> LoginSecret | None:
        # What cannot be a login finds nobody; nothing of it has to reach a directory.
        if not login or len(login.encode()) > MAX_LOGIN_OCTETS:
            return None
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
