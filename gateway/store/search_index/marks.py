"""How far each mailbox is indexed, beside how far it goes: what the indexer has to do.

Owns a temporary table in the indexer's connection to the store (which is read-only but for that),
so that one statement finds the few mailboxes with news among many, and memory stays bounded. The
search files hold the truth; a mark that is missing here is read from there.
"""

from __future__ import annotations

import sqlite3

from gateway.core.ids import AccountId
from gateway.store.search_index.lookup import MailboxAt

ACCOUNTS = 1_000
"""Looked up at once; the others have their turn afterwards."""

# A mailbox has news when its UIDs go on behind what was looked at, and enough of them to matter, or
# when it is not the one that was indexed any more.
_NEWS = """FROM mailboxes AS b LEFT JOIN marks AS m ON m.mailbox_id = b.mailbox_id
    WHERE ((b.uid_next > coalesce(m.looked_at, 1)
            AND (b.uid_next - coalesce(m.watermark, 0) > :messages OR b.size_octets >= :octets))
        OR b.uid_validity <> m.uid_validity OR b.uid_next <= m.watermark)"""


class Marks:
    """Args:
    index: the store's index, opened for reading by this process.
    messages, octets: how much news is enough.
    """

    def __init__(self, index: sqlite3.Connection, messages: int, octets: int) -> None:
        self._index = index
        self._enough = {"messages": messages, "octets": octets}
        self._version: int | None = None
        index.execute("PRAGMA query_only = OFF")  # the file stays read-only, as it was opened
        index.execute(
            """CREATE TEMPORARY TABLE marks (
                mailbox_id INTEGER NOT NULL PRIMARY KEY,
                account_id TEXT NOT NULL,
                uid_validity INTEGER NOT NULL,
                watermark INTEGER NOT NULL,
                looked_at INTEGER NOT NULL
            )"""
        )
        index.execute("CREATE INDEX temp.marks_by_account ON marks (account_id)")

    # -- what there is to do

    def has_changed(self) -> bool:
        """Whether anything was committed to the store since this was asked last."""
        (version,) = self._index.execute("PRAGMA data_version").fetchone()
        before, self._version = self._version, version
        return bool(version != before)

    def look_again(self) -> None:
        """Let the next ``has_changed`` say yes."""
        self._version = None

    def accounts_with_news(self) -> list[AccountId]:
        rows = self._index.execute(
            f"SELECT DISTINCT b.account_id {_NEWS} LIMIT {ACCOUNTS}",
            self._enough,
        ).fetchall()
        if len(rows) == ACCOUNTS:
            self.look_again()
        return [AccountId(account_id) for (account_id,) in rows]

    def next_of(self, account_id: AccountId) -> MailboxAt | None:
        """A mailbox of the account with news."""
        row = self._index.execute(
            f"SELECT b.mailbox_id, b.uid_validity, b.uid_next {_NEWS}"
            " AND b.account_id = :account ORDER BY m.watermark IS NOT NULL, b.mailbox_id LIMIT 1",
            {**self._enough, "account": account_id},
        ).fetchone()
        return MailboxAt(*row) if row is not None else None

    def is_enough(self, mailbox: MailboxAt, watermark: int) -> bool:
        """Whether the messages above the watermark are worth a run."""
        messages, octets = self._index.execute(
            "SELECT count(*), coalesce(sum(size_octets), 0) FROM (SELECT size_octets FROM messages"
            " WHERE mailbox_id = ? AND uid > ? LIMIT ?) AS news",
            (mailbox.mailbox_id, watermark, self._enough["messages"]),
        ).fetchone()
        return bool(messages >= self._enough["messages"] or octets >= self._enough["octets"])

    # -- what was done

    def note(
        self, account_id: AccountId, mailbox: MailboxAt, watermark: int, *, waits: bool = False
    ) -> None:
        """Keep how far a mailbox is indexed, and whether what it has besides ``waits`` for more."""
        self._index.execute(
            "INSERT INTO marks VALUES (?, ?, ?, ?, ?) ON CONFLICT (mailbox_id) DO UPDATE SET"
            " uid_validity = excluded.uid_validity, watermark = excluded.watermark,"
            " looked_at = CASE WHEN uid_validity = excluded.uid_validity"
            " THEN max(looked_at, excluded.looked_at) ELSE excluded.looked_at END",
            (mailbox.mailbox_id, account_id, mailbox.uid_validity, watermark,
             mailbox.uid_next if waits else watermark + 1),
        )  # fmt: skip

    def forget_mailbox(self, mailbox_id: int) -> None:
        self._index.execute("DELETE FROM marks WHERE mailbox_id = ?", (mailbox_id,))

    # -- files

    def load(self, account_id: AccountId, search_file: sqlite3.Connection) -> list[int]:
        """Take the marks from an account's file, which may be another one than it was; returns
        mailboxes that are gone."""
        known = search_file.execute(
            "SELECT mailbox_id, uid_validity, watermark FROM mailboxes"
        ).fetchall()
        for mark in self._index.execute(
            "SELECT mailbox_id, uid_validity, watermark FROM marks"
            " WHERE account_id = ? AND watermark > 0",
            (account_id,),
        ).fetchall():
            if mark not in known:
                self.forget_mailbox(mark[0])
                self.look_again()
        there = {
            mailbox_id: (uid_validity, uid_next)
            for mailbox_id, uid_validity, uid_next in self._index.execute(
                "SELECT mailbox_id, uid_validity, uid_next FROM mailboxes WHERE account_id = ?",
                (account_id,),
            )
        }
        gone: list[int] = []
        for mailbox_id, uid_validity, watermark in known:
            if mailbox_id in there:
                _, uid_next = there[mailbox_id]
                self.note(account_id, MailboxAt(mailbox_id, uid_validity, uid_next), watermark)
            else:
                gone.append(mailbox_id)
        return gone

    def forget(self, account_id: AccountId) -> None:
        self._index.execute("DELETE FROM marks WHERE account_id = ?", (account_id,))

    def accounts(self) -> list[AccountId]:
        rows = self._index.execute("SELECT account_id FROM accounts").fetchall()
        return [AccountId(account_id) for (account_id,) in rows]

    def accounts_of_deleted_mailboxes(self) -> list[AccountId]:
        rows = self._index.execute(
            "SELECT DISTINCT account_id FROM marks"
            " WHERE mailbox_id NOT IN (SELECT mailbox_id FROM mailboxes)"
        ).fetchall()
        return [AccountId(account_id) for (account_id,) in rows]

    def forget_deleted_mailboxes(self, account_id: AccountId) -> None:
        self._index.execute(
            "DELETE FROM marks WHERE account_id = ?"
            " AND mailbox_id NOT IN (SELECT mailbox_id FROM mailboxes WHERE account_id = ?)",
            (account_id, account_id),
        )
