"""What is kept of logins: hashes for outages (the port KeptPasswords) and refusals (Refusals).

Owns the tables ``kept_passwords`` and ``login_refusals``. What is too old goes by housekeeping.
Limits: one hash for each person, and the last MOST_REFUSALS refusals for REFUSALS_S.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gateway.core.ids import AccountId
from gateway.core.login_reasons import LoginReason
from gateway.core.ports.kept_passwords import KeptPassword, Refusal
from gateway.store.blobs import StoredOctets
from gateway.store.committer import Committer
from gateway.store.readers import Pool
from gateway.store.transaction import Transaction

KEEP_PASSWORDS_S = 14 * 86_400
MOST_REFUSALS = 10
REFUSALS_S = 30 * 86_400
ROWS = 500

_KEPT = "SELECT hash, confirmed_at FROM kept_passwords WHERE account_id = ?"
_KEEP = (
    "INSERT INTO kept_passwords (account_id, hash, confirmed_at) VALUES (?, ?, ?)"
    " ON CONFLICT (account_id)"
    " DO UPDATE SET hash = excluded.hash, confirmed_at = excluded.confirmed_at"
)
_CONFIRM = "UPDATE kept_passwords SET confirmed_at = ? WHERE account_id = ? AND hash = ?"
_FORGET = "DELETE FROM kept_passwords WHERE account_id = ?"
_FORGET_THIS = "DELETE FROM kept_passwords WHERE account_id = ? AND hash = ?"
_EXPIRE = (
    "DELETE FROM kept_passwords WHERE account_id IN (SELECT account_id FROM kept_passwords"
    " WHERE confirmed_at <= ? ORDER BY confirmed_at LIMIT ?)"
)
_NOTED = (
    "SELECT at, reason, protocol, peer_ip FROM login_refusals WHERE account_id = ?"
    " ORDER BY number DESC LIMIT ?"
)
_LAST = "SELECT number FROM login_refusals WHERE account_id = ? ORDER BY number DESC LIMIT 1"
_NOTE = (
    "INSERT INTO login_refusals (account_id, number, at, reason, protocol, peer_ip)"
    " VALUES (?, ?, ?, ?, ?, ?)"
)
_CUT = "DELETE FROM login_refusals WHERE account_id = ? AND number <= ?"
_EXPIRE_REFUSALS = (
    "DELETE FROM login_refusals WHERE (account_id, number) IN"
    " (SELECT account_id, number FROM login_refusals WHERE at <= ? ORDER BY at LIMIT ?)"
)


class KeptPasswordTable:
    """The port KeptPasswords. The reactor's thread."""

    def __init__(self, committer: Committer, readers: Pool[StoredOctets]) -> None:
        self._committer = committer
        self._readers = readers

    async def kept(self, account_id: AccountId) -> KeptPassword | None:
        def read(stored: StoredOctets) -> KeptPassword | None:
            row = stored.connection.execute(_KEPT, (account_id,)).fetchone()
            return KeptPassword(*row) if row is not None else None

        return await self._readers.run(read)

    async def keep(self, account_id: AccountId, hashed: str) -> None:
        await self._committer.write(lambda tx: tx.execute(_KEEP, (account_id, hashed, tx.now)))

    async def confirm(self, account_id: AccountId, hashed: str) -> None:
        await self._committer.write(lambda tx: tx.execute(_CONFIRM, (tx.now, account_id, hashed)))

    async def forget(self, account_id: AccountId, hashed: str = "") -> None:
        def remove(tx: Transaction) -> None:
            if hashed:
                tx.execute(_FORGET_THIS, (account_id, hashed))
            else:
                tx.execute(_FORGET, (account_id,))

        # Also on a full disk: whoever may not log in any more must not.
        await self._committer.write(remove, uses_reserve=True)


class RefusalTable:
    """The port Refusals. The reactor's thread."""

    def __init__(self, committer: Committer, readers: Pool[StoredOctets]) -> None:
        self._committer = committer
        self._readers = readers

    async def note(self, account_id: AccountId, refusal: Refusal) -> None:
        def put(tx: Transaction) -> None:
            last = tx.fetch_one(_LAST, (account_id,))
            number = last[0] + 1 if last is not None else 1
            values = (refusal.at, refusal.reason.name, refusal.protocol, refusal.peer_ip)
            tx.execute(_NOTE, (account_id, number, *values))
            tx.execute(_CUT, (account_id, number - MOST_REFUSALS))

        await self._committer.write(put)

    async def recent(self, account_id: AccountId) -> Sequence[Refusal]:
        def read(stored: StoredOctets) -> list[Refusal]:
            rows = stored.connection.execute(_NOTED, (account_id, MOST_REFUSALS)).fetchall()
            return [Refusal(at, _reason(name), protocol, ip) for at, name, protocol, ip in rows]

        return await self._readers.run(read)


def expire_kept_passwords(keep_s: int) -> Callable[[Transaction], bool]:
    """A step of housekeeping on the committer's thread; True while there is more to forget.

    Args:
        keep_s: for so long since they were confirmed; 0: nothing is kept.
    """

    def expire(tx: Transaction) -> bool:
        return tx.execute(_EXPIRE, (tx.now - keep_s, ROWS)) >= ROWS

    return expire


def expire_refusals(tx: Transaction) -> bool:
    """A step of housekeeping on the committer's thread; True while there is more to forget."""
    return tx.execute(_EXPIRE_REFUSALS, (tx.now - REFUSALS_S, ROWS)) >= ROWS


def _reason(name: str) -> LoginReason:
    """Of a row that a newer gateway may have written."""
    return LoginReason.__members__.get(name, LoginReason.REFUSED)
