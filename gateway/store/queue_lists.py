"""Suppressed addresses and rules that hold: the ports SuppressionStore and HoldRuleStore.

Owns the tables ``suppressions`` and ``hold_rules``. Never decides whom they concern. They are
bounded by who writes them (``queue.suppression``, ``queue.hold_rules``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, replace

from gateway.core.hold_rules import HoldRule
from gateway.core.suppression import Suppression
from gateway.store.blobs import StoredOctets
from gateway.store.committer import Committer
from gateway.store.readers import Pool
from gateway.store.transaction import Transaction

PIECE = 500

# In the order of the values' fields.
_SUPPRESSION = (
    "address, failures, first_at, last_at, suppressed_at, status, reply, remote, made_by, reason,"
    " turned_away"
)
_RULE = "rule_id, sender, recipient, destination, larger_octets, reason, made_by, made_at"


class SuppressionTable:
    """The port SuppressionStore."""

    def __init__(self, committer: Committer, readers: Pool[StoredOctets]) -> None:
        self._committer = committer
        self._readers = readers

    async def all(self) -> Sequence[Suppression]:
        found: list[Suppression] = []
        after = ""
        while page := await self._page(after):
            found += page
            after = page[-1].address
        return found

    async def _page(self, after: str) -> list[Suppression]:
        def read(stored: StoredOctets) -> list[Suppression]:
            rows = stored.connection.execute(
                f"SELECT {_SUPPRESSION} FROM suppressions WHERE address > ?"  # noqa: S608 - own names only
                " ORDER BY address LIMIT ?",
                (after, PIECE),
            )
            return [Suppression(*row) for row in rows]

        return await self._readers.run(read)

    async def keep(self, changed: Sequence[Suppression], removed: Sequence[str]) -> None:
        def run(tx: Transaction) -> None:
            gone = [each.address for each in changed] + list(removed)
            for address in gone:
                tx.execute("DELETE FROM suppressions WHERE address = ?", (address,))
            tx.insert(f"suppressions ({_SUPPRESSION})", [astuple(each) for each in changed])

        await self._committer.write(run, uses_reserve=True)


class HoldRuleTable:
    """The port HoldRuleStore."""

    def __init__(self, committer: Committer, readers: Pool[StoredOctets]) -> None:
        self._committer = committer
        self._readers = readers

    async def all(self) -> Sequence[HoldRule]:
        def read(stored: StoredOctets) -> list[HoldRule]:
            rows = stored.connection.execute(
                f"SELECT {_RULE} FROM hold_rules ORDER BY rule_id"  # noqa: S608 - own names only
            )
            return [HoldRule(*row) for row in rows]

        return await self._readers.run(read)

    async def add(self, rule: HoldRule) -> HoldRule:
        def run(tx: Transaction) -> HoldRule:
            # One by one, not in blocks: a person types these numbers.
            row = tx.fetch_one(
                "UPDATE counters SET value = value + 1 WHERE name = 'hold_rule' RETURNING value"
            )
            assert row is not None
            kept = replace(rule, rule_id=row[0])
            tx.insert(f"hold_rules ({_RULE})", [astuple(kept)])
            return kept

        return await self._committer.write(run, uses_reserve=True)

    async def remove(self, rule_id: int) -> bool:
        return await self._committer.write(
            lambda tx: tx.execute("DELETE FROM hold_rules WHERE rule_id = ?", (rule_id,)) > 0,
            uses_reserve=True,
        )
