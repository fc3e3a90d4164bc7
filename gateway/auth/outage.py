"""Logins while the directory gives no verdict: by the password that it confirmed last.

Owns who may: people of the picture who were enabled and not locked when last seen, with a password
that the directory confirmed within ``keep_s``. Whoever cannot be let in hears that the directory
cannot be asked, never that a password is wrong, as nobody can say that; and it costs the same work
whoever it is (SECURITY A6): a person, one without a kept password, nobody at all.

Never asks a server, and never keeps anything (``keeping``).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from hashlib import blake2b

from twisted.logger import Logger

from gateway.auth.keeping import Keeper
from gateway.auth.login_names import typed_name
from gateway.auth.slow_hash import SALT_OCTETS, fits, slow_hash
from gateway.core.account import Account
from gateway.core.errors import DirectoryUnavailable, NotAsKept
from gateway.core.log_text import shown
from gateway.core.ports.clock import WallClock
from gateway.core.ports.kept_passwords import KeptPassword, KeptPasswords
from gateway.directory.threads import WorkerThreads

DAY_S = 86_400
MAX_TRIED = 20_000
MAX_STRANGERS = 16
"""Compared at once; more hear that nobody can say. So whoever guesses from everywhere leaves the
threads to people from where they are known, and waiting for a thread tells nothing."""


class OutageLogins:
    """Lets people in by what is kept of them.

    Args:
        keep_s: for so long after the directory confirmed it.
        key: secret; the keyed hashes in memory are made with it.
        random: octets nobody can guess.
    """

    log = Logger()

    def __init__(
        self,
        store: KeptPasswords,
        keeper: Keeper,
        *,
        keep_s: int,
        key: bytes,
        random: Callable[[int], bytes],
        threads: WorkerThreads,
        wall_clock: WallClock,
    ) -> None:
        self._store = store
        self._keeper = keeper
        self._keep_s = keep_s
        self._key = key
        self._threads = threads
        self._wall_clock = wall_clock
        self._salt = random(SALT_OCTETS)
        self._nobodys = ""
        self._tried: dict[bytes, None] = {}
        self._strangers = 0

    async def log_in(
        self, login: str, account: Account | None, password: bytes, *, known: bool
    ) -> Account:
        """The account, if this is the password that worked last.

        Args:
            login: as typed.
            account: as it was last seen; None: nobody that is known.
            known: the login has worked lately from around where it comes from.

        Raises:
            NotAsKept: it is not, or there is none.
            DirectoryUnavailable: the same, said before of this password: nobody guesses twice
                with it; or too many passwords are being compared.
        """
        tried = self._mark(login, password)
        if tried in self._tried:
            raise DirectoryUnavailable(reason="not the password that worked last, as before")
        if known:
            kept = await self._fitting(account, password)
        elif self._strangers >= MAX_STRANGERS:
            raise DirectoryUnavailable(reason="too many strangers' passwords are being compared")
        else:
            self._strangers += 1
            try:
                kept = await self._fitting(account, password)
            finally:
                self._strangers -= 1
        if kept is not None and account is not None:
            self.log.warn(
                "{login} is let in by the password that worked last, {days} days ago or less:"
                " the directory cannot be asked",
                login=account.login,
                days=int((self._wall_clock() - kept.confirmed_at) // DAY_S) + 1,
            )
            return account
        self.log.info("{login} has no such password kept for outages", login=shown(login, 64))
        if len(self._tried) >= MAX_TRIED:
            del self._tried[next(iter(self._tried))]
        self._tried[tried] = None
        raise NotAsKept(reason="not the password that worked last, or none is kept")

    def answered(self) -> None:
        """The directory answers again: in its next outage another password may be kept."""
        if self._tried:
            self._tried.clear()

    async def _fitting(self, account: Account | None, password: bytes) -> KeptPassword | None:
        kept = await self._kept(account)
        if kept is None or account is None:
            await self._threads.submit(partial(fits, await self._hash_of_nobody(), password))
            return None
        return kept if await self._keeper.is_kept(account.account_id, kept, password) else None

    async def _kept(self, account: Account | None) -> KeptPassword | None:
        if account is None or not account.enabled or account.locked:
            return None
        kept = await self._store.kept(account.account_id)
        # A day ahead: a clock that was set back (SECURITY D7) is no reason.
        if kept is None or not -DAY_S < self._wall_clock() - kept.confirmed_at < self._keep_s:
            return None
        return kept

    async def _hash_of_nobody(self) -> str:
        if not self._nobodys:
            self._nobodys = await self._threads.submit(partial(slow_hash, b"nobody", self._salt))
        return self._nobodys

    def _mark(self, login: str, password: bytes) -> bytes:
        octets = typed_name(login).encode("utf-8", "surrogatepass") + b"\0" + password
        return blake2b(octets, key=self._key, digest_size=16, person=b"tried").digest()
