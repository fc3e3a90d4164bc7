"""Asks a search file which messages of a mailbox hold a text: surely, perhaps, or not.

Works in a reader thread, in one transaction of the file. Messages are counted through all runs of
the mailbox, and a set of them is an integer with a bit for each: joining the sets of a hundred
thousand messages takes microseconds. Knows nothing of messages above the watermark, and may still
name ones that were expunged.
"""

from __future__ import annotations

import json
import sqlite3
from array import array
from bisect import bisect_left
from collections.abc import Sequence
from typing import NamedTuple

from gateway.core.search import HeaderHas, TextHas
from gateway.store.search_index.documents import OWN_COLUMNS
from gateway.store.search_index.format import (
    BODY,
    COLUMNS,
    HEADER,
    INCOMPLETE,
    SUBJECT,
    NotOurs,
    marks,
    to_bits,
    unsealed,
)
from gateway.store.search_index.words import Question, Term, question, whole_words

MOST_WORDS = 50_000
"""Words that a text may be part of; a text in more of them is in nearly every message anyway."""
MANY_WORDS = 2_000
"""A term with more words is left out where others narrow as well and all is looked at anyway."""
GRAM = 3


class Verdict(NamedTuple):
    """Messages that surely match, and all that possibly do, as bits."""

    sure: int
    possible: int


class MailboxAt(NamedTuple):
    """A mailbox as the store has it; marks that do not fit are of another life of it."""

    mailbox_id: int
    uid_validity: int
    uid_next: int


class _Run(NamedTuple):
    run_id: int
    documents: int
    first: int  # the number of its first message in the mailbox


class Lookup:
    """One mailbox in an account's search file, as it was when this was made."""

    def __init__(self, connection: sqlite3.Connection, mailbox: MailboxAt) -> None:
        self._connection = connection
        row = connection.execute(
            "SELECT watermark FROM mailboxes"
            " WHERE mailbox_id = ? AND uid_validity = ? AND watermark < ?",
            mailbox,
        ).fetchone()
        self.watermark: int = row[0] if row is not None else 0
        self.uids = array("I")
        """Indexed messages, ascending; the place of a UID here is its bit."""
        self._runs: list[_Run] = []
        for run_id, documents, uids in connection.execute(
            "SELECT run_id, documents, uids FROM runs WHERE mailbox_id = ? ORDER BY first_uid",
            (mailbox.mailbox_id if row is not None else 0,),
        ):
            self._runs.append(_Run(run_id, documents, len(self.uids)))
            self.uids.frombytes(unsealed(uids, run_id))
            if len(self.uids) != self._runs[-1].first + documents:
                raise NotOurs("messages")
        self.all = (1 << len(self.uids)) - 1
        self._incomplete = self._messages_with([INCOMPLETE], (SUBJECT, SUBJECT))

    # -- sets

    def bits_of(self, uids: set[int]) -> int:
        """The set of these messages; others than indexed ones are left out."""
        return to_bits(
            [number for number, uid in enumerate(self.uids) if uid in uids], len(self.uids)
        )

    def marks_of(self, bits: int) -> bytes:
        """An octet for each of ``uids``: 1 where it belongs to the set."""
        return marks(bits, len(self.uids))

    def number_of(self, uid: int) -> int | None:
        """The bit of a message; None for one that is not indexed."""
        number = bisect_left(self.uids, uid)
        return number if number < len(self.uids) and self.uids[number] == uid else None

    # -- questions

    def text(self, key: TextHas) -> Verdict:
        asked = question(key.text.casefold())
        columns = (SUBJECT, BODY) if key.with_header else (BODY, BODY)
        return self._verdict(asked, columns)

    def header(self, key: HeaderHas) -> Verdict:
        asked = question(key.text.casefold())
        name = key.name.lower()
        own = OWN_COLUMNS.get(name.encode("utf-8", "replace"))
        if own is not None and asked.terms:
            return self._verdict(asked, (own, own))
        # The name is in the shared column as well; that both are of one field remains to be seen.
        terms = (*asked.terms, *whole_words(name.casefold()))
        if own is not None:
            terms = tuple(whole_words(name.casefold()))
        return self._verdict(Question(terms, exact=False), (HEADER, HEADER))

    def _verdict(self, asked: Question, columns: tuple[int, int]) -> Verdict:
        found = self.all
        narrowed = False
        # The longest piece is the rarest, most of the time.
        for term in sorted(asked.terms, key=lambda term: -len(term.text)):
            most = MOST_WORDS if asked.exact or not narrowed else MANY_WORDS
            holding = self._holding(term, most, columns)
            if holding is None:
                continue
            found &= holding
            narrowed = True
            if not found:
                break
        possible = found | self._incomplete
        # An incomplete message may have been found by a word of its own, but has none.
        return Verdict(found if asked.exact and narrowed else 0, possible)

    # -- words

    def _holding(self, term: Term, most: int, columns: tuple[int, int]) -> int | None:
        """Messages with a word that meets a condition; None if too many words do, or time is up."""
        try:
            words = self._words(term, most)
            return None if words is None else self._messages_with(words, columns)
        except sqlite3.OperationalError as error:
            if getattr(error, "sqlite_errorname", "") != "SQLITE_INTERRUPT":
                raise
            return None  # what was found before still narrows

    def _words(self, term: Term, most: int) -> list[int] | None:
        """Ids of the words that meet a condition; None if there are more."""
        text, kind = term.text, term.kind
        values: tuple[str | int, ...]
        if kind == "whole":
            sql, values = "word = ?", (text,)
        elif kind == "start":
            sql, values = "word >= ? AND word < ?", (text, text + chr(0x10FFFF))
        elif kind == "end":
            sql, values = "substr(word, ?) = ?", (-len(text), text)
        else:
            sql, values = "instr(word, ?) > 0", (text,)
        if kind in ("within", "end") and len(text) >= GRAM:
            grams = {text[start : start + GRAM] for start in range(len(text) - GRAM + 1)}
            sql = f"word_id IN (SELECT rowid FROM grams WHERE grams MATCH ?) AND {sql}"  # noqa: S608 - own names only
            values = (" AND ".join(f'"{gram}"' for gram in sorted(grams)), *values)
        rows = self._connection.execute(
            f"SELECT word_id FROM words WHERE {sql} LIMIT ?",  # noqa: S608 - own names only
            (*values, most + 1),
        ).fetchall()
        return [word_id for (word_id,) in rows] if len(rows) <= most else None

    def _messages_with(self, words: Sequence[int], columns: tuple[int, int]) -> int:
        """Messages with any of these words in any of these columns, first to last."""
        listed = json.dumps(words)
        first, last = columns
        found = 0
        for run in self._runs:
            bitmap_octets = (run.documents + 7) // 8
            bits = 0
            numbers = array("H")
            for key, octets in self._connection.execute(
                "SELECT p.key, p.data FROM json_each(?) AS wanted CROSS JOIN postings AS p"
                " WHERE p.run_id = ?"
                " AND p.key BETWEEN wanted.value * ? + ? AND wanted.value * ? + ?",
                (listed, run.run_id, COLUMNS, first, COLUMNS, last),
            ):
                data = unsealed(octets, key)
                if len(data) < bitmap_octets:
                    numbers.frombytes(data)
                else:
                    bits |= int.from_bytes(data, "little")
            if numbers:
                bits |= to_bits(numbers, run.documents)
            found |= bits << run.first
        return found
