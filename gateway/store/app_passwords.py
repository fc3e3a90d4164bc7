"""App passwords, which no directory knows of: the port AppPasswordStore.

Owns the table ``app_passwords``. What has expired stays to be seen for SHOWN_S, then it goes by
housekeeping. Limit: what ``add`` is told, for each person.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

from gateway.core.app_passwords import AppPassword, Place
from gateway.core.ids import AccountId
from gateway.core.login_secret import ScramVerifier
from gateway.core.ports.clock import WallClock
from gateway.store.blobs import StoredOctets
from gateway.store.committer import Committer
from gateway.store.readers import Pool
from gateway.store.transaction import Transaction, in_pieces

SHOWN_S = 30 * 86_400
EXPIRED_ROWS = 500

_COLUMNS = (
    "number, account_id, handle, label, protocols, networks, made_by, made_at, expires_at, hash,"
    " scram_iterations, scram_salt, scram_stored_key, scram_server_key, used_at, used_from,"
    " used_protocol"
)
_OF = f"SELECT {_COLUMNS} FROM app_passwords WHERE account_id = ? ORDER BY number"  # noqa: S608 - own names only
_USED = "UPDATE app_passwords SET used_at = ?, used_from = ?, used_protocol = ? WHERE number = ?"
_NEXT = "UPDATE counters SET value = value + 1 WHERE name = 'app_password' RETURNING value"
_LIVE = "SELECT number FROM app_passwords WHERE (expires_at = 0 OR expires_at > ?) AND number IN"
_EXPIRE = (
    "DELETE FROM app_passwords WHERE number IN (SELECT number FROM app_passwords"
    " WHERE expires_at <> 0 AND expires_at < ? ORDER BY expires_at LIMIT ?)"
)


class AppPasswordTable:
    """The port AppPasswordStore. The reactor's thread."""

    def __init__(
        self, committer: Committer, readers: Pool[StoredOctets], wall_clock: WallClock
    ) -> None:
        self._committer = committer
        self._readers = readers
        self._wall_clock = wall_clock

    async def of(self, account_id: AccountId) -> Sequence[AppPassword]:
        def read(stored: StoredOctets) -> list[AppPassword]:
            return [_value(row) for row in stored.connection.execute(_OF, (account_id,))]

        return await self._readers.run(read)

    async def add(self, new: AppPassword, *, most: int) -> AppPassword | None:
        def run(tx: Transaction) -> AppPassword | None:
            others = [_value(row) for row in tx.fetch_all(_OF, (new.account_id,))]
            counted = [each for each in others if not each.has_expired(tx.now)]
            if len(counted) >= most or not all(_goes_beside(new, each) for each in others):
                return None
            # One by one, not in blocks: a person types these numbers.
            row = tx.fetch_one(_NEXT)
            assert row is not None
            kept = replace(new, number=row[0])
            tx.insert(f"app_passwords ({_COLUMNS})", [_row(kept)])
            return kept

        return await self._committer.write(run, uses_reserve=True)

    async def remove(
        self, account_id: AccountId, numbers: Collection[int] | None = None
    ) -> Sequence[AppPassword]:
        def run(tx: Transaction) -> list[AppPassword]:
            found = [_value(row) for row in tx.fetch_all(_OF, (account_id,))]
            if numbers is not None:
                found = [each for each in found if each.number in numbers]
            for each in found:
                tx.execute("DELETE FROM app_passwords WHERE number = ?", (each.number,))
            return found

        return await self._committer.write(run, uses_reserve=True)

    async def used(self, number: int, at: int, place: Place) -> None:
        values = (at, place.peer_ip, place.protocol, number)
        await self._committer.write(lambda tx: tx.execute(_USED, values))

    async def live(self, numbers: Collection[int]) -> frozenset[int]:
        now = int(self._wall_clock())

        def read(stored: StoredOctets) -> frozenset[int]:
            found: set[int] = set()
            for piece, marks in in_pieces(sorted(numbers)):
                rows = stored.connection.execute(f"{_LIVE} ({marks})", (now, *piece))
                found.update(number for (number,) in rows)
            return frozenset(found)

        return await self._readers.run(read)


def expire_app_passwords(tx: Transaction) -> bool:
    """A step of housekeeping on the committer's thread; True while there is more to forget."""
    return tx.execute(_EXPIRE, (tx.now - SHOWN_S, EXPIRED_ROWS)) >= EXPIRED_ROWS


def _goes_beside(new: AppPassword, other: AppPassword) -> bool:
    one, two = new.verifier, other.verifier
    same = (one.salt, one.iterations) == (two.salt, two.iterations)
    return same and new.handle != other.handle


def _row(kept: AppPassword) -> tuple[Any, ...]:
    scram = kept.verifier
    return (
        kept.number,
        kept.account_id,
        kept.handle,
        kept.label,
        " ".join(kept.protocols),
        " ".join(kept.networks),
        kept.made_by,
        kept.made_at,
        kept.expires_at,
        kept.hash,
        scram.iterations,
        scram.salt,
        scram.stored_key,
        scram.server_key,
        kept.used_at,
        kept.used_from,
        kept.used_protocol,
    )


def _value(row: Sequence[Any]) -> AppPassword:
    number, account_id, handle, label, protocols, networks, made_by, made_at, expires_at = row[:9]
    return AppPassword(
        account_id=AccountId(account_id),
        number=number,
        handle=handle,
        label=label,
        protocols=tuple(protocols.split()),
        networks=tuple(networks.split()),
        made_by=made_by,
        made_at=made_at,
        expires_at=expires_at,
        hash=row[9],
        verifier=ScramVerifier(row[10], row[11], row[12], row[13], app_password=number),
        used_at=row[14],
        used_from=row[15],
        used_protocol=row[16],
    )
