"""Mailboxes, what a SELECT needs of one, and what changed since a MODSEQ.

Values only; ``store`` makes them, the doors show them. Names inside the gateway are str with ``/``
as the hierarchy separator, NFC, INBOX in capitals.
"""

from __future__ import annotations

from dataclasses import dataclass

from gateway.core.ids import AccountId, MailboxId, ModSeq, Uid
from gateway.core.messages import Flags
from gateway.core.uids import UidRuns
from gateway.core.uidset import Ranges

SEPARATOR = "/"

DEFAULT_MAILBOXES: tuple[tuple[str, str], ...] = (
    ("INBOX", ""),
    ("Drafts", "\\Drafts"),
    ("Sent", "\\Sent"),
    ("Junk", "\\Junk"),
    ("Trash", "\\Trash"),
    ("Archive", "\\Archive"),
)
"""Name and special-use attribute (RFC 6154) of what a new account gets."""


@dataclass(frozen=True, slots=True)
class Mailbox:
    """One mailbox's identity and counters at one moment."""

    mailbox_id: MailboxId
    account_id: AccountId
    name: str
    uid_validity: int
    uid_next: Uid
    highest_modseq: ModSeq
    special_use: str = ""


@dataclass(frozen=True, slots=True)
class MailboxStatus:
    """What STATUS answers (RFC 3501 section 6.3.10), with the octets of RFC 8438."""

    mailbox: Mailbox
    messages: int
    recent: int
    unseen: int
    size_octets: int


@dataclass(frozen=True, slots=True)
class ListedMailbox:
    """A row for LIST and LSUB. ``exists`` is False for a subscribed name without a mailbox."""

    name: str
    special_use: str
    subscribed: bool
    exists: bool = True


@dataclass(frozen=True, slots=True)
class Selection:
    """A mailbox as a session opens it.

    Args:
        uids: ascending; index i is sequence number i+1. Shared by the sessions of a process.
        recent_from: messages with this UID or a higher one are \\Recent for this session.
        first_unseen: sequence number of the first message without \\Seen, 0 if there is none.
        keywords: keywords in use in this mailbox.
    """

    mailbox: Mailbox
    uids: UidRuns
    recent_from: Uid
    first_unseen: int
    keywords: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ChangedFlags:
    """New flags of one message."""

    uid: Uid
    flags: Flags
    modseq: ModSeq


@dataclass(frozen=True, slots=True)
class Changes:
    """All that happened in a mailbox after a MODSEQ, up to ``highest_modseq``.

    ``changed`` holds new and changed messages alike, ascending by UID; a session tells new ones by
    their UID. ``vanished`` may repeat what vanished before the MODSEQ (RFC 7162 section 3.2.6).
    """

    highest_modseq: ModSeq
    changed: tuple[ChangedFlags, ...]
    vanished: Ranges


@dataclass(frozen=True, slots=True)
class MailboxEvent:
    """A hint from the change feed, sent after the commit: look again from your MODSEQ."""

    account_id: AccountId
    mailbox_id: MailboxId
    highest_modseq: ModSeq
