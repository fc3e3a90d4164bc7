"""The ports of the durable store. One implementation keeps them all; callers ask for the least.

Every coroutine resumes on the reactor thread. A write's coroutine returns only after the commit is
durable (SECURITY D1). Reads never wait for writes. Any method may raise StoreUnavailable (StoreFull
for lack of space); only further errors are listed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, Protocol

from gateway.core.errors import MessageGone, StoreDamaged
from gateway.core.ids import AccountId, BlobId, MailboxId, ModSeq, Uid
from gateway.core.mailboxes import (
    Changes,
    ListedMailbox,
    Mailbox,
    MailboxEvent,
    MailboxStatus,
    Selection,
)
from gateway.core.messages import (
    Accepted,
    AppendMessage,
    AppendResult,
    CopyResult,
    Flags,
    MessageRow,
    MessageSummary,
    NewMessage,
)
from gateway.core.ports.body import IncomingBody
from gateway.core.quota import Quota, Usage
from gateway.core.search import SearchKey
from gateway.core.transfer import Imported, ImportedMessage, ImportSource
from gateway.core.uidset import Ranges
from gateway.core.vault import DeletedMessage

Span = tuple[BlobId, int, int]
"""Octets of a message: which message, the first octet, and how many."""

Unreadable = StoreDamaged | MessageGone
"""What stands in a message's place where many are read: one never spoils the others (M6)."""


class Intake(Protocol):
    """Accepting messages."""

    def open_body(self) -> IncomingBody: ...

    async def accept(self, message: NewMessage) -> Accepted:
        """Store all local copies and queue rows in one transaction; accounts are made on demand.

        Raises: OverQuota (nothing is stored for anybody then).
        """
        ...


class MailboxStore(Protocol):
    """What IMAP and POP3 need. UID sets are ranges; UIDs that do not exist are ignored."""

    async def ensure_account(self, account_id: AccountId) -> None:
        """Make the account's default mailboxes if it has none."""
        ...

    # -- mailboxes

    async def list_mailboxes(self, account_id: AccountId) -> Sequence[ListedMailbox]:
        """All mailboxes and subscribed names, ascending by name."""
        ...

    async def find_mailbox(self, account_id: AccountId, name: str) -> Mailbox:
        """Raises: NoSuchMailbox."""
        ...

    async def create_mailbox(
        self, account_id: AccountId, name: str, special_use: str = ""
    ) -> Mailbox:
        """Make it and missing parents (RFC 3501 section 6.3.3).

        Raises: MailboxExists, MailboxNameRefused, MailboxLimit.
        """
        ...

    async def delete_mailbox(self, account_id: AccountId, name: str) -> None:
        """Remove a mailbox with its messages; children stay, and the name stays listed for them.

        Raises: NoSuchMailbox, MailboxNameRefused (INBOX; has children).
        """
        ...

    async def rename_mailbox(self, account_id: AccountId, old: str, new: str) -> None:
        """Rename with children; INBOX moves its messages to a new mailbox (section 6.3.5).

        Raises: NoSuchMailbox, MailboxExists, MailboxNameRefused (into its own child).
        """
        ...

    async def set_subscribed(self, account_id: AccountId, name: str, subscribed: bool) -> None: ...

    async def status(self, account_id: AccountId, name: str) -> MailboxStatus:
        """Raises: NoSuchMailbox."""
        ...

    async def select(self, account_id: AccountId, name: str, *, claim_recent: bool) -> Selection:
        """Open a mailbox; ``claim_recent`` (SELECT, not EXAMINE) takes the \\Recent messages.

        Raises: NoSuchMailbox.
        """
        ...

    # -- messages

    async def rows(self, mailbox_id: MailboxId, uids: Ranges) -> Sequence[MessageRow]:
        """Index rows, ascending by UID. Callers ask in batches of at most about 1,000."""
        ...

    async def summaries(self, blob_ids: Sequence[BlobId]) -> Sequence[MessageSummary | Unreadable]:
        """One per blob in the order asked, computed now if not kept yet."""
        ...

    async def read(self, blob_id: BlobId, offset: int, length: int) -> bytes:
        """Octets of a message; fewer than asked at its end.

        Callers ask for at most 256 KiB at a time, except for reading one small message whole.

        Raises: StoreDamaged, MessageGone.
        """
        ...

    async def read_many(self, spans: Sequence[Span]) -> Sequence[bytes | Unreadable]:
        """As ``read`` for each span, in the order asked, but with one hand-over for them all.

        Callers ask for at most about 1 MiB in all, as the answer is held whole.
        """
        ...

    async def append(
        self, account_id: AccountId, name: str, messages: Sequence[AppendMessage]
    ) -> AppendResult:
        """All or none. Raises: NoSuchMailbox, MailboxLimit (keywords), OverQuota."""
        ...

    async def store_flags(
        self,
        mailbox_id: MailboxId,
        uids: Ranges,
        mode: Literal["set", "add", "remove"],
        flags: Flags,
    ) -> ModSeq:
        """Change flags; returns the mailbox's new highest MODSEQ (unchanged if nothing changed).

        Raises: NoSuchMailbox, MailboxLimit (keywords).
        """
        ...

    async def copy(
        self, source: MailboxId, uids: Ranges, account_id: AccountId, name: str, *, move: bool
    ) -> CopyResult:
        """Copy (or move) with flags and internal dates; all or none.

        Moving inside an account needs no room. Raises: NoSuchMailbox (of the target), OverQuota.
        """
        ...

    async def expunge(
        self, mailbox_id: MailboxId, uids: Ranges | None, *, only_deleted: bool
    ) -> tuple[Uid, ...]:
        """Remove messages for ever; ``uids`` None means all. Returns those removed, ascending."""
        ...

    async def changes(self, mailbox_id: MailboxId, since: ModSeq) -> Changes:
        """What happened after a MODSEQ. Raises: NoSuchMailbox (deleted meanwhile)."""
        ...

    async def search(self, mailbox_id: MailboxId, key: SearchKey) -> Sequence[Uid]:
        """UIDs that match, ascending."""
        ...

    # -- change feed

    def watch(
        self, mailbox_id: MailboxId, callback: Callable[[MailboxEvent], None]
    ) -> Callable[[], None]:
        """Call back on the reactor after each commit that touched the mailbox; returns a stop."""
        ...

    # -- POP3

    async def uidls(self, mailbox_id: MailboxId) -> Mapping[Uid, str]:
        """What messages were called on the server they came from; no two have the same name.

        The first one keeps a name that came twice, also when it is gone.
        """
        ...

    def lock_maildrop(self, account_id: AccountId) -> Callable[[], None]:
        """Hold the account's maildrop for one POP3 session; returns the release.

        Does not hinder delivery or IMAP (SECURITY P5). Raises: MaildropInUse.
        """
        ...


class QuotaStore(Protocol):
    """How much an account may keep. The store enforces it in every transaction that adds."""

    async def set_quota(self, account_id: AccountId, quota: Quota) -> None:
        """Keep the bounds, making the account on demand; free when nothing has changed."""
        ...

    async def usage(self, account_id: AccountId) -> Usage:
        """What is kept now; nothing for an account that is not there yet."""
        ...

    def watch_filling(self, callback: Callable[[AccountId, Usage], None]) -> Callable[[], None]:
        """Call back on the reactor after each commit of this process that took an account to
        WARN_PERCENT of a bound, not again before it was below CALM_PERCENT; returns a stop."""
        ...


class VaultStore(Protocol):
    """Deleted messages until their time is over."""

    async def deleted(
        self, account_id: AccountId, *, mailbox: str | None = None, since: int = 0
    ) -> Sequence[DeletedMessage]:
        """What can be had back, the latest deleted first."""
        ...

    async def undelete(
        self, account_id: AccountId, vault_ids: Sequence[int], *, into: str | None = None
    ) -> int:
        """Put messages back with flags and dates, under new UIDs; returns how many there were.

        Each goes where it lay, which is made again if it is gone, or ``into`` one mailbox. What
        somebody asked to have back is never refused for quota.
        """
        ...


class ImportStore(Protocol):
    """Mailboxes that move in. Each message and its key are kept in one transaction."""

    async def import_messages(
        self,
        account_id: AccountId,
        name: str,
        source: ImportSource,
        messages: Sequence[ImportedMessage],
        *,
        uid_validity: int = 0,
        uid_next: int = 0,
    ) -> Imported:
        """Add what is not there yet, making mailbox and parents on demand; all or none.

        Args:
            messages: those with a UID first, ascending.
            uid_validity: taken over, with the UIDs, while the mailbox has held nothing but what
                this source brought; otherwise UIDs are new ones, and the mailbox does not go on
                under a UIDVALIDITY that it took over before. 0: none known.
            uid_next: taken over with them; higher than all UIDs of the source, so it comes with
                the last of its messages, or alone. 0: none known.

        Raises:
            MailboxNameRefused, MailboxLimit
        """
        ...

    async def imported_keys(self, account_id: AccountId, source: ImportSource) -> frozenset[str]:
        """The keys that need not be read from the source again."""
        ...
