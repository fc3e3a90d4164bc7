"""Mailboxes of an account: find, list, make, remove, rename, subscribe, count.

Owns the rows of ``mailboxes``, ``subscriptions`` and ``keywords``. Names are checked in ``names``;
messages are the business of ``messages``. Writes happen in the committer, reads in reader threads.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred

from gateway.core.errors import (
    MailboxExists,
    MailboxLimit,
    MailboxNameRefused,
    NoSuchMailbox,
)
from gateway.core.ids import AccountId, MailboxId, ModSeq, Uid
from gateway.core.mailboxes import ListedMailbox, Mailbox, MailboxStatus
from gateway.store import history, names
from gateway.store.accounts import Accounts, insert_mailbox
from gateway.store.blobs import StoredOctets
from gateway.store.committer import Committer
from gateway.store.operations import Operation
from gateway.store.readers import Pool
from gateway.store.retention import Retention
from gateway.store.transaction import Transaction

COLUMNS = (
    "SELECT mailbox_id, account_id, name, uid_validity, uid_next, highest_modseq, special_use,"
    " recent_from, messages, unseen, size_octets, old_messages FROM mailboxes"
)
BY_NAME = f"{COLUMNS} WHERE account_id = ? AND name = ?"


def mailbox_of(row: Sequence[Any]) -> Mailbox:
    """A row of COLUMNS as a value."""
    return Mailbox(
        MailboxId(row[0]),
        AccountId(row[1]),
        row[2],
        row[3],
        Uid(row[4]),
        ModSeq(row[5]),
        row[6],
    )


def find(connection: sqlite3.Connection, account_id: AccountId, name: str) -> Any:
    """The row of COLUMNS. Raises: NoSuchMailbox."""
    row = connection.execute(BY_NAME, (account_id, names.canonical(name))).fetchone()
    if row is None:
        raise NoSuchMailbox()
    return row


class Mailboxes:
    """The mailbox half of the port MailboxStore."""

    def __init__(
        self,
        accounts: Accounts,
        committer: Committer,
        readers: Pool[StoredOctets],
        retention: Retention,
    ) -> None:
        self._accounts = accounts
        self._retention = retention
        self._committer = committer
        self._readers = readers

    async def ensure_account(self, account_id: AccountId) -> None:
        accounts = self._accounts
        if account_id in accounts.inboxes:
            return

        def read(stored: StoredOctets) -> Any:
            return stored.connection.execute(
                "SELECT inbox_id FROM accounts WHERE account_id = ?", (account_id,)
            ).fetchone()

        if not accounts.is_absent(account_id):
            # Whoever has one need not wait for a commit, nor for room on a full disk.
            row = await self._readers.run(read)
            if row is not None:
                accounts.seen(account_id, row[0])
                return
        made: Deferred[MailboxId] = Deferred()
        self._committer.submit(Operation(group=accounts, item=account_id, deferred=made))
        await made

    async def list(self, account_id: AccountId) -> Sequence[ListedMailbox]:
        def read(stored: StoredOctets) -> tuple[list[Any], list[Any]]:
            execute = stored.connection.execute
            return (
                execute(
                    "SELECT name, special_use FROM mailboxes WHERE account_id = ?", (account_id,)
                ).fetchall(),
                execute(
                    "SELECT name FROM subscriptions WHERE account_id = ?", (account_id,)
                ).fetchall(),
            )

        rows, subscriptions = await self._readers.run(read)
        special = dict(rows)
        subscribed = {name for (name,) in subscriptions}
        implied = {parent for name in special for parent in names.parents(name)}
        return [
            ListedMailbox(name, special.get(name, ""), name in subscribed, name in special)
            for name in sorted(special.keys() | subscribed | implied)
        ]

    async def find(self, account_id: AccountId, name: str) -> Mailbox:
        return await self._readers.run(
            lambda stored: mailbox_of(find(stored.connection, account_id, name))
        )

    async def status(self, account_id: AccountId, name: str) -> MailboxStatus:
        def read(stored: StoredOctets) -> MailboxStatus:
            row = find(stored.connection, account_id, name)
            return MailboxStatus(mailbox_of(row), row[8], row[8] - row[11], row[9], row[10])

        return await self._readers.run(read)

    async def create(self, account_id: AccountId, name: str, special_use: str) -> Mailbox:
        name = names.check_new(name)

        def run(tx: Transaction) -> Mailbox:
            self._accounts.inbox_of(tx, account_id)
            if _row(tx, account_id, name) is not None:
                raise MailboxExists()
            make_mailbox(tx, account_id, name, special_use)
            return mailbox_of(_row(tx, account_id, name))

        return await self._committer.write(run)

    async def delete(self, account_id: AccountId, name: str) -> None:
        name = names.canonical(name)
        if name == names.INBOX:
            raise MailboxNameRefused("INBOX cannot be deleted")

        def run(tx: Transaction) -> None:
            row = _row(tx, account_id, name)
            if row is None:
                # RFC 3501 section 6.3.4: a name that only stands for its inferiors stays.
                if _children(tx, account_id, name):
                    raise MailboxNameRefused("this name has mailboxes below it")
                raise NoSuchMailbox()
            _remove(tx, row, self._retention)

        await self._committer.write(run, uses_reserve=True)

    async def rename(self, account_id: AccountId, old: str, new: str) -> None:
        old, new = names.canonical(old), names.check_new(new)

        def run(tx: Transaction) -> None:
            row = _row(tx, account_id, old)
            children = _children(tx, account_id, old)
            if row is None and not children:
                raise NoSuchMailbox()
            if _row(tx, account_id, new) is not None:
                raise MailboxExists()
            if old == names.INBOX:
                _make_parents(tx, account_id, new)
                _empty_into(tx, row, account_id, new)
                return
            if new.startswith(names.below(old)[0]):
                raise MailboxNameRefused("a mailbox cannot be moved below itself")
            renamed = [(child_id, new + name[len(old) :]) for child_id, name in children]
            if row is not None:
                renamed.append((row[0], new))
            for _, name in renamed:
                names.check_new(name)
                if _row(tx, account_id, name) is not None:
                    raise MailboxExists()
            for mailbox_id, name in renamed:
                tx.execute("UPDATE mailboxes SET name = ? WHERE mailbox_id = ?", (name, mailbox_id))
            _make_parents(tx, account_id, new)

        await self._committer.write(run)

    async def set_subscribed(self, account_id: AccountId, name: str, subscribed: bool) -> None:
        name = names.check_new(name) if subscribed else names.canonical(name)

        def run(tx: Transaction) -> None:
            key = (account_id, name)
            if not subscribed:
                tx.execute("DELETE FROM subscriptions WHERE account_id = ? AND name = ?", key)
                return
            subscribe(tx, account_id, name)
            (count,) = tx.fetch_all(
                "SELECT count(*) FROM subscriptions WHERE account_id = ?", (account_id,)
            )[0]
            if count > 2 * names.MAX_MAILBOXES:
                raise MailboxLimit()

        await self._committer.write(run, uses_reserve=True)


def make_mailbox(tx: Transaction, account_id: AccountId, name: str, special_use: str = "") -> None:
    """A mailbox whose name is free, with missing parents. Raises: MailboxLimit."""
    _make_parents(tx, account_id, name)
    insert_mailbox(tx, account_id, name, special_use)
    (count,) = tx.fetch_all("SELECT count(*) FROM mailboxes WHERE account_id = ?", (account_id,))[0]
    if count > names.MAX_MAILBOXES:
        raise MailboxLimit()


def subscribe(tx: Transaction, account_id: AccountId, name: str) -> None:
    tx.execute(
        "INSERT INTO subscriptions (account_id, name) VALUES (?, ?)"
        " ON CONFLICT (account_id, name) DO NOTHING",
        (account_id, name),
    )


def _row(tx: Transaction, account_id: AccountId, name: str) -> Any:
    return tx.fetch_one(BY_NAME, (account_id, name))


def _children(tx: Transaction, account_id: AccountId, name: str) -> list[Any]:
    return tx.fetch_all(
        "SELECT mailbox_id, name FROM mailboxes WHERE account_id = ? AND name > ? AND name < ?",
        (account_id, *names.below(name)),
    )


def _make_parents(tx: Transaction, account_id: AccountId, name: str) -> None:
    for parent in names.parents(name):
        if _row(tx, account_id, parent) is None:
            insert_mailbox(tx, account_id, parent)


def _remove(tx: Transaction, row: Sequence[Any], retention: Retention) -> None:
    mailbox_id = row[0]
    retention.retire(tx, AccountId(row[1]), row[2], "mailbox_id = ?", (mailbox_id,))
    for table in ("messages", "expunged", "keywords", "kept_uids", "uidls", "mailboxes"):
        tx.execute(f"DELETE FROM {table} WHERE mailbox_id = ?", (mailbox_id,))  # noqa: S608 - own names only
    tx.touch(AccountId(row[1]), MailboxId(mailbox_id), row[5])


def _empty_into(tx: Transaction, inbox: Sequence[Any], account_id: AccountId, name: str) -> None:
    """RENAME of INBOX (RFC 3501 section 6.3.5): its messages go to a new mailbox, it stays.

    The new mailbox has a UIDVALIDITY of its own, so the messages keep UID and MODSEQ in it.
    """
    inbox_id, uid_next, modseq = inbox[0], inbox[4], inbox[5]
    new_id = insert_mailbox(tx, account_id, name)
    # The new one lacks the same UIDs; in the old one nothing is left.
    tx.execute(
        "INSERT INTO expunged (mailbox_id, modseq, first_uid, last_uid)"
        " SELECT ?, modseq, first_uid, last_uid FROM expunged WHERE mailbox_id = ?",
        (new_id, inbox_id),
    )
    history.all_gone(tx, inbox_id, modseq + 1, uid_next)
    tx.execute("UPDATE messages SET mailbox_id = ? WHERE mailbox_id = ?", (new_id, inbox_id))
    tx.execute(
        "INSERT INTO keywords (mailbox_id, folded, name)"
        " SELECT ?, folded, name FROM keywords WHERE mailbox_id = ?",
        (new_id, inbox_id),
    )
    tx.execute(
        "UPDATE mailboxes SET uid_next = ?, highest_modseq = ?, recent_from = ?, messages = ?,"
        " unseen = ?, size_octets = ?, old_messages = ? WHERE mailbox_id = ?",
        (uid_next, modseq, *inbox[7:12], new_id),
    )
    tx.execute(
        "UPDATE mailboxes SET highest_modseq = ?, recent_from = uid_next, messages = 0,"
        " unseen = 0, size_octets = 0, old_messages = 0 WHERE mailbox_id = ?",
        (modseq + 1, inbox_id),
    )
    tx.touch(account_id, MailboxId(inbox_id), modseq + 1)
    tx.touch(account_id, new_id, modseq)
