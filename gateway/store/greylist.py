"""Who was asked to come again later: the port GreylistStore, and the end of what has expired.

Owns the table ``greylist``. What is kept goes in batches: while one is being written the next
gathers, so a flood of strangers is a few writes. Times are those of the wall clock, as they outlive
a restart. Limits: MAX_ROWS in all; a full table takes nothing new for FULL_S, then tries again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from gateway.core.errors import GatewayError
from gateway.core.ports.clock import WallClock
from gateway.core.ports.greylist import Greylisted
from gateway.store.blobs import StoredOctets
from gateway.store.committer import Committer
from gateway.store.readers import Pool
from gateway.store.transaction import Transaction

MAX_ROWS = 1_000_000
MAX_BATCH = 2_000
EXPIRED_ROWS = 2_000
FULL_S = 60

_KNOWN = "SELECT first_at, last_at, passed FROM greylist WHERE pair = ? AND expires_at >= ?"
_PUT = (
    "INSERT INTO greylist (pair, first_at, last_at, passed, expires_at) VALUES (?, ?, ?, ?, ?)"
    " ON CONFLICT (pair) DO UPDATE SET first_at = excluded.first_at, last_at = excluded.last_at,"
    " passed = excluded.passed, expires_at = excluded.expires_at"
)
_EXPIRE = (
    "DELETE FROM greylist WHERE pair IN"
    " (SELECT pair FROM greylist WHERE expires_at < ? ORDER BY expires_at LIMIT ?)"
)


@dataclass(frozen=True, slots=True)
class _News:
    """What is not written yet of one pair."""

    seen: Greylisted
    expires_at: int


class GreylistTable:
    """The port GreylistStore. The reactor's thread."""

    log = Logger()

    def __init__(
        self, committer: Committer, readers: Pool[StoredOctets], wall_clock: WallClock
    ) -> None:
        self._committer = committer
        self._readers = readers
        self._wall_clock = wall_clock
        self._gathering: dict[str, _News] = {}
        self._writing: dict[str, _News] = {}
        self._full_until = 0.0

    async def look(self, pairs: tuple[str, ...]) -> dict[str, Greylisted]:
        now = int(self._wall_clock())

        def read(stored: StoredOctets) -> dict[str, Greylisted]:
            rows = {
                pair: stored.connection.execute(_KNOWN, (pair, now)).fetchone() for pair in pairs
            }
            return {pair: Greylisted(*row) for pair, row in rows.items() if row is not None}

        known = await self._readers.run(read)
        for news in (self._writing, self._gathering):
            for pair in pairs:
                if pair in news:
                    known[pair] = _merged(known.get(pair), news[pair].seen)
        return known

    def keep(self, pair: str, at: int, *, passed: int, expires_at: int) -> bool:
        if self._wall_clock() < self._full_until or len(self._gathering) >= MAX_BATCH:
            return False
        before = self._gathering.get(pair)
        seen = _merged(before.seen if before is not None else None, Greylisted(at, at, passed))
        self._gathering[pair] = _News(seen, expires_at)
        if not self._writing:
            self._write()
        return self._wall_clock() >= self._full_until

    def close(self) -> None:
        """What has gathered goes in before the committer takes nothing more."""
        if self._gathering:
            self._write()

    def _write(self) -> None:
        news, self._gathering = self._gathering, {}
        self._writing = news
        try:
            written: Deferred[bool] = self._committer.write(lambda tx: _put(tx, news))
        except GatewayError:
            self._failed(Failure())
            return
        written.addCallbacks(self._written, self._failed)

    def _written(self, has_room: bool) -> None:
        self._writing = {}
        if not has_room:
            self._full_until = self._wall_clock() + FULL_S
            self.log.warn("the greylist holds {rows} rows and takes no more", rows=MAX_ROWS)
            self._gathering = {}
        elif self._gathering:
            self._write()

    def _failed(self, failure: Failure) -> None:
        # Nothing is lost but that somebody waits longer; who is asked to come again comes again.
        self.log.warn("the greylist was not written: {error}", error=failure.getErrorMessage())
        self._writing = {}
        self._gathering = {}
        self._full_until = self._wall_clock() + FULL_S


# -- the committer's thread


def expire_greylist(tx: Transaction) -> bool:
    """A step of housekeeping; True while there is more to forget."""
    return tx.execute(_EXPIRE, (tx.now, EXPIRED_ROWS)) >= EXPIRED_ROWS


def _put(tx: Transaction, news: Mapping[str, _News]) -> bool:
    row = tx.fetch_one("SELECT value FROM counters WHERE name = 'greylist'")
    assert row is not None
    if row[0] + len(news) > MAX_ROWS:
        tx.execute(_EXPIRE, (tx.now, EXPIRED_ROWS))
        return False
    for pair, each in news.items():
        known = tx.fetch_one(_KNOWN, (pair, tx.now))
        seen = _merged(Greylisted(*known) if known is not None else None, each.seen)
        tx.execute(_PUT, (pair, seen.first_at, seen.last_at, seen.passed, each.expires_at))
    return True


def _merged(known: Greylisted | None, seen: Greylisted) -> Greylisted:
    if known is None:
        return seen
    return Greylisted(
        min(known.first_at, seen.first_at),
        max(known.last_at, seen.last_at),
        known.passed + seen.passed,
    )
