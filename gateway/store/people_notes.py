"""What is noted of people as the directory changes: the port PeopleNotes.

Owns the tables ``people_notes`` and ``former_addresses``. What may end when, whoever follows people
decides. Reads many at once, as everybody is told of in a first listing. Limits: MOST_CALLED of a
name; a note belongs to somebody with mailboxes or to somebody disabled.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from gateway.core.ids import AccountId
from gateway.core.ports.people_notes import (
    FormerAddress,
    Known,
    PersonNote,
    Resident,
    Writing,
)
from gateway.store.blobs import StoredOctets
from gateway.store.committer import Committer
from gateway.store.readers import Pool
from gateway.store.transaction import Transaction, in_pieces

_NOTE = (
    "account_id, login, primary_address, addresses, noted_at, disabled_since, gone_since,"
    " removed_at"
)
_NOTES = f"SELECT {_NOTE} FROM people_notes WHERE account_id IN"  # noqa: S608 - own names only
_RESIDENTS = "SELECT account_id FROM accounts WHERE account_id IN"
_FORMER = "SELECT address, account_id, since FROM former_addresses WHERE"
_OF_NOTES = ", ".join(f"notes.{each}" for each in _NOTE.split(", "))
_BOUNDED = (
    " FROM (SELECT account_id FROM accounts WHERE account_id > ? UNION"
    " SELECT account_id FROM people_notes WHERE account_id > ? ORDER BY 1 LIMIT ?) AS who"
)
_JOINED = (
    " LEFT JOIN accounts ON accounts.account_id = who.account_id"
    " LEFT JOIN people_notes AS notes ON notes.account_id = who.account_id"
    " ORDER BY who.account_id"
)
_COLUMNS = f"SELECT who.account_id, accounts.size_octets, accounts.messages, {_OF_NOTES}"
_PAGE = f"{_COLUMNS}{_BOUNDED}{_JOINED}"
_AWAY = (
    f"{_COLUMNS} FROM (SELECT account_id FROM people_notes"  # noqa: S608 - own names only
    " WHERE (disabled_since <> 0 OR gone_since <> 0) AND account_id > ?"
    f" ORDER BY account_id LIMIT ?) AS who{_JOINED}"
)
_WRITE = "".join(
    f"{', ' if position else ''}{each} = excluded.{each}"
    for position, each in enumerate(_NOTE.split(", ")[1:])
)
_BEGIN = " ON CONFLICT (address) DO UPDATE SET account_id = excluded.account_id,"
_END_BEFORE = (
    "DELETE FROM former_addresses WHERE address IN (SELECT address FROM former_addresses"
    " LEFT JOIN people_notes AS notes ON notes.account_id = former_addresses.account_id"
    " WHERE since < ? AND coalesce(notes.gone_since, 0) = 0 ORDER BY since LIMIT ?)"
)
_GONE_CALLED = (  # the partial index bounds it to those who are away
    "SELECT account_id FROM people_notes WHERE (disabled_since <> 0 OR gone_since <> 0)"
    " AND gone_since <> 0 AND (lower(login) = ? OR lower(primary_address) = ?)"
    " ORDER BY account_id LIMIT ?"
)
MOST_CALLED = 20
_ABOUT = ("app_passwords", "kept_passwords", "login_refusals", "former_addresses", "subscriptions")


class PeopleNotesTable:
    """The port PeopleNotes. The reactor's thread."""

    def __init__(self, committer: Committer, readers: Pool[StoredOctets]) -> None:
        self._committer = committer
        self._readers = readers

    async def known(
        self, account_ids: Collection[AccountId], addresses: Collection[str] = ()
    ) -> Known:
        def read(stored: StoredOctets) -> Known:
            notes: dict[AccountId, PersonNote] = {}
            residents: set[AccountId] = set()
            former: dict[str, FormerAddress] = {}
            execute = stored.connection.execute
            for piece, marks in in_pieces(list(account_ids)):
                for row in execute(f"{_NOTES} ({marks})", piece):
                    notes[AccountId(row[0])] = _note(row)
                residents.update(
                    AccountId(id_) for (id_,) in execute(f"{_RESIDENTS} ({marks})", piece)
                )
            if execute("SELECT 1 FROM former_addresses LIMIT 1").fetchone() is not None:
                for names, marks in in_pieces(list(addresses)):
                    for each in _formers(execute(f"{_FORMER} address IN ({marks})", names)):
                        former[each.address] = each
            return Known(notes, frozenset(residents), former)

        return await self._readers.run(read)

    async def write(self, writing: Writing) -> None:
        def put(tx: Transaction) -> None:
            for piece, marks in in_pieces(writing.forgotten):
                tx.execute(f"DELETE FROM people_notes WHERE account_id IN ({marks})", piece)  # noqa: S608 - own names only
            for names, marks in in_pieces(writing.end):
                tx.execute(f"DELETE FROM former_addresses WHERE address IN ({marks})", names)  # noqa: S608 - own names only
            conflict = f" ON CONFLICT (account_id) DO UPDATE SET {_WRITE}"
            tx.insert(f"people_notes ({_NOTE})", [_row(each) for each in writing.notes], conflict)
            tx.insert(
                "former_addresses (address, account_id, since)",
                [(each.address, each.account_id, each.since) for each in writing.begin],
                f"{_BEGIN} since = excluded.since",
            )

        await self._committer.write(put)

    async def residents(self, after: str, limit: int) -> Sequence[Resident]:
        return await self._read_residents(_PAGE, (after, after, limit))

    async def away(self, after: str, limit: int) -> Sequence[Resident]:
        return await self._read_residents(_AWAY, (after, limit))

    async def _read_residents(self, sql: str, values: Sequence[object]) -> list[Resident]:
        def read(stored: StoredOctets) -> list[Resident]:
            return [
                Resident(AccountId(row[0]), row[1], row[2], _note(row[3:]) if row[3] else None)
                for row in stored.connection.execute(sql, values)
            ]

        return await self._readers.run(read)

    async def gone_called(self, name: str) -> Sequence[AccountId]:
        def read(stored: StoredOctets) -> list[AccountId]:
            rows = stored.connection.execute(_GONE_CALLED, (name, name, MOST_CALLED))
            return [AccountId(account_id) for (account_id,) in rows]

        return await self._readers.run(read)

    async def former_of(
        self, account_ids: Collection[AccountId]
    ) -> Mapping[AccountId, Sequence[FormerAddress]]:
        def read(stored: StoredOctets) -> dict[AccountId, list[FormerAddress]]:
            found: dict[AccountId, list[FormerAddress]] = {}
            for piece, marks in in_pieces(list(account_ids)):
                asked = f"{_FORMER} account_id IN ({marks}) ORDER BY since, address"
                for each in _formers(stored.connection.execute(asked, piece)):
                    found.setdefault(each.account_id, []).append(each)
            return found

        return await self._readers.run(read)

    async def former_since(self, since: int, limit: int) -> Sequence[FormerAddress]:
        asked = f"{_FORMER} since >= ? ORDER BY since DESC, address LIMIT ?"

        def read(stored: StoredOctets) -> list[FormerAddress]:
            return list(_formers(stored.connection.execute(asked, (since, limit))))

        return await self._readers.run(read)

    async def end_before(self, since: int, limit: int) -> int:
        return await self._committer.write(lambda tx: tx.execute(_END_BEFORE, (since, limit)))

    async def removed(self, account_id: AccountId) -> None:
        def remove(tx: Transaction) -> None:
            for table in _ABOUT:
                tx.execute(f"DELETE FROM {table} WHERE account_id = ?", (account_id,))  # noqa: S608 - own names only
            tx.execute(
                "UPDATE people_notes SET removed_at = ? WHERE account_id = ?", (tx.now, account_id)
            )

        await self._committer.write(remove, uses_reserve=True)


def _formers(rows: Any) -> Iterator[FormerAddress]:
    for address, account_id, since in rows:
        yield FormerAddress(address, AccountId(account_id), since)


def _note(row: Sequence[Any]) -> PersonNote:
    account_id, login, primary, addresses, *times = row
    return PersonNote(
        AccountId(account_id),
        login,
        primary,
        tuple(addresses.split("\n")) if addresses else (),
        *times,
    )


def _row(note: PersonNote) -> tuple[Any, ...]:
    return (
        note.account_id,
        note.login,
        note.primary_address,
        "\n".join(note.addresses),
        note.noted_at,
        note.disabled_since,
        note.gone_since,
        note.removed_at,
    )
