"""Messages that people deleted and that can still be had back. Values only."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.core.ids import BlobId
from gateway.core.messages import Flags


@dataclass(frozen=True, slots=True)
class DeletedMessage:
    """One message in the vault.

    Args:
        vault_id: names it within the store.
        mailbox_name: where it lay when it was deleted; the mailbox may be gone.
        uid: what it had there; a message that comes back gets a new one.
        deleted_at: Unix time.
    """

    vault_id: int
    mailbox_name: str
    uid: int
    flags: Flags
    internal_date: int
    size_octets: int
    blob_id: BlobId
    deleted_at: int
