"""Making an app password: its text, its hash, its verifier, and the row that is kept of it.

Owns what is drawn and derived. The text is given to whoever asked for it once the row is durable
(SECURITY D1), and to nobody else: neither the log nor the store ever has it. A crash in between
leaves a row that nobody knows the password of, which lists show and ``revoke`` removes.

Limit: the number that a person may have, which the settings say.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from gateway.auth.slow_hash import SALT_OCTETS, slow_hash
from gateway.core.account import Account
from gateway.core.app_passwords import AppPassword, Draw, handle_of, new_text_beside
from gateway.core.errors import DirectoryUnavailable, GatewayError
from gateway.core.login_secret import ScramVerifier, scram_verifier
from gateway.core.ports.app_passwords import AppPasswordStore
from gateway.core.ports.clock import WallClock
from gateway.core.ports.directory import SecretSource
from gateway.directory.threads import WorkerThreads

DAY_S = 86_400
_TRIES = 3


class AppPasswordRefused(GatewayError):
    """It is not made; the text says why."""

    temporary = False


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an administrator asks for; checked already.

    Args:
        days: until it expires; 0: as the settings say.
    """

    label: str
    protocols: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    days: int = 0


@dataclass(frozen=True, slots=True)
class Made:
    """The password, to be shown once, and what is kept of it."""

    text: str = field(repr=False)
    kept: AppPassword


class AppPasswordMaker:
    """Makes them.

    Args:
        most: of one person.
        expire_days: each ends after so many days at the latest; 0: when it is revoked.
        iterations, salt_octets: of SCRAM, for the first one of a person.
        draw, octets: what nobody can guess.
    """

    def __init__(
        self,
        store: AppPasswordStore,
        directory: SecretSource,
        *,
        threads: WorkerThreads,
        wall_clock: WallClock,
        most: int,
        expire_days: int,
        iterations: int,
        salt_octets: int,
        draw: Draw = secrets.randbelow,
        octets: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self._store = store
        self._directory = directory
        self._threads = threads
        self._wall_clock = wall_clock
        self._most = most
        self._expire_days = expire_days
        self._iterations = iterations
        self._salt_octets = salt_octets
        self._draw = draw
        self._octets = octets

    async def make(self, account: Account, wanted: Wanted, made_by: str) -> Made:
        """Durable when this returns.

        Raises: AppPasswordRefused, StoreUnavailable, DirectoryUnavailable (no thread is free).
        """
        for _ in range(_TRIES):
            others = await self._store.of(account.account_id)
            text = new_text_beside({each.handle for each in others}, self._draw)
            salt, iterations = await self._common(account, others)
            new = AppPassword(
                account_id=account.account_id,
                number=0,
                handle=handle_of(text),
                label=wanted.label,
                protocols=wanted.protocols,
                networks=wanted.networks,
                made_by=made_by,
                made_at=int(self._wall_clock()),
                expires_at=self._end(wanted.days),
                hash="",
                verifier=ScramVerifier(iterations, salt, b"", b""),
            )
            salt_of_hash = self._octets(SALT_OCTETS)
            derive = partial(_derived, new, text, salt_of_hash)
            kept = await self._store.add(await self._threads.submit(derive), most=self._most)
            if kept is not None:
                return Made(text, kept)
            now = self._wall_clock()
            if sum(not each.has_expired(now) for each in others) >= self._most:
                raise AppPasswordRefused(
                    f"{account.login} has {self._most} app passwords, as many as"
                    " app_passwords.most allows; revoke some, or raise it"
                )
            # Somebody else was making one for the same person: it has to fit beside theirs.
        raise AppPasswordRefused(
            f"others are making app passwords for {account.login} just now; try again"
        )

    def _end(self, days: int) -> int:
        if days and self._expire_days and days > self._expire_days:
            raise AppPasswordRefused(
                f"found {days} days; expected {self._expire_days} at most, as"
                " app_passwords.expire_days says"
            )
        days = days or self._expire_days
        return int(self._wall_clock()) + days * DAY_S if days else 0

    async def _common(self, account: Account, others: Sequence[AppPassword]) -> tuple[bytes, int]:
        """The salt and the iterations of all verifiers of a person: an exchange has one of each.

        Those of the directory's verifier, if there is one, so that both fit in one exchange.
        """
        if others:
            return others[0].verifier.salt, others[0].verifier.iterations
        try:
            secret = await self._directory.secret(account.login)
        except DirectoryUnavailable:
            secret = None
        if secret is not None and secret.verifier is not None and secret.password is None:
            return secret.verifier.salt, secret.verifier.iterations
        return self._octets(self._salt_octets), self._iterations


def _derived(new: AppPassword, text: str, salt_of_hash: bytes) -> AppPassword:
    """With hash and verifier. Takes long, on purpose: for a thread."""
    password = text.encode("ascii")
    verifier = scram_verifier(password, new.verifier.salt, new.verifier.iterations)
    return replace(new, hash=slow_hash(password, salt_of_hash), verifier=verifier)
