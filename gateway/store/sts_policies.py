"""MTA-STS policies of other domains, which outlive a restart: the port StsStore.

Owns the table ``sts_policies``. A policy that has expired goes by housekeeping. Limit: MAX_ROWS;
beyond that the one that expires first makes room.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple

from gateway.core.ports.tls_policies import KeptPolicy
from gateway.store.blobs import StoredOctets
from gateway.store.committer import Committer
from gateway.store.readers import Pool
from gateway.store.transaction import Transaction

MAX_ROWS = 50_000
EXPIRED_ROWS = 500

_KNOWN = (
    "SELECT domain, policy_id, policy, fetched_at, expires_at, used_at FROM sts_policies"
    " WHERE domain = ?"
)
_KEEP = (
    "INSERT INTO sts_policies (domain, policy_id, policy, fetched_at, expires_at, used_at)"
    " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (domain)"
    " DO UPDATE SET policy_id = excluded.policy_id, policy = excluded.policy,"
    " fetched_at = excluded.fetched_at, expires_at = excluded.expires_at,"
    " used_at = excluded.used_at"
)
_AGEING = (
    "SELECT domain, policy_id, policy, fetched_at, expires_at, used_at FROM sts_policies"
    " WHERE expires_at < ? AND used_at >= ? ORDER BY expires_at LIMIT ?"
)
_EXPIRE = (
    "DELETE FROM sts_policies WHERE domain IN"
    " (SELECT domain FROM sts_policies WHERE expires_at < ? ORDER BY expires_at LIMIT ?)"
)
_MAKE_ROOM = (
    "DELETE FROM sts_policies WHERE domain IN"
    " (SELECT domain FROM sts_policies ORDER BY expires_at LIMIT max(0,"
    " (SELECT value FROM counters WHERE name = 'sts_policies') - ?))"
)


class StsPolicyTable:
    """The port StsStore. The reactor's thread."""

    def __init__(self, committer: Committer, readers: Pool[StoredOctets]) -> None:
        self._committer = committer
        self._readers = readers

    async def known(self, domain: str) -> KeptPolicy | None:
        def read(stored: StoredOctets) -> KeptPolicy | None:
            row = stored.connection.execute(_KNOWN, (domain,)).fetchone()
            return KeptPolicy(*row) if row is not None else None

        return await self._readers.run(read)

    async def keep(self, policy: KeptPolicy) -> None:
        def put(tx: Transaction) -> None:
            tx.execute(_KEEP, astuple(policy))
            tx.execute(_MAKE_ROOM, (MAX_ROWS,))

        await self._committer.write(put)

    async def ageing(
        self, expires_before: int, used_since: int, limit: int
    ) -> Sequence[KeptPolicy]:
        def read(stored: StoredOctets) -> list[KeptPolicy]:
            asked = (expires_before, used_since, limit)
            rows = stored.connection.execute(_AGEING, asked).fetchall()
            return [KeptPolicy(*row) for row in rows]

        return await self._readers.run(read)


def expire_sts_policies(tx: Transaction) -> bool:
    """A step of housekeeping on the committer's thread; True while there is more to forget."""
    return tx.execute(_EXPIRE, (tx.now, EXPIRED_ROWS)) >= EXPIRED_ROWS
