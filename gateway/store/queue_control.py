"""The ports QueueControl and QueueStarter: what administrators and ETRN do to queued messages.

Any process may do it; the one that runs the queue hears of it by the change feed. Pages are read by
key, so that nothing is held whole however long the queue is. Never sends, never reports.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from gateway.core.address import Address
from gateway.core.ids import QueueId
from gateway.core.messages import LOCAL
from gateway.core.queue import QueuedMessage, QueueEntry, QueueFilter, Start, WaitingStatus
from gateway.store.blobs import StoredOctets
from gateway.store.committer import Committer
from gateway.store.deliveries import NEVER, queue_id_text
from gateway.store.queue_lease import (
    ITEM_COLUMNS,
    RECIPIENT_COLUMNS,
    queue_item,
    waiting_recipient,
)
from gateway.store.queue_results import remove_message
from gateway.store.readers import Pool
from gateway.store.transaction import Transaction

FIRST_SHOWN = 3
PIECE = 500
_LISTED = (
    "queue_id, message_id, sender_local, sender_domain, size_octets, created_at, due_at, hold,"
    " lease_owner"
)
_DOMAIN = re.compile(r"[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*")
_QUEUE_ID = re.compile(r"[0-9A-Fa-f]{1,15}")


class QueueOffice:
    """Looks at the queue and changes what waits."""

    def __init__(self, committer: Committer, readers: Pool[StoredOctets]) -> None:
        self._committer = committer
        self._readers = readers

    # -- looking

    async def listed(
        self, which: QueueFilter, *, after: QueueId | None, limit: int
    ) -> Sequence[QueuedMessage]:
        conditions, values = _conditions(which)
        start = _number(after) if after is not None else None

        def read(stored: StoredOctets) -> Sequence[QueuedMessage]:
            connection = stored.connection
            rows = connection.execute(
                f"SELECT {_LISTED} FROM queue WHERE queue_id > ?{conditions}"  # noqa: S608 - own names only
                " ORDER BY queue_id LIMIT ?",
                (start or 0, *values, limit),
            ).fetchall()
            return [_listed(row, _recipients(connection, row[0])) for row in rows]

        return await self._readers.run(read)

    async def entry(self, queue_id: QueueId) -> QueueEntry | None:
        number = _number(queue_id)
        if number is None:
            return None

        def read(stored: StoredOctets) -> QueueEntry | None:
            connection = stored.connection
            row = connection.execute(
                f"SELECT {_LISTED} FROM queue WHERE queue_id = ?",  # noqa: S608 - own names only
                (number,),
            ).fetchone()
            item_row = connection.execute(
                f"SELECT {ITEM_COLUMNS} FROM queue WHERE queue_id = ?",  # noqa: S608 - own names only
                (number,),
            ).fetchone()
            if row is None or item_row is None:
                return None
            recipients = connection.execute(
                f"SELECT {RECIPIENT_COLUMNS} FROM queue_recipients WHERE queue_id = ?"  # noqa: S608 - own names only
                " ORDER BY number",
                (number,),
            ).fetchall()
            return QueueEntry(
                _listed(row, _recipients(connection, number)),
                queue_item(item_row, recipients),
                tuple(
                    WaitingStatus(waiting_recipient(each), _time(each[8])) for each in recipients
                ),
            )

        return await self._readers.run(read)

    # -- changing

    async def hold(self, queue_ids: Sequence[QueueId], reason: str) -> Sequence[QueueId]:
        return await self._change(queue_ids, lambda tx, number: _hold(tx, number, reason))

    async def release(self, queue_ids: Sequence[QueueId]) -> Sequence[QueueId]:
        return await self._change(queue_ids, _release)

    async def hasten(self, queue_ids: Sequence[QueueId]) -> Sequence[QueueId]:
        return await self._change(queue_ids, _hasten)

    async def remove(self, queue_ids: Sequence[QueueId]) -> Sequence[QueueId]:
        return await self._change(queue_ids, _remove)

    async def _change(
        self, queue_ids: Sequence[QueueId], change: Callable[[Transaction, int], bool]
    ) -> Sequence[QueueId]:
        """Returns those that were changed."""
        numbers = [number for each in queue_ids if (number := _number(each)) is not None]
        changed: list[QueueId] = []
        for start in range(0, len(numbers), PIECE):
            piece = numbers[start : start + PIECE]

            def run(tx: Transaction, piece: Sequence[int] = piece) -> list[QueueId]:
                tx.queue_grew = True  # whoever runs the queue looks at it again
                return [queue_id_text(number) for number in piece if change(tx, number)]

            changed += await self._committer.write(run, uses_reserve=True)
        return changed

    # -- QueueStarter

    async def start(self, name: str) -> Start:
        below = name.startswith("@")
        domain = name.removeprefix("@").casefold().rstrip(".")
        if not _DOMAIN.fullmatch(domain):
            return Start.UNKNOWN
        found = False
        after = 0
        while numbers := await self._waiting_for(domain, below, after):
            found = True
            await self.hasten([queue_id_text(number) for number in numbers])
            after = numbers[-1]
        return Start.STARTED if found else Start.NOTHING_WAITS

    async def _waiting_for(self, domain: str, below: bool, after: int) -> list[int]:
        """Some of the messages for a domain, in their order; ``below`` counts subdomains too."""
        condition, values = "r.domain = ?", [domain]
        if below:
            condition = "(r.domain = ? OR r.domain LIKE ? ESCAPE '!')"
            values.append("%." + domain.replace("_", "!_"))

        def read(stored: StoredOctets) -> list[int]:
            rows = stored.connection.execute(
                "SELECT DISTINCT r.queue_id FROM queue_recipients AS r"  # noqa: S608 - own names only
                " JOIN queue AS q ON q.queue_id = r.queue_id"
                f" WHERE r.queue_id > ? AND {condition} AND r.next_hop <> ? AND q.hold = ''"
                " ORDER BY r.queue_id LIMIT ?",
                (after, *values, LOCAL, PIECE),
            ).fetchall()
            return [row[0] for row in rows]

        return await self._readers.run(read)


def _number(queue_id: QueueId) -> int | None:
    """None for what is no queue id at all."""
    return int(queue_id, 16) if _QUEUE_ID.fullmatch(queue_id) else None


def _time(at: int) -> int | None:
    return None if at >= NEVER else at


def _conditions(which: QueueFilter) -> tuple[str, list[Any]]:
    text, values = "", list[Any]()
    if which.held is not None:
        text += " AND hold <> ''" if which.held else " AND hold = ''"
    if which.before is not None:
        text += " AND created_at < ?"
        values.append(which.before)
    if which.sender == "<>":
        text += " AND sender_local IS NULL"
    elif which.sender:
        condition, some = _address_is(which.sender, "sender_local", "sender_domain")
        text, values = f"{text} AND {condition}", values + some
    for condition, some in (
        _address_is(which.recipient, "r.local_part", "r.domain"),
        _destination_is(which.destination),
    ):
        if condition:
            text += (
                " AND EXISTS (SELECT 1 FROM queue_recipients AS r"  # noqa: S608 - own names only
                f" WHERE r.queue_id = queue.queue_id AND {condition})"
            )
            values += some
    return text, values


def _address_is(text: str, local_column: str, domain_column: str) -> tuple[str, list[str]]:
    """``local@domain`` or ``@domain``."""
    if not text:
        return "", []
    local, _, domain = text.rpartition("@")
    condition, values = f"{domain_column} = ?", [domain.casefold()]
    if local:
        condition += f" AND lower({local_column}) = lower(?)"
        values.append(local)
    return condition, values


def _destination_is(text: str) -> tuple[str, list[str]]:
    if not text:
        return "", []
    return "((r.next_hop = '' AND r.domain = ?) OR r.next_hop = ?)", [text.casefold(), text]


def _recipients(connection: Any, number: int) -> tuple[int, list[Any]]:
    (count,) = connection.execute(
        "SELECT count(*) FROM queue_recipients WHERE queue_id = ?", (number,)
    ).fetchone()
    first = connection.execute(
        "SELECT local_part, domain, reply FROM queue_recipients WHERE queue_id = ?"
        " ORDER BY number LIMIT ?",
        (number, FIRST_SHOWN),
    ).fetchall()
    return count, first


def _listed(row: Sequence[Any], recipients: tuple[int, list[Any]]) -> QueuedMessage:
    number, message_id, local, domain, size, created_at, due_at, hold, owner = row
    count, first = recipients
    return QueuedMessage(
        queue_id_text(number),
        message_id,
        None if local is None else Address(local, domain),
        size,
        created_at,
        _time(due_at),
        hold,
        bool(owner),
        count,
        tuple(Address(each[0], each[1]) for each in first),
        next((each[2] for each in first if each[2]), ""),
    )


def _hold(tx: Transaction, number: int, reason: str) -> bool:
    tx.execute(
        "UPDATE queue_recipients SET next_attempt_at = ? WHERE queue_id = ?", (NEVER, number)
    )
    changed = tx.execute(
        "UPDATE queue SET hold = ?, lease_owner = '', due_at = ? WHERE queue_id = ?",
        (reason, NEVER, number),
    )
    return changed > 0


def _release(tx: Transaction, number: int) -> bool:
    changed = tx.execute(
        "UPDATE queue SET hold = '', due_at = ? WHERE queue_id = ? AND hold <> ''",
        (tx.now, number),
    )
    if changed:
        tx.execute(
            "UPDATE queue_recipients SET next_attempt_at = ? WHERE queue_id = ?", (tx.now, number)
        )
    return changed > 0


def _hasten(tx: Transaction, number: int) -> bool:
    """A message that is being sent stays leased; its other recipients are due with its end."""
    row = tx.fetch_one("SELECT lease_owner FROM queue WHERE queue_id = ? AND hold = ''", (number,))
    if row is None:
        return False
    tx.execute(
        "UPDATE queue_recipients SET next_attempt_at = ?"
        " WHERE queue_id = ? AND next_attempt_at > ?",
        (tx.now, number, tx.now),
    )
    if not row[0]:
        tx.execute("UPDATE queue SET due_at = ? WHERE queue_id = ?", (tx.now, number))
    return True


def _remove(tx: Transaction, number: int) -> bool:
    tx.execute("DELETE FROM queue_recipients WHERE queue_id = ?", (number,))
    return remove_message(tx, number)
