"""Asking again where queued mail goes, after the configuration has changed.

Owns the comparison of what the configuration says now with what the queue's rows say, which goes on
in pieces of ROWS_AT_ONCE recipients while the queue runs; and the text by which the configuration
is known (``known``). That is kept once all have been asked, so a pass that did not come to its end
begins anew with the next start. What is leased is left till it comes back: whoever sends it began
under the old configuration.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from twisted.logger import Logger

from gateway.core.address import Address
from gateway.core.errors import GatewayError
from gateway.store.blobs import StoredOctets
from gateway.store.committer import Committer
from gateway.store.departures import Departures
from gateway.store.queue_parts import BY_LEASED, LEASED, regroup
from gateway.store.readers import Pool
from gateway.store.transaction import Transaction

ROWS_AT_ONCE = 2_000
_NAME = "queue destinations"
_ASKED = (
    "SELECT r.queue_id, r.number, r.local_part, r.domain, r.next_hop, r.destination,"
    " q.sender_local, q.sender_domain FROM queue_recipients AS r"
    " CROSS JOIN queue AS q WHERE q.queue_id = r.queue_id"
)
_MOVE = (
    "UPDATE queue_recipients SET destination = ? WHERE queue_id = ? AND number = ?"  # noqa: S608 - own names only
    " AND destination = ? AND NOT EXISTS (SELECT 1 FROM queue_parts AS p"
    " WHERE p.queue_id = queue_recipients.queue_id"
    f" AND p.destination = queue_recipients.destination AND p.state = {LEASED})"
)

Move = tuple[int, int, str, str]
"""Message, recipient, where it goes, where it went."""


class Reasking:
    """One pass over the queue, and what it had to leave.

    Args:
        configuration: a text that differs when DestinationOf may answer otherwise; empty: nobody
            says, so nothing is asked.
    """

    log = Logger()

    def __init__(
        self,
        committer: Committer,
        readers: Pool[StoredOctets],
        departures: Departures,
        configuration: str,
    ) -> None:
        self._committer = committer
        self._readers = readers
        self._departures = departures
        self._configuration = configuration
        self._leased: set[int] = set()  # messages of which something was being sent
        self._is_walked = False

    async def run(self) -> int:
        """Returns how many recipients go elsewhere now."""
        moved = 0
        try:
            if not self._configuration or await self._readers.run(self._is_known):
                return 0
            after: tuple[int, int] | None = (0, 0)
            while after is not None:
                start = after

                def read(
                    stored: StoredOctets, start: tuple[int, int] = start
                ) -> tuple[list[Move], tuple[int, int] | None]:
                    return self._compare(stored, start)

                moves, after = await self._readers.run(read)
                if moves:
                    moved += await self._write(moves)
            await self._committer.write(self._end, uses_reserve=True)
        except GatewayError as problem:
            self.log.warn(
                "not all of the queue has been asked where it goes by the new configuration; the"
                " next start asks again: {why}",
                why=problem,
            )
        except Exception:
            self.log.failure("the queue cannot be asked where it goes by the new configuration")
        if moved:
            self.log.info(
                "{moved} queued recipients go elsewhere by the new configuration", moved=moved
            )
        return moved

    def freed(self, tx: Transaction, numbers: Iterable[int]) -> None:
        """Parts of these messages are no longer leased."""
        if not self._leased:
            return
        for number in self._leased.intersection(numbers):
            rows = tx.fetch_all(f"{_ASKED} AND r.queue_id = ?", (number,))
            self._leased.discard(number)
            self._move(tx, self._moves(rows))
        if not self._leased and self._is_walked:
            self._keep(tx)

    # -- the pass

    def _is_known(self, stored: StoredOctets) -> bool:
        row = stored.connection.execute(
            "SELECT value FROM known WHERE name = ?", (_NAME,)
        ).fetchone()
        return row is not None and row[0] == self._configuration

    def _compare(
        self, stored: StoredOctets, after: tuple[int, int]
    ) -> tuple[list[Move], tuple[int, int] | None]:
        """What goes elsewhere in a piece of the queue, and its last key."""
        rows = stored.connection.execute(
            f"{_ASKED} AND (r.queue_id, r.number) > (?, ?) ORDER BY r.queue_id, r.number LIMIT ?",
            (*after, ROWS_AT_ONCE),
        ).fetchall()
        return self._moves(rows), (rows[-1][0], rows[-1][1]) if rows else None

    def _moves(self, rows: Sequence[Sequence[Any]]) -> list[Move]:
        moves: list[Move] = []
        for number, recipient, local_part, domain, next_hop, destination, *sender in rows:
            now = self._departures.destination_of(
                None if sender[0] is None else Address(sender[0], sender[1]),
                Address(local_part, domain),
                next_hop,
            )
            if now != destination:
                moves.append((number, recipient, now, destination))
        return moves

    async def _write(self, moves: Sequence[Move]) -> int:
        def run(tx: Transaction) -> int:
            tx.queue_grew = True
            return self._move(tx, moves)

        return await self._committer.write(run, uses_reserve=True)

    def _move(self, tx: Transaction, moves: Sequence[Move]) -> int:
        moved = 0
        changed: set[int] = set()
        for number, recipient, destination, before in moves:
            if tx.execute(_MOVE, (destination, number, recipient, before)):
                moved += 1
                changed.add(number)
            else:  # or done with meanwhile, which does no harm
                self._leased.add(number)
        for number in changed:
            regroup(tx, number, tx.now)
        return moved

    def _end(self, tx: Transaction) -> None:
        self._is_walked = True
        rows = tx.fetch_all(
            f"SELECT DISTINCT queue_id FROM queue_parts{BY_LEASED} WHERE state = {LEASED}"  # noqa: S608 - own names only
        )
        self._leased.intersection_update(number for (number,) in rows)
        if not self._leased:
            self._keep(tx)

    def _keep(self, tx: Transaction) -> None:
        tx.insert(
            "known (name, value)",
            [(_NAME, self._configuration)],
            " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        )
