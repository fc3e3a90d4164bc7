"""The distinct identifier types, so that a UID is never passed where a sequence number is meant.

Owns names only; nothing here computes.
"""

from __future__ import annotations

from typing import NewType

AccountId = NewType("AccountId", str)
"""The directory's immutable id (entryUUID, objectGUID in hex): survives renames."""

MailboxId = NewType("MailboxId", int)
"""Store-wide id of one mailbox (folder); never reused."""

BlobId = NewType("BlobId", int)
"""Store-wide id of the octets of one message; shared by all local copies and queue rows."""

Uid = NewType("Uid", int)
"""IMAP unique identifier, 1 to 2**32-1, ascending inside a mailbox (RFC 3501 section 2.3.1.1)."""

Seq = NewType("Seq", int)
"""IMAP message sequence number, 1-based, valid in one session's view only."""

ModSeq = NewType("ModSeq", int)
"""Per-mailbox modification sequence, 63 bits (RFC 7162 section 3.1)."""

QueueId = NewType("QueueId", str)
"""Id of one accepted message in the outbound queue, as shown to administrators."""
