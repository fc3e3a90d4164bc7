"""Finds the messages that match a search key (RFC 3501 section 6.4.4), in a reader thread.

Conditions on UID, flags, size and internal date are left to the index; of the rest, cheap tests run
first, and a message's octets are read only when a test needs them. Matching ignores case. Never
holds a transaction open while it reads messages. A message that cannot be read does not match.

A search goes by pieces, each a job of its own: however many people search large mailboxes, the
readers serve everyone in between, and a search whose client has gone ends with its piece.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

from gateway.core.errors import MessageGone, StoreDamaged
from gateway.core.ids import MailboxId, Uid
from gateway.core.search import (
    All,
    And,
    DateIs,
    HasFlag,
    HeaderHas,
    Not,
    Or,
    SearchKey,
    SizeIs,
    TextHas,
    UidIn,
)
from gateway.core.uidset import contains
from gateway.store.blobs import StoredOctets
from gateway.store.candidate import Candidate
from gateway.store.engine import local_sql
from gateway.store.flags import bit_of
from gateway.store.readers import Pool
from gateway.store.selection import all_uids
from gateway.store.summaries import Summaries
from gateway.wire.mime.dates import parse_date

PIECE_MESSAGES = 100
PIECE_OCTETS = 4 * 1024 * 1024  # a tenth of a second or so, if every octet has to be looked at
RANGES_IN_SQL = 50
EPOCH_DAY = 719_163  # date(1970, 1, 1).toordinal()
DAY_S = 86_400
LARGEST = 2**63 - 1  # what the index can compare


class Condition(NamedTuple):
    """Part of a WHERE clause."""

    sql: str
    values: tuple[int, ...] = ()


class Test(NamedTuple):
    """A test on a message; cheap ones have a low cost."""

    cost: int
    matches: Callable[[Candidate], bool]


class Search:
    """The search of the port MailboxStore."""

    def __init__(self, readers: Pool[StoredOctets], summaries: Summaries) -> None:
        self._readers = readers
        self._summaries = summaries

    async def search(self, mailbox_id: MailboxId, key: SearchKey) -> Sequence[Uid]:
        parts = key.keys if isinstance(key, And) else (key,)
        conditions: list[Condition] = []
        tests: list[Test] = []
        for part in parts:
            condition = condition_of(part)
            if condition is not None:
                conditions.append(condition)
            else:
                tests.append(test_of(part))
        where = "".join(f" AND {condition.sql}" for condition in conditions)
        values = tuple(value for condition in conditions for value in condition.values)
        if not tests:
            return await self._readers.run(
                lambda stored: _all_matching(stored, mailbox_id, where, values)
            )
        tests.sort(key=lambda test: test.cost)
        found: list[Uid] = []
        after: int | None = 0
        while after is not None:
            query = (mailbox_id, after, *values, PIECE_MESSAGES)
            matching, after = await self._readers.run(
                partial(self._piece, where=where, query=query, tests=tests)
            )
            found += matching
        return found

    def _piece(
        self, stored: StoredOctets, where: str, query: tuple[int, ...], tests: Sequence[Test]
    ) -> tuple[list[Uid], int | None]:
        """The matching ones of the next messages, and the last UID looked at; None at the end."""
        rows = stored.connection.execute(
            "SELECT uid, flags, keywords, internal_date, size_octets, blob_id"  # noqa: S608 - own names only
            f" FROM messages WHERE mailbox_id = ? AND uid > ?{where} ORDER BY uid LIMIT ?",
            query,
        ).fetchall()
        found: list[Uid] = []
        octets = 0
        for row in rows:
            candidate = Candidate(row, stored, self._summaries)
            try:
                if all(test.matches(candidate) for test in tests):
                    found.append(Uid(candidate.uid))
            except (MessageGone, StoreDamaged):
                pass
            octets += candidate.size_octets
            if octets >= PIECE_OCTETS:
                return found, candidate.uid
        return found, rows[-1][0] if len(rows) == PIECE_MESSAGES else None


def _all_matching(
    stored: StoredOctets, mailbox_id: MailboxId, where: str, values: tuple[int, ...]
) -> list[Uid]:
    if not where:
        return [Uid(uid) for uid in all_uids(stored.connection, mailbox_id)]
    text = stored.connection.execute(
        local_sql(
            "SELECT string_agg(CAST(uid AS TEXT), ',') FROM"  # noqa: S608 - own names only
            f" (SELECT uid FROM messages WHERE mailbox_id = ?{where} ORDER BY uid) AS ordered"
        ),
        (mailbox_id, *values),
    ).fetchone()[0]
    return [Uid(int(uid)) for uid in text.split(",")] if text else []


def condition_of(key: SearchKey) -> Condition | None:
    """The key as SQL, None when the index alone cannot tell."""
    match key:
        case All():
            return Condition("1 = 1")
        case UidIn(ranges) if len(ranges) <= RANGES_IN_SQL:
            if not ranges:
                return Condition("1 = 0")
            sql = " OR ".join(["uid BETWEEN ? AND ?"] * len(ranges))
            return Condition(f"({sql})", tuple(bound for pair in ranges for bound in pair))
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
            return _joined(keys, " AND ")
        case Or(left, right):
            return _joined((left, right), " OR ")
        case _:
            return None


def _joined(keys: Sequence[SearchKey], word: str) -> Condition | None:
    conditions: list[Condition] = []
    for key in keys:
        condition = condition_of(key)
        if condition is None:
            return None
        conditions.append(condition)
    if not conditions:
        return Condition("1 = 1")
    sql = word.join(condition.sql for condition in conditions)
    return Condition(f"({sql})", tuple(v for condition in conditions for v in condition.values))


def test_of(key: SearchKey) -> Test:
    """The key as a function; recursion is bounded by the parser (SECURITY I6)."""
    match key:
        case All():
            return Test(0, lambda _: True)
        case UidIn(ranges):
            return Test(1, lambda one: contains(ranges, one.uid))
        case HasFlag(flag):
            return Test(1, lambda one: one.has_flag(flag))
        case SizeIs("<", octets):
            return Test(1, lambda one: one.size_octets < octets)
        case SizeIs(_, octets):
            return Test(1, lambda one: one.size_octets > octets)
        case DateIs("internal", comparison, day):
            return Test(
                1, lambda one: _compare(one.internal_date // DAY_S + EPOCH_DAY, comparison, day)
            )
        case DateIs(_, comparison, day):
            return Test(10, lambda one: _sent_matches(one, comparison, day))
        case HeaderHas(name, text):
            folded = text.casefold()
            return Test(10, lambda one: any(folded in value for value in one.header_values(name)))
        case TextHas(text, with_header):
            folded = text.casefold()
            return Test(100, lambda one: one.has_text(folded, with_header))
        case Not(inner):
            cost, matches = test_of(inner)
            return Test(cost, lambda one: not matches(one))
        case And(keys):
            both = sorted((test_of(part) for part in keys), key=lambda test: test.cost)
            return Test(
                max((test.cost for test in both), default=0),
                lambda one: all(test.matches(one) for test in both),
            )
        case Or(left, right):
            either = sorted((test_of(left), test_of(right)), key=lambda test: test.cost)
            return Test(either[-1].cost, lambda one: any(test.matches(one) for test in either))


def _compare(value: int, comparison: str, day: int) -> bool:
    if comparison == "<":
        return value < day
    return value == day if comparison == "=" else value >= day


def _sent_matches(one: Candidate, comparison: str, day: int) -> bool:
    """RFC 3501 section 6.4.4: the Date header's own date, disregarding time and timezone."""
    for value in one.header_values("date", fold=False):
        sent = parse_date(value)
        return sent is not None and _compare(sent.date().toordinal(), comparison, day)
    return False
