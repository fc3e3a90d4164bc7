"""Which numbers a row may hold, and what is put where one is impossible.

Owns the bounds of columns that other rules count and compare with; where such a number is beyond
what can have been given, it is damage itself and must not spread by being made the truth. Says
nothing of what rows mean to each other (``rules``).
"""

from __future__ import annotations

from typing import NamedTuple

LAST_UID = 2**32 - 2
LAST_NUMBER = 2**62
LAST_ID = 2**60
_FIRST_DATE, LAST_DATE = -62_135_596_800, 253_402_300_799  # years 1 and 9999
NEVER = LAST_DATE
"""When a message is due that waits for somebody to release it."""
_NOW = "CAST(strftime('%s', 'now') AS INTEGER)"


class Bound(NamedTuple):
    """``instead`` is an expression; later rules find what it ought to be."""

    column: str
    low: int
    high: int
    instead: str = "0"


class Bounds(NamedTuple):
    """Of the columns of one table."""

    table: str
    keys: tuple[str, ...]
    bounds: tuple[Bound, ...]

    @property
    def outside(self) -> str:
        """Keys of rows with an impossible number. Text and blobs are above every number."""
        test = " OR ".join(
            f"{one.column} NOT BETWEEN {one.low} AND {one.high}" for one in self.bounds
        )
        return f"SELECT {', '.join(self.keys)} FROM {self.table} WHERE {test}"  # noqa: S608 - own names only

    @property
    def correction(self) -> str:
        """For one row, by its keys."""
        values = ", ".join(
            f"{one.column} = CASE WHEN {one.column} BETWEEN {one.low} AND {one.high}"
            f" THEN {one.column} ELSE {one.instead} END"
            for one in self.bounds
        )
        where = " AND ".join(f"{key} = ?{place}" for place, key in enumerate(self.keys, start=1))
        return f"UPDATE {self.table} SET {values} WHERE {where}"  # noqa: S608 - own names only


def _date(column: str) -> Bound:
    # Not long ago: clients that tidy up by age would remove the message.
    return Bound(column, _FIRST_DATE, LAST_DATE, _NOW)


def _count(column: str) -> Bound:
    return Bound(column, 0, 2**50)


ACCOUNTS = Bounds(
    "accounts", ("account_id",),
    (
        _count("messages"), _count("size_octets"), Bound("quota_messages", 0, LAST_NUMBER),
        Bound("quota_octets", 0, LAST_NUMBER),
    ),
)  # fmt: skip
MAILBOX_COUNTERS = Bounds(
    "mailboxes", ("mailbox_id",),
    (
        _count("messages"), _count("unseen"), _count("size_octets"), _count("old_messages"),
        Bound("recent_from", 0, LAST_UID + 1),
    ),
)  # fmt: skip
MAILBOX_UIDS = Bounds(
    "mailboxes", ("mailbox_id",),
    (
        Bound("uid_validity", 1, 2**32 - 1), Bound("uid_next", 1, LAST_UID + 1, "1"),
        Bound("highest_modseq", 0, LAST_NUMBER, "1"),
    ),
)  # fmt: skip
MESSAGES = Bounds(
    "messages", ("mailbox_id", "uid"),
    (
        Bound("modseq", 0, LAST_NUMBER, "1"), Bound("created_modseq", 0, LAST_NUMBER, "1"),
        Bound("flags", 0, 2**16), _date("internal_date"), _count("size_octets"),
    ),
)  # fmt: skip
MESSAGE_UIDS = Bounds("messages", ("mailbox_id", "uid"), (Bound("uid", 1, LAST_UID),))
SEGMENTS = Bounds(
    "segments", ("segment_id",),
    (Bound("segment_id", 1, LAST_ID), _count("live_blobs"), _count("live_octets")),
)  # fmt: skip
STRETCHES = Bounds(
    "expunged", ("mailbox_id", "first_uid"),
    (
        Bound("modseq", 0, LAST_NUMBER), Bound("first_uid", 1, LAST_UID),
        Bound("last_uid", 1, LAST_UID),
    ),
)  # fmt: skip
QUEUE = Bounds(
    "queue", ("queue_id",), (_count("size_octets"), _date("created_at"), _date("held_until"))
)
PARTS = Bounds(
    "queue_parts", ("queue_id", "destination"),
    (
        Bound("state", 0, 3, "1"), _count("turn"), _date("due_at"), Bound("rank", -9, 9),
        _count("first_number"), _count("last_number"),
    ),
)  # fmt: skip
DESTINATIONS = Bounds("queue_destinations", ("destination",), (_date("look_at"), _count("turn")))
VAULT = Bounds(
    "vault", ("vault_id",),
    (
        Bound("flags", 0, 2**16), _date("internal_date"), _count("size_octets"),
        _date("deleted_at"),
    ),
)  # fmt: skip

# Not by numbers alone: files are opened by these names, and read against these checksums.
BLOBS_OUTSIDE = (
    "SELECT blob_id FROM blobs WHERE typeof(size_octets) <> 'integer'"
    " OR typeof(segment_id) <> 'integer' OR typeof(segment_offset) <> 'integer'"
    " OR typeof(file_name) <> 'text' OR typeof(head) <> 'blob' OR typeof(checksums) <> 'blob'"
)
BLOBS_CORRECTION = (
    "UPDATE blobs SET size_octets = CAST(size_octets AS INTEGER),"
    " segment_id = CASE typeof(segment_id) WHEN 'integer' THEN segment_id ELSE -1 END,"
    " segment_offset = CASE typeof(segment_offset) WHEN 'integer' THEN segment_offset ELSE -1 END,"
    " file_name = CASE typeof(file_name) WHEN 'text' THEN file_name ELSE '' END,"
    " head = CASE typeof(head) WHEN 'blob' THEN head ELSE x'' END,"
    " checksums = CASE typeof(checksums) WHEN 'blob' THEN checksums ELSE x'' END"
    " WHERE blob_id = ?1"
)
