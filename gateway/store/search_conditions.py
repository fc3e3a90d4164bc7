"""Search keys as conditions of the index: on UID, flags, size and internal date.

Owns which keys the rows of ``messages`` alone can tell, and the SQL that asks them.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import NamedTuple

from gateway.core.ids import MailboxId
from gateway.core.search import All, And, DateIs, HasFlag, Not, Or, SearchKey, SizeIs, UidIn
from gateway.store.engine import by_index, local_sql
from gateway.store.flags import DELETED, SEEN, bit_of

RANGES_IN_SQL = 50
EPOCH_DAY = 719_163  # date(1970, 1, 1).toordinal()
DAY_S = 86_400
LAST_UID = 2**32 - 1
LARGEST = 2**63 - 1  # what the index can compare
AND, OR = " AND ", " OR "


class Condition(NamedTuple):
    """Part of a WHERE clause, and the partial index of ``messages`` that is made for it."""

    sql: str
    values: tuple[int, ...] = ()
    partial_index: str = ""

    @property
    def and_sql(self) -> str:
        """To be put behind another condition."""
        return f" AND {self.sql}"

    @property
    def table(self) -> str:
        """What to select from."""
        return f"messages{by_index(self.partial_index)}" if self.partial_index else "messages"


EVERY = Condition("1 = 1")


def condition_of(key: SearchKey) -> Condition | None:
    """The key as SQL, None when the index alone cannot tell."""
    match key:
        case All():
            return EVERY
        case UidIn(ranges) if len(ranges) <= RANGES_IN_SQL:
            if not ranges:
                return Condition("1 = 0")
            sql = " OR ".join(["uid BETWEEN ? AND ?"] * len(ranges))
            return Condition(f"({sql})", tuple(bound for pair in ranges for bound in pair))
        # Literally the conditions of the indexes, or these cannot be used.
        case Not(HasFlag(flag)) if bit_of(flag) == SEEN:
            return Condition("(flags & 1) = 0", (), "messages_unseen")
        case HasFlag(flag) if bit_of(flag) == DELETED:
            return Condition("(flags & 8) <> 0", (), "messages_deleted")
        case HasFlag(flag) if bit_of(flag):
            return Condition("(flags & ?) <> 0", (bit_of(flag),))
        case SizeIs(comparison, octets):
            return Condition(f"size_octets {comparison} ?", (min(octets, LARGEST),))
        case DateIs("internal", comparison, day):
            start = (day - EPOCH_DAY) * DAY_S
            if comparison == "=":
                return Condition("internal_date BETWEEN ? AND ?", (start, start + DAY_S - 1))
            return Condition(f"internal_date {comparison} ?", (start,))
        case Not(inner):
            condition = condition_of(inner)
            if condition is None:
                return None
            return Condition(f"NOT ({condition.sql})", condition.values)
        case And(keys):
            return _joined(keys, AND)
        case Or(left, right):
            return _joined((left, right), OR)
        case _:
            return None


def _joined(keys: Sequence[SearchKey], word: str) -> Condition | None:
    conditions: list[Condition] = []
    for key in keys:
        condition = condition_of(key)
        if condition is None:
            return None
        conditions.append(condition)
    return join(conditions, word)


def join(conditions: Sequence[Condition], word: str = AND) -> Condition:
    """One of several; of none, it is met by every message."""
    if not conditions:
        return EVERY
    sql = word.join(condition.sql for condition in conditions)
    values = tuple(v for condition in conditions for v in condition.values)
    indexes = [one.partial_index for one in conditions if one.partial_index]
    # One is enough; by their names, the one that holds less comes first.
    return Condition(f"({sql})", values, min(indexes) if indexes and word == AND else "")


def uids_meeting(
    connection: sqlite3.Connection, mailbox_id: MailboxId, where: Condition, last: int = LAST_UID
) -> Sequence[int]:
    """A mailbox's messages up to a UID that meet a condition, ascending."""
    text = connection.execute(
        local_sql(
            f"SELECT string_agg(CAST(uid AS TEXT), ',') FROM (SELECT uid FROM {where.table}"  # noqa: S608 - own names only
            f" WHERE mailbox_id = ? AND uid <= ?{where.and_sql} ORDER BY uid) AS ordered"
        ),
        (mailbox_id, last, *where.values),
    ).fetchone()[0]
    return [int(uid) for uid in text.split(",")] if text else []
