"""Mailboxes that move in from another server. Values only."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.core.ids import MailboxId, Uid
from gateway.core.messages import Flags
from gateway.core.ports.body import IncomingBody


@dataclass(frozen=True, slots=True)
class ImportSource:
    """Where messages come from; names what was copied already, so that a second run is cheap.

    Args:
        origin: the server or folder, such as ``imap://alice@old.example.com`` or
            ``maildir:/home/alice/Maildir``; without a password.
        folder: the mailbox there, by its name there.
    """

    origin: str
    folder: str


@dataclass(frozen=True, slots=True)
class ImportedMessage:
    """One message on its way in.

    Args:
        key: names it within its source for ever (UIDVALIDITY and UID, a Maildir base name, a
            digest); a key that was imported once is not imported again.
        uid: to be kept if it is possible; 0 when there is none.
        uidl: what POP3 called it there, so that clients do not fetch it again; may be empty.
    """

    key: str
    body: IncomingBody
    flags: Flags
    internal_date: int
    uid: int = 0
    uidl: str = ""


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of a batch.

    Args:
        uids: of each message in the order given; None for one that was there already.
        kept_uids: whether all new messages have the UIDs that were asked for.
    """

    mailbox_id: MailboxId
    uid_validity: int
    uids: tuple[Uid | None, ...]
    kept_uids: bool
