"""Counts of TLS sessions with other servers, till they are reported: the port TlsCounts.

Owns the tables ``tls_sessions`` and ``tls_reported``. Who counts hands in batches, so a busy minute
is one write. A day of a domain that was reported takes no more counts, whatever the clock does, so
no report is ever made twice. Days that nobody reported in KEPT_DAYS are forgotten.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple

from gateway.core.ports.tls_policies import Counted, Sessions
from gateway.store.blobs import StoredOctets
from gateway.store.committer import Committer
from gateway.store.readers import Pool
from gateway.store.transaction import Transaction

KEPT_DAYS = 3
FORGET_ROWS = 2_000
DAY_S = 86_400

_ADD = (
    "INSERT INTO tls_sessions (day, domain, policy_kind, policy_domain, policy, result, host,"
    " receiving_ip, sending_ip, reason, sessions) SELECT ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?"
    " WHERE NOT EXISTS (SELECT 1 FROM tls_reported WHERE domain = ? AND day >= ?)"
    " ON CONFLICT (day, domain, policy_kind, policy_domain, policy, result, host, receiving_ip,"
    " sending_ip, reason) DO UPDATE SET sessions = tls_sessions.sessions + excluded.sessions"
)
_UNREPORTED = (
    "SELECT DISTINCT day, domain FROM tls_sessions WHERE day < ? ORDER BY day, domain LIMIT ?"
)
_COUNTED = (
    "SELECT day, domain, policy_kind, policy_domain, policy, result, host, receiving_ip,"
    " sending_ip, reason, sessions FROM tls_sessions WHERE day = ? AND domain = ?"
)
_REPORTED = (
    "INSERT INTO tls_reported (domain, day) VALUES (?, ?) ON CONFLICT (domain)"
    " DO UPDATE SET day = excluded.day WHERE excluded.day > tls_reported.day"
)
_DONE = "DELETE FROM tls_sessions WHERE day = ? AND domain = ?"
_FORGET = (
    "DELETE FROM tls_sessions WHERE (day, domain) IN"
    " (SELECT day, domain FROM tls_sessions WHERE day < ? ORDER BY day, domain LIMIT ?)"
)
_FORGET_REPORTED = (
    "DELETE FROM tls_reported WHERE domain IN"
    " (SELECT domain FROM tls_reported WHERE day < ? ORDER BY day LIMIT ?)"
)


class TlsCountTable:
    """The port TlsCounts. The reactor's thread."""

    def __init__(self, committer: Committer, readers: Pool[StoredOctets]) -> None:
        self._committer = committer
        self._readers = readers

    async def add(self, counts: Sequence[Sessions]) -> None:
        def put(tx: Transaction) -> None:
            for each in counts:
                of = each.of
                tx.execute(_ADD, (*astuple(of), each.sessions, of.domain, of.day))

        if counts:
            await self._committer.write(put)

    async def unreported(self, before_day: int, limit: int) -> Sequence[tuple[int, str]]:
        def read(stored: StoredOctets) -> list[tuple[int, str]]:
            return stored.connection.execute(_UNREPORTED, (before_day, limit)).fetchall()

        return await self._readers.run(read)

    async def counted(self, day: int, domain: str) -> Sequence[Sessions]:
        def read(stored: StoredOctets) -> list[Sessions]:
            rows = stored.connection.execute(_COUNTED, (day, domain)).fetchall()
            return [Sessions(Counted(*row[:-1]), row[-1]) for row in rows]

        return await self._readers.run(read)

    async def reported(self, day: int, domain: str) -> None:
        def put(tx: Transaction) -> None:
            tx.execute(_REPORTED, (domain, day))
            tx.execute(_DONE, (day, domain))

        await self._committer.write(put)


def forget_tls_counts(tx: Transaction) -> bool:
    """A step of housekeeping on the committer's thread; True while there is more to forget."""
    before = tx.now // DAY_S - KEPT_DAYS
    forgotten = tx.execute(_FORGET, (before, FORGET_ROWS))
    marks = tx.execute(_FORGET_REPORTED, (before, FORGET_ROWS))
    return forgotten >= FORGET_ROWS or marks >= FORGET_ROWS
