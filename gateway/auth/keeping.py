"""Keeping the password that the directory last confirmed, as a slow hash, for when it is away.

Owns what is kept and when it goes: a confirmed password is hashed and stored behind the login's
back, one at a time and with rests, so that a morning's logins do not fill a core with hashing; who
is not reached today is at one of their next logins. A password that the directory refuses is
compared with what is kept, and removed if it is that; with doubt it is removed as well. So after a
change elsewhere the old one serves no longer than until it is refused once.

A password may wait for long, and another process may hear meanwhile that it is refused. So what is
said against people is also in the memory of all processes until they are confirmed again, and
whoever has kept a password looks there afterwards.

In memory there are keyed hashes of what is kept, so that repeated logins cost nothing. Never keeps
a password longer than it waits for its turn; never asks the directory; never lets anybody in
(``outage`` does).

Limits: MAX_KNOWN people in memory, MAX_WAITING passwords that wait.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from functools import partial
from hashlib import blake2b
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from gateway.auth.slow_hash import SALT_OCTETS, fits, slow_hash
from gateway.core.errors import DirectoryUnavailable, GatewayError, WrongCredentials
from gateway.core.ids import AccountId
from gateway.core.login_reasons import LoginReason
from gateway.core.pause import pause
from gateway.core.ports.clock import Timers, WallClock
from gateway.core.ports.kept_passwords import KeptPassword, KeptPasswords
from gateway.core.shared_marks import MAX_NUMBER, SharedMarks
from gateway.directory.threads import WorkerThreads

DAY_S = 86_400
MAX_KNOWN = 50_000
MAX_WAITING = 256
SAID_S = 3600.0
"""Longer than any password waits."""
RESTS = 1.0
"""Times as long as the hashing took: half of a core at most goes into it, if nobody wants it."""


@dataclass(frozen=True, slots=True)
class Known:
    """What is kept of somebody.

    Args:
        mark: keyed hash of the password.
        hash: the slow one, as stored.
    """

    mark: bytes = field(repr=False)
    hash: str = field(repr=False)
    confirmed_at: float


class Keeper:
    """Keeps passwords.

    Args:
        key: secret; the keyed hashes in memory are made with it.
        random: octets nobody can guess.
        said: against whom or which password, for all processes.
        threads: where somebody waits for a comparison.
        background: where nobody waits.
    """

    log = Logger()

    def __init__(
        self,
        store: KeptPasswords,
        *,
        key: bytes,
        random: Callable[[int], bytes],
        said: SharedMarks,
        threads: WorkerThreads,
        background: WorkerThreads,
        timers: Timers,
        wall_clock: WallClock,
    ) -> None:
        self._store = store
        self._key = key
        self._random = random
        self._said = said
        self._threads = threads
        self._background = background
        self._timers = timers
        self._wall_clock = wall_clock
        self._known: dict[AccountId, Known] = {}
        self._confirmed: dict[AccountId, bytes] = {}
        self._refused: dict[tuple[AccountId, bytes], None] = {}
        self._working = False
        self._closed = False

    def confirmed(self, account_id: AccountId, password: bytes) -> None:
        """The directory has just said that this is right."""
        if self._is_refused(account_id, password):
            self._said.forget(_person(account_id))
            self._said.forget(_password(account_id, password))
            self._known.pop(account_id, None)
        known = self._known.get(account_id)
        if (
            known is not None
            and known.mark == self._mark(account_id, password)
            and 0 <= self._wall_clock() - known.confirmed_at < DAY_S
        ):
            return
        if account_id in self._confirmed or len(self._confirmed) < MAX_WAITING:
            self._confirmed[account_id] = password
            self._work()

    def refused(self, error: WrongCredentials, password: bytes) -> None:
        """The directory has just said why this is wrong, or that its owner may not log in."""
        account_id = error.account_id
        if account_id is None or error.reason is LoginReason.WRONG_AGAIN:
            return
        if error.reason.forgets_kept_password or len(self._refused) >= MAX_WAITING:
            # More than can be compared: better no login in an outage than one with an old password.
            self._run(partial(self.forget, account_id))
        elif not error.proven:
            self._said.put(_password(account_id, password), MAX_NUMBER, SAID_S)
            if self._confirmed.get(account_id) == password:
                del self._confirmed[account_id]
            self._refused[account_id, password] = None
            self._work()

    async def forget(self, account_id: AccountId) -> None:
        """This person may not log in any more. Raises: StoreUnavailable."""
        self._said.put(_person(account_id), MAX_NUMBER, SAID_S)
        self._confirmed.pop(account_id, None)
        self._known.pop(account_id, None)
        await self._store.forget(account_id)

    async def is_kept(self, account_id: AccountId, kept: KeptPassword, password: bytes) -> bool:
        """Whether this is the password. Raises: DirectoryUnavailable (too many are compared)."""
        return await self._is_kept(account_id, kept, password, self._threads)

    async def _is_kept(
        self, account_id: AccountId, kept: KeptPassword, password: bytes, threads: WorkerThreads
    ) -> bool:
        mark = self._mark(account_id, password)
        known = self._known.get(account_id)
        if known is not None and known.hash == kept.hash:
            return known.mark == mark
        right = await threads.submit(partial(fits, kept.hash, password))
        if right:
            self._learn(account_id, Known(mark, kept.hash, kept.confirmed_at))
        return right

    def close(self) -> None:
        """What waits is dropped."""
        self._closed = True
        self._confirmed.clear()
        self._refused.clear()

    # -- behind the logins' back

    def _work(self) -> None:
        if not self._working and not self._closed:
            self._working = True
            self._run(self._work_off)

    async def _work_off(self) -> None:
        try:
            while self._refused or self._confirmed:
                began_at = self._timers.seconds()
                if self._refused:
                    account_id, password = next(iter(self._refused))
                    del self._refused[account_id, password]
                    await self._compare(account_id, password)
                    continue  # these do not wait
                account_id = next(iter(self._confirmed))
                try:
                    await self._keep(account_id, self._confirmed[account_id])
                except GatewayError as error:
                    # The next login says it again.
                    self.log.warn("a password is not kept for outages: {error}", error=str(error))
                    self._confirmed.pop(account_id, None)
                await pause(self._timers, RESTS * (self._timers.seconds() - began_at))
        finally:
            self._working = False

    async def _keep(self, account_id: AccountId, password: bytes) -> None:
        mark = self._mark(account_id, password)
        now = self._wall_clock()
        kept = await self._store.kept(account_id)
        if kept is not None and await self._is_kept(account_id, kept, password, self._background):
            hashed = kept.hash
            if not 0 <= now - kept.confirmed_at < DAY_S:
                await self._store.confirm(account_id, hashed)
        else:
            salt = self._random(SALT_OCTETS)
            hashed = await self._background.submit(partial(slow_hash, password, salt))
            if self._confirmed.get(account_id) != password:
                return  # it was refused meanwhile, or another one confirmed
            await self._store.keep(account_id, hashed)
        if self._is_refused(account_id, password):
            # Whoever said it may have looked before this was kept.
            await self._store.forget(account_id, hashed)
            if self._confirmed.get(account_id) == password:
                del self._confirmed[account_id]
            return
        if self._confirmed.get(account_id) == password:
            del self._confirmed[account_id]
            self._learn(account_id, Known(mark, hashed, now))

    async def _compare(self, account_id: AccountId, password: bytes) -> None:
        try:
            kept = await self._store.kept(account_id)
            if kept is None:
                return
            try:
                refused = await self._is_kept(account_id, kept, password, self._background)
            except DirectoryUnavailable:  # the threads are busy; in doubt it goes
                refused = True
            if refused:
                self._known.pop(account_id, None)
                await self._store.forget(account_id, kept.hash)
                self.log.info(
                    "the password kept of {account} is forgotten: the directory refused it",
                    account=account_id,
                )
        except GatewayError as error:
            self.log.error(
                "the password kept of {account} is not compared with one that was refused: {error}",
                account=account_id,
                error=str(error),
            )

    def _is_refused(self, account_id: AccountId, password: bytes) -> bool:
        said = self._said.get
        return bool(said(_person(account_id)) or said(_password(account_id, password)))

    def _learn(self, account_id: AccountId, known: Known) -> None:
        self._known.pop(account_id, None)
        if len(self._known) >= MAX_KNOWN:
            del self._known[next(iter(self._known))]
        self._known[account_id] = known

    def _mark(self, account_id: AccountId, password: bytes) -> bytes:
        octets = account_id.encode() + b"\0" + password
        return blake2b(octets, key=self._key, digest_size=16, person=b"kept").digest()

    def _run(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        running: Deferred[None] = Deferred.fromCoroutine(work())
        running.addErrback(
            lambda failure: self.log.error(
                "what is kept for outages cannot be changed: {error}", error=str(failure.value)
            )
        )


def _person(account_id: AccountId) -> bytes:
    return b"unkept " + account_id.encode()


def _password(account_id: AccountId, password: bytes) -> bytes:
    return b"unkept " + account_id.encode() + b"\0" + password
