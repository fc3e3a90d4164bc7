"""App passwords at a login: which one it is, whether it is right, and whether it is good here.

Owns the check. What has the form of an app password is ours, right or wrong, and stays here: no
directory ever sees one, so a mail program with a revoked one locks nobody out (SECURITY A8, L22).
What has another form costs nothing here. Whoever it belongs to is looked up in the directory at
each login, where its picture answers while the servers are away, so that disabled and locked people
have no way round (L16); the row is read from the store at each login, so that a revoked one is
refused by all processes at once.

One argon2id hash at most is computed for a login, in a thread; none for a login within CHECKED_S of
one with the same password, nor for a guess that does not even begin as one of the person's.

Limits: MAX_CHECKED passwords are remembered as right, by keyed hashes.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import replace
from functools import partial
from hashlib import blake2b
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from gateway.auth.slow_hash import fits
from gateway.core.account import Account
from gateway.core.app_passwords import AppPassword, Place, handle_of
from gateway.core.errors import DirectoryUnavailable, GatewayError, WrongCredentials
from gateway.core.ids import AccountId
from gateway.core.log_text import shown
from gateway.core.login_reasons import LoginReason
from gateway.core.login_secret import ScramVerifier
from gateway.core.networks import NO_NETWORKS, Networks, UnknownNetworkName, named
from gateway.core.ports.app_passwords import AppPasswordStore
from gateway.core.ports.clock import WallClock
from gateway.core.ports.kept_passwords import Refusal, Refusals
from gateway.directory.threads import WorkerThreads

CHECKED_S = 60.0
MAX_CHECKED = 10_000
MAX_NETWORK_SETS = 1000
NOTED_EVERY_S = 300
NOTED_ELSEWHERE_S = 60
"""Use is noted so often at most; from another place or by another protocol sooner."""
NOBODY = AccountId("")

_log = Logger()


class FindsPeople(Protocol):
    """What is needed of a directory; see ``core.ports.directory``."""

    async def find(self, login_or_address: str) -> Account | None: ...


class AppPasswords:
    """Checks them.

    Args:
        networks: [networks] of the settings, for the names that rows have.
        enabled: False: what has their form is refused.
        only: the directory's passwords are good for nothing but ``exempt``.
        exempt: from there they are good as ever.
        monotonic: seconds that never jump.
        refusals: where it is noted why people were refused; None: nowhere.
    """

    def __init__(
        self,
        store: AppPasswordStore,
        directory: FindsPeople,
        *,
        threads: WorkerThreads,
        wall_clock: WallClock,
        monotonic: Callable[[], float],
        networks: Mapping[str, Sequence[str]],
        enabled: bool = True,
        only: bool = False,
        exempt: Networks = NO_NETWORKS,
        refusals: Refusals | None = None,
    ) -> None:
        self._store = store
        self._directory = directory
        self._threads = threads
        self._wall_clock = wall_clock
        self._monotonic = monotonic
        self._names = networks
        self.enabled = enabled
        self._only = only
        self._exempt = exempt
        self._refusals = refusals
        self._key = secrets.token_bytes(32)
        self._checked: dict[bytes, float] = {}
        self._networks: dict[tuple[str, ...], Networks | None] = {}
        self._noting: set[str] = set()

    def only_here(self, place: Place) -> bool:
        """Whether no other password is taken from somebody who logs in there."""
        return self._only and not self._exempt.contains(place.peer_ip)

    async def another_refused(self, login: str, place: Place) -> WrongCredentials:
        """What somebody hears who comes with another password where only ours are taken."""
        try:
            account = await self._directory.find(login)
        except DirectoryUnavailable:
            account = None  # it is refused whoever it is
        if account is None:
            return WrongCredentials(LoginReason.APP_PASSWORD_WANTED)
        return self._refused(LoginReason.APP_PASSWORD_WANTED, account, place)

    # -- with the password

    async def log_in(self, login: str, text: str, place: Place) -> tuple[Account, int]:
        """Whose app password this is, and its number.

        Args:
            text: as ``core.app_passwords.text_in`` has it.

        Raises:
            WrongCredentials: with the reason for the log.
            DirectoryUnavailable: nobody can say who that is, or too many are being checked.
            StoreUnavailable: the rows cannot be read.
        """
        if not self.enabled:
            raise WrongCredentials(LoginReason.NO_APP_PASSWORDS)
        account = await self._directory.find(login)
        rows = await self._store.of(account.account_id if account is not None else NOBODY)
        if account is None:
            raise WrongCredentials(LoginReason.UNKNOWN)
        row = next((each for each in rows if each.handle == handle_of(text)), None)
        if row is None or not await self._is_right(row, text):
            raise self._refused(LoginReason.NO_APP_PASSWORD, account, place)
        self._admit(account, row, place)
        return account, row.number

    async def _is_right(self, row: AppPassword, text: str) -> bool:
        # The hash has a salt of its own: what is remembered is gone with the row it was about.
        known = blake2b(f"{row.hash} {text}".encode(), key=self._key, digest_size=16).digest()
        now = self._monotonic()
        if self._checked.get(known, 0.0) > now:
            return True
        if not await self._threads.submit(partial(fits, row.hash, text.encode("ascii"))):
            return False
        if len(self._checked) >= MAX_CHECKED:
            self._checked.clear()
        self._checked[known] = now + CHECKED_S
        return True

    # -- with a proof (SCRAM)

    async def verifiers(self, login: str, place: Place) -> Sequence[tuple[Account, ScramVerifier]]:
        """All that this person has, each saying whether it is good there; they have their salt and
        iterations in common. Nobody has none, and takes as long (SECURITY A6).

        Raises: DirectoryUnavailable, StoreUnavailable.
        """
        if not self.enabled:
            return ()
        account = await self._directory.find(login)
        rows = await self._store.of(account.account_id if account is not None else NOBODY)
        if account is None:
            return ()
        return [(account, self._verifier(account, row, place)) for row in rows]

    def _verifier(self, account: Account, row: AppPassword, place: Place) -> ScramVerifier:
        reason = self._objection(account, row, place)
        return replace(row.verifier, barred=reason.words) if reason is not None else row.verifier

    async def confirm(self, account: Account, number: int, place: Place) -> None:
        """A proof of this one holds; the row it was begun with may be gone since.

        Raises: WrongCredentials, StoreUnavailable.
        """
        rows = await self._store.of(account.account_id)
        row = next((each for each in rows if each.number == number), None)
        if row is None:
            raise self._refused(LoginReason.NO_APP_PASSWORD, account, place)
        self._admit(account, row, place)

    # -- whether it is good

    def _admit(self, account: Account, row: AppPassword, place: Place) -> None:
        """Raises: WrongCredentials."""
        reason = self._objection(account, row, place)
        if reason is not None:
            _log.info(
                "app password {number} of {login} is refused: {why}",
                number=row.number,
                login=account.login,
                why=reason.words,
            )
            raise self._refused(reason, account, place)
        self._note_use(row, place)

    def _objection(self, account: Account, row: AppPassword, place: Place) -> LoginReason | None:
        if not account.enabled:
            return LoginReason.DISABLED
        if account.locked:
            return LoginReason.LOCKED
        if row.has_expired(self._wall_clock()):
            return LoginReason.APP_PASSWORD_EXPIRED
        if row.protocols and place.protocol not in row.protocols:
            return LoginReason.NOT_THIS_PROTOCOL
        if row.networks and not self._is_in(row, place.peer_ip):
            return LoginReason.NOT_THIS_NETWORK
        return None

    def _is_in(self, row: AppPassword, peer_ip: str) -> bool:
        if row.networks not in self._networks:
            if len(self._networks) >= MAX_NETWORK_SETS:
                self._networks.clear()
            try:
                self._networks[row.networks] = named(row.networks, self._names)
            except UnknownNetworkName as unknown:
                # Nobody knows any more where it was to be used, so it is good nowhere.
                _log.warn(
                    "app password {number} is for network {name}, which [networks] has no more",
                    number=row.number,
                    name=shown(str(unknown)),
                )
                self._networks[row.networks] = None
        networks = self._networks[row.networks]
        return networks is not None and networks.contains(peer_ip)

    def _refused(self, reason: LoginReason, account: Account, place: Place) -> WrongCredentials:
        if self._refusals is not None:
            refusal = Refusal(int(self._wall_clock()), reason, place.protocol, place.peer_ip)
            self._note(
                f"refused {account.account_id}", self._refusals.note(account.account_id, refusal)
            )
        return WrongCredentials(reason, account_id=account.account_id)

    def _note_use(self, row: AppPassword, place: Place) -> None:
        """Note its use, but not with a write at each login."""
        now = int(self._wall_clock())
        same = (row.used_from, row.used_protocol) == (place.peer_ip, place.protocol)
        due_at = row.used_at + (NOTED_EVERY_S if same else NOTED_ELSEWHERE_S)
        if not row.used_at <= now < due_at:
            self._note(str(row.number), self._store.used(row.number, now, place))

    def _note(self, what: str, noting: Coroutine[Deferred[Any], Any, None]) -> None:
        """One of each at a time. No login waits for what is noted, and none fails for it."""
        if what in self._noting:
            noting.close()
            return
        self._noting.add(what)

        def noted(outcome: object) -> None:
            self._noting.discard(what)
            if isinstance(outcome, Failure):
                if outcome.check(GatewayError):
                    _log.info("not noted of an app password: {error}", error=str(outcome.value))
                else:
                    _log.failure("not noted of an app password", outcome)

        Deferred.fromCoroutine(noting).addBoth(noted)
