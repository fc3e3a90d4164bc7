"""What is handed to and read from the store: new messages, rows and summaries.

Flags are text as IMAP writes them (``\\Seen``, ``$Forwarded``), system flags in their canonical
case; ``\\Recent`` is session state and never stored. Times are whole Unix seconds, UTC.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from gateway.core.address import Address
from gateway.core.envelope import NO_OPTIONS, NOTHING_ASKED, Hold, MessageOptions, RecipientOptions
from gateway.core.ids import AccountId, BlobId, MailboxId, ModSeq, QueueId, Uid
from gateway.core.ports.body import IncomingBody
from gateway.core.submissions import Submission
from gateway.core.trace import TraceRecord

Flags = frozenset[str]

SYSTEM_FLAGS: tuple[str, ...] = ("\\Seen", "\\Answered", "\\Flagged", "\\Deleted", "\\Draft")
"""RFC 3501 section 2.3.2, in the order of their bits in the store."""


LOCAL = "local"
"""The next hop of recipients that have a mailbox here but wait in the queue all the same: the
message is held, or its sender wants to hear of the delivery."""


@dataclass(frozen=True, slots=True)
class QueuedRecipient:
    """A recipient whose mail leaves by SMTP, or later.

    Args:
        address: envelope recipient.
        next_hop: ``smtp://host:port`` fixed by routing, or several joined by a space; ``mx``: MX
            records decide; empty: the configuration does; LOCAL.
    """

    address: Address
    next_hop: str = ""
    options: RecipientOptions = NOTHING_ASKED


@dataclass(frozen=True, slots=True)
class NewMessage:
    """A message to be accepted durably: all local copies and queue rows in one transaction.

    Args:
        ingest_id: unique per acceptance; the same id again stores nothing twice (idempotence).
        sender: reverse-path; None is the null sender.
        local_header: octets put before local copies only (Return-Path), CRLF ended, may be empty.
        trace_header: octets put before every copy (Received), CRLF ended, may be empty.
        body: the message as received, dot-unstuffed, complete.
        local: people who get it into INBOX, without repeats.
        remote: recipients for the queue.
        received_at: Unix time.
        options: what the sender asked for.
        hold: the queue keeps it; ``local`` is empty then.
        submission: how it counts towards a person's limits, if it does.
        held: everybody who waits if it turns out that their limits hold it.
        trace: what is kept about its acceptance, in the same commit.
        may_exceed_quota: taken even if an account's bounds are passed by it: its recipients were
            promised already, or nobody would be told otherwise (reports).
    """

    ingest_id: str
    sender: Address | None
    local_header: bytes
    trace_header: bytes
    body: IncomingBody
    local: tuple[AccountId, ...]
    remote: tuple[QueuedRecipient, ...]
    received_at: int
    options: MessageOptions = NO_OPTIONS
    may_exceed_quota: bool = False
    hold: Hold | None = None
    submission: Submission | None = None
    held: tuple[QueuedRecipient, ...] = ()
    trace: TraceRecord | None = None


@dataclass(frozen=True, slots=True)
class Accepted:
    """The store's promise that the message survives a power cut. ``queue_id`` is empty when
    nobody outside was addressed; ``held`` is set when it waits because a limit was reached at the
    last moment."""

    ingest_id: str
    queue_id: QueueId
    held: Hold | None = None


@dataclass(frozen=True, slots=True)
class AppendMessage:
    """One message of an IMAP APPEND; the body is stored as it came."""

    body: IncomingBody
    flags: Flags
    internal_date: int


@dataclass(frozen=True, slots=True)
class MessageRow:
    """One message of a mailbox as the index knows it. ``size_octets`` is RFC822.SIZE."""

    uid: Uid
    modseq: ModSeq
    flags: Flags
    internal_date: int
    size_octets: int
    blob_id: BlobId


@dataclass(frozen=True, slots=True)
class PartSpan:
    """Where one MIME part lies inside its message, in octets from the message's first octet.

    ``header_start <= body_start <= body_end``. For the whole message (part path empty)
    ``header_start`` is 0. ``encoding`` and
    ``content_type`` are lower case (``base64``, ``text/plain``); ``charset`` may be empty.
    """

    header_start: int
    body_start: int
    body_end: int
    content_type: str = "text/plain"
    charset: str = ""
    encoding: str = "7bit"


@dataclass(frozen=True, slots=True)
class MessageSummary:
    """What is computed once per blob and kept: rendered IMAP octets and part offsets.

    Args:
        envelope: the parenthesised envelope of RFC 3501 section 7.4.2, ready to send.
        body: BODY without extension data, ready to send.
        body_structure: BODYSTRUCTURE with extension data, ready to send.
        parts: spans by IMAP part path: ``""`` the whole message, ``"1"``, ``"2.1"``…; the
            message inside a message/rfc822 part N has its own header and text under ``"N.MSG"``
            (so BODY[N.HEADER] and BODY[N.TEXT] come from it), its parts are ``"N.1"``….
        note: empty, or why the message is served as one opaque text part (SECURITY M6).
        preview: its first words as plain text, at most 200 characters (RFC 8970 section 3).
    """

    envelope: bytes
    body: bytes
    body_structure: bytes
    parts: Mapping[str, PartSpan] = field(default_factory=dict)
    note: str = ""
    preview: str = ""


@dataclass(frozen=True, slots=True)
class AppendResult:
    """Where an APPEND or COPY put the messages (RFC 4315): new UIDs in the order given."""

    mailbox_id: MailboxId
    uid_validity: int
    uids: tuple[Uid, ...]


@dataclass(frozen=True, slots=True)
class CopyResult(AppendResult):
    """``source_uids[i]`` became ``uids[i]``; messages gone meanwhile are in neither."""

    source_uids: tuple[Uid, ...] = ()
