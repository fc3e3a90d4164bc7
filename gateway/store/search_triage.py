"""Sorts a mailbox's indexed messages by what the search index knows of a search.

Owns the rules by which answers for single keys become one for the whole search. Each part of it
gets two sets: messages that surely match, and those that possibly do. What is in the second set
only has to be looked at. Works in a reader thread, as one job, whatever the mailbox's size.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import compress

from gateway.core.ids import MailboxId
from gateway.core.search import And, HeaderHas, Not, Or, SearchKey, TextHas
from gateway.store import engine
from gateway.store.search_conditions import EVERY, Condition, condition_of, uids_meeting
from gateway.store.search_index.lookup import Lookup, MailboxAt, Verdict
from gateway.store.search_tests import Known

FEW_UIDS = 2_000
"""So many are looked for one by one; for more, all UIDs of the mailbox are read."""


@dataclass(frozen=True, slots=True)
class Sorted:
    """The outcome: messages up to the watermark that match, and those to be looked at."""

    watermark: int
    sure: list[int]
    doubtful: list[int]
    known: Known


def asks_for_text(key: SearchKey) -> bool:
    """Whether the search index can help with a key."""
    match key:
        case HeaderHas() | TextHas():
            return True
        case Not(inner):
            return asks_for_text(inner)
        case And(keys):
            return any(map(asks_for_text, keys))
        case Or(left, right):
            return asks_for_text(left) or asks_for_text(right)
        case _:
            return False


def triage(
    index: sqlite3.Connection,
    search_file: sqlite3.Connection,
    mailbox: MailboxAt,
    keys: Sequence[SearchKey],
    where: Condition,
) -> Sorted:
    """What is known of the messages that meet all keys and the condition."""
    work = _Triage(index, Lookup(search_file, mailbox), MailboxId(mailbox.mailbox_id))
    verdict = work.judge(And(tuple(keys)))
    lookup = work.lookup
    return Sorted(
        lookup.watermark,
        work.existing(verdict.sure, where),
        work.existing(verdict.possible & ~verdict.sure, where),
        work.known,
    )


class _Triage:
    def __init__(self, index: sqlite3.Connection, lookup: Lookup, mailbox_id: MailboxId) -> None:
        self._index = index
        self._mailbox_id = mailbox_id
        self.lookup = lookup
        self.known: dict[SearchKey, Callable[[int], bool | None]] = {}

    def judge(self, key: SearchKey) -> Verdict:
        """Recursion is bounded by the parser (SECURITY I6)."""
        every = self.lookup.all
        match key:
            case TextHas():
                return self._note(key, self.lookup.text(key))
            case HeaderHas():
                return self._note(key, self.lookup.header(key))
            case Not(inner):
                verdict = self.judge(inner)
                return Verdict(every & ~verdict.possible, every & ~verdict.sure)
            case And(keys):
                sure = possible = every
                # Conditions of the index first: they cost least, and may leave nothing to ask.
                for part in sorted(keys, key=asks_for_text):
                    if not possible:
                        break
                    verdict = self.judge(part)
                    sure &= verdict.sure
                    possible &= verdict.possible
                return Verdict(sure & possible, possible)
            case Or(left, right):
                one, other = self.judge(left), self.judge(right)
                return Verdict(one.sure | other.sure, one.possible | other.possible)
        condition = condition_of(key)
        if condition is None:
            return Verdict(0, every)
        meeting = uids_meeting(self._index, self._mailbox_id, condition, self.lookup.watermark)
        bits = self.lookup.bits_of(set(meeting))
        return Verdict(bits, bits)

    def _note(self, key: SearchKey, verdict: Verdict) -> Verdict:
        """Keep an answer for those messages that have to be looked at for another key."""
        number_of = self.lookup.number_of
        octets = len(self.lookup.uids) // 8 + 1
        sure = verdict.sure.to_bytes(octets, "little")
        possible = verdict.possible.to_bytes(octets, "little")

        def answer(uid: int) -> bool | None:
            number = number_of(uid)
            if number is None:
                return None
            place, bit = number >> 3, 1 << (number & 7)
            if not possible[place] & bit:
                return False
            return True if sure[place] & bit else None

        self.known[key] = answer
        return verdict

    def existing(self, bits: int, where: Condition) -> list[int]:
        """Those of a set that are still there and meet the condition, ascending."""
        uids = list(compress(self.lookup.uids, self.lookup.marks_of(bits))) if bits else []
        if not uids or (where == EVERY and self._all_are_there()):
            return uids
        if len(uids) > FEW_UIDS:
            wanted = set(uids)
            meeting = uids_meeting(self._index, self._mailbox_id, where, self.lookup.watermark)
            return [uid for uid in meeting if uid in wanted]
        found: list[int] = []
        for start in range(0, len(uids), engine.IDS_PER_STATEMENT):
            piece = uids[start : start + engine.IDS_PER_STATEMENT]
            marks = ", ".join("?" * len(piece))
            rows = self._index.execute(
                "SELECT uid FROM messages"  # noqa: S608 - own names only
                f" WHERE mailbox_id = ? AND uid IN ({marks}){where.and_sql} ORDER BY uid",
                (self._mailbox_id, *piece, *where.values),
            )
            found += (uid for (uid,) in rows)
        return found

    def _all_are_there(self) -> bool:
        """Whether none of the indexed messages was expunged, going by the mailbox's counter."""
        row = self._index.execute(
            "SELECT messages - (SELECT count(*) FROM messages WHERE mailbox_id = ? AND uid > ?)"
            " FROM mailboxes WHERE mailbox_id = ?",
            (self._mailbox_id, self.lookup.watermark, self._mailbox_id),
        ).fetchone()
        return row is not None and row[0] == len(self.lookup.uids)
