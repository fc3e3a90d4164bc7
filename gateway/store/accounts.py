"""Accounts in the index: made on demand, with their default mailboxes.

An account is keyed by the directory's immutable id. INBOX keeps its mailbox id for ever (it cannot
be deleted, and renaming it moves its messages), so the id is remembered once known.
"""

from __future__ import annotations

from gateway.core.ids import AccountId, MailboxId
from gateway.core.mailboxes import DEFAULT_MAILBOXES
from gateway.store.transaction import Transaction

MAILBOX_COLUMNS = (
    "mailboxes (mailbox_id, account_id, name, special_use, uid_validity, uid_next,"
    " highest_modseq, recent_from, messages, unseen, size_octets)"
)


class Accounts:
    """Finds and makes accounts inside a transaction."""

    def __init__(self) -> None:
        self.inboxes: dict[AccountId, MailboxId] = {}
        """INBOX of each account seen so far; the committer adds to it after each commit."""

    def inbox_of(self, tx: Transaction, account_id: AccountId) -> MailboxId:
        """The account's INBOX; the account is made if it is not there."""
        known = self.inboxes.get(account_id) or tx.new_inboxes.get(account_id)
        if known:
            return known
        row = tx.fetch_one("SELECT inbox_id FROM accounts WHERE account_id = ?", (account_id,))
        inbox_id = MailboxId(row[0]) if row else self._make(tx, account_id)
        tx.new_inboxes[account_id] = inbox_id
        return inbox_id

    def _make(self, tx: Transaction, account_id: AccountId) -> MailboxId:
        made = {
            name: insert_mailbox(tx, account_id, name, special_use)
            for name, special_use in DEFAULT_MAILBOXES
        }
        # Many clients show subscribed mailboxes only.
        tx.insert(
            "subscriptions (account_id, name)",
            [(account_id, name) for name, _ in DEFAULT_MAILBOXES],
        )
        tx.insert(
            "accounts (account_id, inbox_id, created_at)", [(account_id, made["INBOX"], tx.now)]
        )
        return made["INBOX"]


def insert_mailbox(
    tx: Transaction, account_id: AccountId, name: str, special_use: str = ""
) -> MailboxId:
    """A new, empty mailbox with a UIDVALIDITY never used before."""
    mailbox_id = MailboxId(tx.next_id("mailbox"))
    tx.insert(
        MAILBOX_COLUMNS,
        [(mailbox_id, account_id, name, special_use, tx.new_uid_validity(), 1, 1, 1, 0, 0, 0)],
    )
    return mailbox_id
