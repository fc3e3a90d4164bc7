"""Puts the index's rows in order, rule by rule: what is there is the truth, the rest follows.

Owns what each rule of ``rules`` is answered with. Messages are the truth for UIDs, MODSEQs, removed
stretches and every counter; what points to nothing goes, and is reported as lost with all that is
known of it. Whatever changes for a client gets a new MODSEQ. Works inside one transaction, which
the caller commits or gives up as a whole; a second run finds nothing to do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.core.ids import AccountId
from gateway.store import bounds
from gateway.store.accounts import insert_mailbox
from gateway.store.names import INBOX
from gateway.store.queue_parts import regroup
from gateway.store.queue_rules import Rule
from gateway.store.repair_octets import OctetRepair
from gateway.store.rules import RULES
from gateway.store.transaction import Transaction
from gateway.wire.mime.summary import decode

_BEYOND_ALL_IDS = 2**32
"""More than any counter of ids has reached, where it was lost what it had."""
AT_ONCE = 20_000
MOST_LINES = 1_000
"""Said of each rule; of the others only how many there are."""

# Above these a number was never given, but is damage itself.
_LIKELY_UID = 2**32 - 2**24
_LIKELY_MODSEQ = 2**62

Row = Sequence[Any]


@dataclass(frozen=True, slots=True)
class Lost:
    """A message that is gone, and what is known of it.

    Args:
        where: account and mailbox, or the queue and its sender.
        number: its UID, or its number in the queue or among the deleted.
        date: Unix time; when it arrived.
        envelope: as IMAP tells it; empty when nobody has asked for it while it was there.
    """

    where: str
    number: int
    date: int
    size_octets: int
    envelope: str


class RowRepair:
    """Repairs by rule.

    Args:
        say: told what was done, a line each.
    """

    def __init__(self, tx: Transaction, octets: OctetRepair, say: Callable[[str], None]) -> None:
        self._tx = tx
        self._octets = octets
        self._say = say
        self.lost: list[Lost] = []

    def run(self, rules: Sequence[Rule] = RULES) -> None:
        """What each rule finds, in their order. Raises: sqlite3.Error, OSError."""
        for rule in rules:
            repair = REPAIRS.get(rule.name)
            if repair is None:
                continue  # nothing can be done about it; the check afterwards tells
            said = 0
            for rows in self._found(rule):
                for row in rows[: MOST_LINES - said]:
                    self._say(f"{rule.text.format(*row)}: {repair.done}")
                said += len(rows)
                repair.run(self, rows)
            if said > MOST_LINES:
                self._say(f"… and {said - MOST_LINES} more: {repair.done}")

    def _found(self, rule: Rule) -> Iterator[list[Row]]:
        """A part of what contradicts the rule, again and again until nothing does."""
        before: list[Row] = []
        while rows := self._tx.fetch_all(f"SELECT * FROM ({rule.statement}) AS found LIMIT ?",  # noqa: S608 - own names only
                                         (AT_ONCE,)):  # fmt: skip
            if rows == before:
                raise AssertionError(f"the repair of {rule.name!r} repairs nothing")
            before = rows
            yield rows

    # -- rows that point to nothing

    def put_mailboxless_aside(self, rows: Sequence[Row]) -> None:
        for mailbox_id, uid, blob_id in rows:
            path = self._octets.keep_whole_aside(f"mailbox-{mailbox_id}-uid-{uid}", blob_id)
            self._say(f"message {uid}: kept as {path}" if path else f"message {uid}: unreadable")
            self._forget_message(mailbox_id, uid)

    def lose_messages(self, rows: Sequence[Row]) -> None:
        for mailbox_id, uid, blob_id in rows:
            account_id, name, size, date = self._tx.fetch_all(
                "SELECT b.account_id, b.name, m.size_octets, m.internal_date FROM messages AS m"
                " JOIN mailboxes AS b ON b.mailbox_id = m.mailbox_id"
                " WHERE m.mailbox_id = ? AND m.uid = ?",
                (mailbox_id, uid),
            )[0]
            self._lose(f"{account_id} {name}", uid, date, size, blob_id)
            self._octets.keep_candidates(blob_id, size)
            self._forget_message(mailbox_id, uid)

    def lose_queued(self, rows: Sequence[Row]) -> None:
        for queue_id, blob_id in rows:
            local, domain, size, date, stored = self._tx.fetch_all(
                "SELECT coalesce(sender_local, ''), sender_domain, size_octets, created_at,"
                " size_octets + content_offset FROM queue WHERE queue_id = ?",
                (queue_id,),
            )[0]
            recipients = ", ".join(
                f"{one}@{at}"
                for one, at in self._tx.fetch_all(
                    "SELECT local_part, domain FROM queue_recipients WHERE queue_id = ?",
                    (queue_id,),
                )
            )
            sender = f"{local}@{domain}" if domain else "<>"
            self._lose(f"queue, from {sender} to {recipients}", queue_id, date, size, blob_id)
            self._octets.keep_candidates(blob_id, stored)
            for table in ("queue_recipients", "queue_parts", "queue"):
                self._tx.execute(f"DELETE FROM {table} WHERE queue_id = ?", (queue_id,))  # noqa: S608 - own names only

    def regroup(self, rows: Sequence[Row]) -> None:
        for queue_id in {row[0] for row in rows}:
            regroup(self._tx, queue_id, self._tx.now, ends_leases=True)

    def lose_deleted(self, rows: Sequence[Row]) -> None:
        for vault_id, blob_id in rows:
            account_id, name, uid, size, date = self._tx.fetch_all(
                "SELECT account_id, mailbox_name, uid, size_octets, internal_date FROM vault"
                " WHERE vault_id = ?",
                (vault_id,),
            )[0]
            self._lose(f"{account_id} deleted from {name}", uid, date, size, blob_id)
            self._octets.keep_candidates(blob_id, size)
            self._tx.execute("DELETE FROM vault WHERE vault_id = ?", (vault_id,))

    def _lose(self, where: str, number: int, date: int, size: int, blob_id: int) -> None:
        row = self._tx.fetch_one("SELECT data FROM summaries WHERE blob_id = ?", (blob_id,))
        try:
            envelope = decode(row[0]).envelope.decode("utf-8", "replace") if row else ""
        except Exception:  # it is damaged as well
            envelope = ""
        self.lost.append(Lost(where, number, date, size, envelope))

    def _forget_message(self, mailbox_id: int, uid: int) -> None:
        """The stretch it leaves is found by the rule that counts UIDs."""
        self._tx.execute("DELETE FROM messages WHERE mailbox_id = ? AND uid = ?", (mailbox_id, uid))

    def make_account(self, rows: Sequence[Row]) -> None:
        for account_id in {row[1] for row in rows}:
            self._tx.execute(
                "INSERT INTO accounts (account_id, inbox_id, created_at) VALUES (?, 0, ?)",
                (account_id, self._tx.now),
            )

    def make_inbox(self, rows: Sequence[Row]) -> None:
        for (account_id,) in rows:
            row = self._tx.fetch_one(
                "SELECT mailbox_id FROM mailboxes WHERE account_id = ? AND name = ?",
                (account_id, INBOX),
            )
            inbox_id = row[0] if row else insert_mailbox(self._tx, AccountId(account_id), INBOX)
            self._tx.execute(
                "UPDATE accounts SET inbox_id = ? WHERE account_id = ?", (inbox_id, account_id)
            )

    # -- UIDs and MODSEQs

    def begin_uids_anew(self, rows: Sequence[Row]) -> None:
        """Which were given is not known, so clients have to begin anew with the mailbox."""
        for (mailbox_id,) in rows:
            self._tx.execute(bounds.MAILBOX_UIDS.correction, (mailbox_id,))
            self._tx.execute(
                "UPDATE mailboxes SET uid_validity = ? WHERE mailbox_id = ?",
                (self._tx.new_uid_validity(), mailbox_id),
            )

    def renumber(self, rows: Sequence[Row]) -> None:
        for mailbox_id, uid in rows:
            ((next_uid,),) = self._tx.fetch_all(
                "SELECT max(uid_next, 1 + (SELECT coalesce(max(m.uid), 0) FROM messages AS m"
                " WHERE m.mailbox_id = ?1 AND m.uid <= ?2)) FROM mailboxes WHERE mailbox_id = ?1",
                (mailbox_id, bounds.LAST_UID),
            )
            self._tx.execute(
                "UPDATE messages SET uid = ? WHERE mailbox_id = ? AND uid = ?",
                (next_uid, mailbox_id, uid),
            )
            self._tx.execute(
                "UPDATE mailboxes SET uid_next = ? WHERE mailbox_id = ?", (next_uid + 1, mailbox_id)
            )

    def raise_uid_next(self, rows: Sequence[Row]) -> None:
        self._each("UPDATE mailboxes SET uid_next = ?2 + 1 WHERE mailbox_id = ?1", rows, 2)

    def raise_modseqs(self, rows: Sequence[Row]) -> None:
        mailboxes = [(mailbox_id,) for mailbox_id in sorted({row[0] for row in rows})]
        self._each(
            "UPDATE mailboxes SET highest_modseq = max(highest_modseq, (SELECT"
            " max(max(modseq, created_modseq)) FROM messages WHERE mailbox_id = ?1))"
            " WHERE mailbox_id = ?1",
            mailboxes,
            1,
        )
        self.renew(mailboxes)

    def renew(self, rows: Sequence[Row]) -> None:
        """Every message of the mailbox has changed, for whoever asks."""
        for mailbox_id in sorted({row[0] for row in rows}):
            modseq = self._next_modseq(mailbox_id)
            self._tx.execute(
                "UPDATE messages SET modseq = ?, created_modseq = ? WHERE mailbox_id = ?",
                (modseq, modseq, mailbox_id),
            )

    def rebuild_stretches(self, rows: Sequence[Row]) -> None:
        """Every UID that was given is a message's, or removed."""
        for mailbox_id in sorted({row[0] for row in rows}):
            # UIDs and MODSEQs that were given stay given, whatever else is wrong with a stretch.
            self._tx.execute(
                "UPDATE mailboxes SET uid_next = max(uid_next, (SELECT coalesce(max(last_uid), 0)"
                " + 1 FROM expunged WHERE mailbox_id = ?1 AND last_uid < ?2)),"
                " highest_modseq = max(highest_modseq, (SELECT coalesce(max(modseq), 0)"
                " FROM expunged WHERE mailbox_id = ?1 AND modseq < ?3)) WHERE mailbox_id = ?1",
                (mailbox_id, _LIKELY_UID, _LIKELY_MODSEQ),
            )
            modseq = self._next_modseq(mailbox_id)
            # A client may have been told that these are gone.
            self._tx.execute(
                "UPDATE messages SET modseq = ?1 WHERE mailbox_id = ?2 AND EXISTS (SELECT 1"
                " FROM expunged AS e WHERE e.mailbox_id = ?2"
                " AND messages.uid BETWEEN e.first_uid AND e.last_uid)",
                (modseq, mailbox_id),
            )
            self._tx.execute("DELETE FROM expunged WHERE mailbox_id = ?", (mailbox_id,))
            self._tx.execute(
                "INSERT INTO expunged (mailbox_id, modseq, first_uid, last_uid)"
                " SELECT ?1, ?2, before + 1, uid - 1 FROM (SELECT uid, lag(uid, 1, 0)"
                " OVER (ORDER BY uid) AS before FROM (SELECT uid FROM messages"
                " WHERE mailbox_id = ?1 UNION ALL SELECT uid_next FROM mailboxes"
                " WHERE mailbox_id = ?1) AS given) AS gaps WHERE uid - before > 1",
                (mailbox_id, modseq),
            )

    def _next_modseq(self, mailbox_id: int) -> int:
        (modseq,) = self._tx.fetch_all(
            "UPDATE mailboxes SET highest_modseq = highest_modseq + 1 WHERE mailbox_id = ?"
            " RETURNING highest_modseq",
            (mailbox_id,),
        )[0]
        return int(modseq)

    # -- counters

    def correct_references(self, rows: Sequence[Row]) -> None:
        for blob_id, kept, found in rows:
            if found:
                self._tx.execute("UPDATE blobs SET refs = ? WHERE blob_id = ?", (found, blob_id))
                continue
            if kept:  # somebody's mail, though nobody knows whose
                path = self._octets.keep_whole_aside(f"unclaimed-{blob_id}", blob_id)
                self._say(
                    f"octets {blob_id}: kept as {path}" if path else f"octets {blob_id}: lost"
                )
            self._tx.execute("UPDATE blobs SET refs = 0 WHERE blob_id = ?", (blob_id,))
        self._tx.sweep(0)

    def _each(self, sql: str, rows: Sequence[Row], columns: int) -> None:
        for row in rows:
            self._tx.execute(sql, row[:columns])


@dataclass(frozen=True, slots=True)
class _Repair:
    """What a rule is answered with, and how that is told."""

    done: str
    run: Callable[[RowRepair, Sequence[Row]], None]


def _delete(table: str, *columns: str) -> _Repair:
    where = " AND ".join(f"{column} = ?{place}" for place, column in enumerate(columns, start=1))
    sql = f"DELETE FROM {table} WHERE {where}"  # noqa: S608 - own names only
    return _each("removed", sql, len(columns))


def _each(done: str, sql: str, columns: int) -> _Repair:
    """A statement for each row found, with its first columns."""
    return _Repair(done, lambda repair, rows: repair._each(sql, rows, columns))


def _correct(of: bounds.Bounds) -> _Repair:
    return _each("corrected", of.correction, len(of.keys))


REPAIRS: dict[str, _Repair] = {
    "octets' row": _each("corrected", bounds.BLOBS_CORRECTION, 1),
    "segment row": _delete("segments", "segment_id"),
    "counter": _each(
        "made anew",
        "INSERT INTO counters (name, value) SELECT ?1, CASE WHEN ?1 IN ('blob', 'mailbox', 'queue',"
        f" 'segment') THEN {_BEYOND_ALL_IDS} ELSE 0 END WHERE TRUE"
        " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        1,
    ),
    "account numbers": _correct(bounds.ACCOUNTS),
    "mailbox numbers": _correct(bounds.MAILBOX_COUNTERS),
    "mailbox UIDs": _Repair("clients begin anew with it", RowRepair.begin_uids_anew),
    "message numbers": _correct(bounds.MESSAGES),
    "stretch numbers": _delete("expunged", "mailbox_id", "first_uid"),
    "queue numbers": _correct(bounds.QUEUE),
    "deleted numbers": _correct(bounds.VAULT),
    "message UID": _Repair("it gets a new one", RowRepair.renumber),
    "message without mailbox": _Repair("removed", RowRepair.put_mailboxless_aside),
    "message without octets": _Repair("lost; its row is removed", RowRepair.lose_messages),
    "queued without octets": _Repair("lost; removed from the queue", RowRepair.lose_queued),
    "deleted without octets": _Repair("lost; its row is removed", RowRepair.lose_deleted),
    "queued without recipients": _delete("queue", "queue_id"),
    "recipient without message": _delete("queue_recipients", "queue_id", "number"),
    "part without message": _delete("queue_parts", "queue_id"),
    "part numbers": _correct(bounds.PARTS),
    "destination numbers": _delete("queue_destinations", "destination"),
    "recipient without part": _Repair("its parts are made anew", RowRepair.regroup),
    "part without recipients": _Repair("removed", RowRepair.regroup),
    "part's state": _Repair("found anew", RowRepair.regroup),
    "ready out of line": _each(
        "it stands in line",
        "INSERT INTO queue_destinations (destination, look_at, turn) VALUES (?1, 0, 0)"
        " ON CONFLICT (destination) DO NOTHING",
        1,
    ),
    "mailbox without account": _Repair("the account is made again", RowRepair.make_account),
    "subscription without account": _delete("subscriptions", "account_id", "name"),
    "account without INBOX": _Repair("it has one now", RowRepair.make_inbox),
    "summary without octets": _delete("summaries", "blob_id"),
    "stretch without mailbox": _delete("expunged", "mailbox_id", "first_uid"),
    "keyword without mailbox": _delete("keywords", "mailbox_id", "folded"),
    "uidl without mailbox": _delete("uidls", "mailbox_id", "uid"),
    "kept UIDs without mailbox": _delete("kept_uids", "mailbox_id"),
    "import without account": _delete("imports", "account_id", "origin"),
    "UID not below the next": _Repair("the next UID is raised", RowRepair.raise_uid_next),
    "MODSEQ out of bounds": _Repair("new MODSEQs are given", RowRepair.raise_modseqs),
    "MODSEQ order": _Repair("new MODSEQs are given", RowRepair.renew),
    "living although expunged": _Repair("what lives is kept", RowRepair.rebuild_stretches),
    "expunged stretch": _Repair("found anew from what lives", RowRepair.rebuild_stretches),
    "UIDs that are nowhere": _Repair("noted as removed", RowRepair.rebuild_stretches),
    "id given twice": _each(
        "the next id is raised", "UPDATE counters SET value = ?3 WHERE name = ?1", 3
    ),
    "mailbox counters": _each(
        "counted anew",
        "UPDATE mailboxes SET messages = ?6, unseen = ?7, size_octets = ?8, old_messages = ?9"
        " WHERE mailbox_id = ?1",
        9,
    ),
    "account counters": _each(
        "counted anew",
        "UPDATE accounts SET messages = ?4, size_octets = ?5 WHERE account_id = ?1",
        5,
    ),
    "queue counters": _each("counted anew", "UPDATE counters SET value = ?3 WHERE name = ?1", 3),
    "message size": _each(
        "corrected", "UPDATE messages SET size_octets = ?4 WHERE mailbox_id = ?1 AND uid = ?2", 4
    ),
    "references": _Repair("counted anew", RowRepair.correct_references),
    "segment counters": _each(
        "counted anew",
        "UPDATE segments SET live_blobs = ?4, live_octets = ?5 WHERE segment_id = ?1",
        5,
    ),
    "segment not listed": _each(
        "listed",
        "INSERT INTO segments (segment_id, live_blobs, live_octets)"
        " SELECT ?1, count(*), sum(size_octets) FROM blobs WHERE segment_id = ?1",
        1,
    ),
}
