"""How much an account may keep: the bounds, what is kept, and whether more has room.

Owns the port QuotaStore and the rule for every transaction that adds. Bounds and counters lie in
one row of ``accounts``, so they are compared inside the transaction itself and hold whichever
process writes; triggers of the schema keep the counters and take ``warned`` back. Never decides
what a client hears, and never writes a warning: who watches does.

What this process was told is remembered, so that telling it again is free; after TRUST_S the row is
looked at again, as another process may have been told something else. Deliveries ask nothing about
people without bounds: whoever delivers to somebody has just told us theirs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.core.errors import OverQuota
from gateway.core.ids import AccountId
from gateway.core.quota import WARN_PERCENT, Quota, Usage
from gateway.store.accounts import Accounts
from gateway.store.blobs import StoredOctets
from gateway.store.committer import Committer
from gateway.store.feed import Feed
from gateway.store.readers import Pool
from gateway.store.transaction import Transaction

TRUST_S = 600.0
MOST_IDS = 64
_USAGE = (
    "SELECT size_octets, messages, quota_octets, quota_messages, inbox_id FROM accounts"
    " WHERE account_id = ?"
)
_STANDING = (
    "SELECT account_id, size_octets, messages, quota_octets, quota_messages, warned FROM accounts"
    " WHERE (quota_octets <> 0 OR quota_messages <> 0) AND account_id IN"
)


@dataclass(slots=True)
class _Standing:
    """An account with bounds, as it is at this point of the transaction."""

    octets: int
    messages: int
    quota: Quota
    warned: bool

    @property
    def usage(self) -> Usage:
        return Usage(self.octets, self.messages, self.quota)


class Room:
    """What the accounts of a batch of deliveries may still take; counted on as they are taken."""

    def __init__(self, standings: dict[AccountId, _Standing]) -> None:
        self._standings = standings

    def lacks(self, accounts: Sequence[AccountId], octets: int) -> OverQuota | None:
        """Why one more message of so many octets is too much for some of these, or None."""
        over = [
            account_id
            for account_id in accounts
            if (standing := self._standings.get(account_id)) is not None
            and not standing.usage.has_room_for(octets)
        ]
        return OverQuota(over) if over else None

    def take(self, accounts: Sequence[AccountId], octets: int) -> None:
        """One more message is kept."""
        for account_id in accounts:
            standing = self._standings.get(account_id)
            if standing is not None:
                standing.octets += octets
                standing.messages += 1

    def settle(self, tx: Transaction) -> None:
        """Note who has to be warned now."""
        for account_id, standing in self._standings.items():
            _note(tx, account_id, standing)


class Bounds:
    """The rule, as transactions ask for it. The committer's thread, except for ``unbounded``."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts
        self.unbounded: set[AccountId] = set()
        """Who has none, as this process was told last; nothing is read for their deliveries."""

    def room(self, tx: Transaction, deliveries: Iterable[Sequence[AccountId]]) -> Room | None:
        """For deliveries to these people; None when none of them has bounds."""
        asked = {account_id for local in deliveries for account_id in local} - self.unbounded
        standings = _standings(tx, asked) if asked else {}
        return Room(standings) if standings else None

    def check(self, tx: Transaction, account_id: AccountId) -> None:
        """After an operation that added, other than a delivery. Raises: OverQuota."""
        standing = _standings(tx, (account_id,)).get(account_id)
        if standing is None:
            return
        if not standing.usage.has_room_for(0, 0):
            raise OverQuota((account_id,))
        _note(tx, account_id, standing)

    def keep(self, tx: Transaction, account_id: AccountId, quota: Quota) -> None:
        """New bounds; the account is made if it is not there."""
        self._accounts.inbox_of(tx, account_id)
        tx.execute(
            "UPDATE accounts SET quota_octets = ?, quota_messages = ? WHERE account_id = ?",
            (quota.octets, quota.messages, account_id),
        )
        standing = _standings(tx, (account_id,)).get(account_id)
        if standing is not None:
            _note(tx, account_id, standing)


class Quotas:
    """The port QuotaStore. The reactor's thread."""

    def __init__(
        self,
        accounts: Accounts,
        bounds: Bounds,
        committer: Committer,
        readers: Pool[StoredOctets],
        feed: Feed,
        monotonic: Callable[[], float],
    ) -> None:
        self._accounts = accounts
        self._bounds = bounds
        self._committer = committer
        self._readers = readers
        self._feed = feed
        self._monotonic = monotonic
        self._told: dict[AccountId, tuple[Quota, float]] = {}

    async def set_quota(self, account_id: AccountId, quota: Quota) -> None:
        now = self._monotonic()
        known = self._told.get(account_id)
        if known is not None and known[0] == quota and now < known[1]:
            return
        unbounded = self._bounds.unbounded
        unbounded.discard(account_id)
        if (await self.usage(account_id)).quota != quota:
            await self._committer.write(
                lambda tx: self._bounds.keep(tx, account_id, quota), uses_reserve=True
            )
        self._told[account_id] = (quota, now + TRUST_S)
        if not quota.is_bounded:
            unbounded.add(account_id)

    async def usage(self, account_id: AccountId) -> Usage:
        def read(stored: StoredOctets) -> Any:
            return stored.connection.execute(_USAGE, (account_id,)).fetchone()

        row = await self._readers.run(read)
        # Who logs in is asked about next, and a look in a thread is dearer than what it finds.
        self._accounts.seen(account_id, row[4] if row is not None else None)
        return _usage(row) if row is not None else Usage(0, 0, Quota())

    def watch_filling(self, callback: Callable[[AccountId, Usage], None]) -> Callable[[], None]:
        return self._feed.watch_filling(callback)


def _usage(row: Sequence[Any]) -> Usage:
    return Usage(row[0], row[1], Quota(row[2], row[3]))


def _standings(tx: Transaction, accounts: Iterable[AccountId]) -> dict[AccountId, _Standing]:
    """The accounts of these that have bounds."""
    ids = list(accounts)
    found: dict[AccountId, _Standing] = {}
    for start in range(0, len(ids), MOST_IDS):
        piece = ids[start : start + MOST_IDS]
        # A power of two of them, so that few different statements are prepared.
        piece += piece[-1:] * ((1 << (len(piece) - 1).bit_length()) - len(piece))
        marks = ", ".join("?" * len(piece))
        for account_id, octets, messages, most_octets, most_messages, warned in tx.fetch_all(
            f"{_STANDING} ({marks})", piece
        ):
            quota = Quota(most_octets, most_messages)
            found[AccountId(account_id)] = _Standing(octets, messages, quota, bool(warned))
    return found


def _note(tx: Transaction, account_id: AccountId, standing: _Standing) -> None:
    """Warn once; a trigger takes the mark back when there is room again."""
    if standing.warned or standing.usage.percent < WARN_PERCENT:
        return
    tx.execute("UPDATE accounts SET warned = 1 WHERE account_id = ?", (account_id,))
    tx.filling.append((account_id, standing.usage))
