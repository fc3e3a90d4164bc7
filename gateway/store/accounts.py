"""Accounts in the index: made on demand, with their default mailboxes.

An account is keyed by the directory's immutable id. It is never removed, and its INBOX keeps its
mailbox id for ever (it cannot be deleted, and renaming it moves its messages), so the id is
remembered once known. All accounts that a batch of the committer makes share their statements: on
a morning many people come for the first time at once.
"""

from __future__ import annotations

from collections.abc import Sequence

from gateway.core.ids import AccountId, MailboxId
from gateway.core.mailboxes import DEFAULT_MAILBOXES
from gateway.store.names import INBOX
from gateway.store.transaction import Row, Transaction, in_pieces

MAILBOX_COLUMNS = (
    "mailboxes (mailbox_id, account_id, name, special_use, uid_validity, uid_next,"
    " highest_modseq, recent_from, messages, unseen, size_octets)"
)

MOST_ABSENT = 1_000
"""Remembered between the look at somebody's bounds and the making of their account."""


class Accounts:
    """Finds and makes accounts inside a transaction. Implements ``operations.Group`` for accounts
    that shall be there: the items are their ids, the results their INBOXes."""

    def __init__(self) -> None:
        self.inboxes: dict[AccountId, MailboxId] = {}
        """INBOX of each account seen so far; the committer adds to it after each commit, the
        reactor what it has read."""
        self._absent: set[AccountId] = set()

    def seen(self, account_id: AccountId, inbox_id: int | None) -> None:
        """What a reader has found; None: no such account. The reactor's thread."""
        if inbox_id is not None:
            self.inboxes[account_id] = MailboxId(inbox_id)
        else:
            if len(self._absent) >= MOST_ABSENT:
                self._absent.clear()
            self._absent.add(account_id)

    def is_absent(self, account_id: AccountId) -> bool:
        """A reader found none when it looked last; told once. The reactor's thread."""
        if account_id not in self._absent:
            return False
        self._absent.discard(account_id)
        return True

    def inbox_of(self, tx: Transaction, account_id: AccountId) -> MailboxId:
        """The account's INBOX; the account is made if it is not there."""
        known = self.inboxes.get(account_id) or tx.new_inboxes.get(account_id)
        return known or self.inboxes_of(tx, (account_id,))[0]

    def inboxes_of(self, tx: Transaction, wanted: Sequence[AccountId]) -> list[MailboxId]:
        """The same for many, in their order."""
        known, new = self.inboxes, tx.new_inboxes
        asked = [each for each in dict.fromkeys(wanted) if each not in known and each not in new]
        for piece, marks in in_pieces(asked):
            rows = tx.fetch_all(
                f"SELECT account_id, inbox_id FROM accounts WHERE account_id IN ({marks})",  # noqa: S608 - marks only
                piece,
            )
            new.update((AccountId(account_id), MailboxId(inbox)) for account_id, inbox in rows)
        missing = [each for each in asked if each not in new]
        if missing:
            _make(tx, missing)
        return [known.get(each) or new[each] for each in wanted]

    def run_together(
        self, tx: Transaction, items: Sequence[AccountId], careful: bool
    ) -> list[MailboxId]:
        return self.inboxes_of(tx, items)


def _make(tx: Transaction, missing: Sequence[AccountId]) -> None:
    rows: list[Row] = []
    uid_validity = tx.new_uid_validities(len(missing) * len(DEFAULT_MAILBOXES))
    for account_id in missing:
        for name, special_use in DEFAULT_MAILBOXES:
            mailbox_id = MailboxId(tx.next_id("mailbox"))
            rows.append(_empty(mailbox_id, account_id, name, special_use, uid_validity))
            uid_validity += 1
            if name == INBOX:
                tx.new_inboxes[account_id] = mailbox_id
    tx.insert(MAILBOX_COLUMNS, rows)
    # Many clients show subscribed mailboxes only.
    tx.insert(
        "subscriptions (account_id, name)",
        [(account_id, name) for account_id in missing for name, _ in DEFAULT_MAILBOXES],
    )
    tx.insert(
        "accounts (account_id, inbox_id, created_at)",
        [(account_id, tx.new_inboxes[account_id], tx.now) for account_id in missing],
    )


def insert_mailbox(
    tx: Transaction, account_id: AccountId, name: str, special_use: str = ""
) -> MailboxId:
    """A new, empty mailbox with a UIDVALIDITY never used before."""
    mailbox_id = MailboxId(tx.next_id("mailbox"))
    uid_validity = tx.new_uid_validity()
    tx.insert(MAILBOX_COLUMNS, [_empty(mailbox_id, account_id, name, special_use, uid_validity)])
    return mailbox_id


def _empty(
    mailbox_id: MailboxId, account_id: AccountId, name: str, special_use: str, uid_validity: int
) -> Row:
    return (mailbox_id, account_id, name, special_use, uid_validity, 1, 1, 1, 0, 0, 0)
