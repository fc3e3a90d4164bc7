"""Envelope, body structure and part offsets of messages: computed once per blob, then kept.

Computed in a reader thread when first asked for; keeping them goes through the committer without
holding up the answer, and may fail without harm. Never raises for a message's content (SECURITY
M6): ``summarise`` does not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from twisted.logger import Logger

from gateway.core.errors import MessageGone, StoreDamaged, StoreUnavailable
from gateway.core.ids import BlobId
from gateway.core.messages import MessageSummary
from gateway.core.ports.store import Unreadable
from gateway.store import engine
from gateway.store.blobs import StoredOctets
from gateway.store.committer import Committer
from gateway.store.operations import Operation
from gateway.store.readers import Pool
from gateway.store.transaction import Transaction
from gateway.wire.mime.summary import decode, encode

Summarise = Callable[[bytes], MessageSummary]

_KEPT = "SELECT blob_id, data FROM summaries WHERE blob_id IN ({ids})"


class Summaries:
    """The summaries of the port MailboxStore."""

    log = Logger()

    def __init__(
        self, committer: Committer, readers: Pool[StoredOctets], summarise: Summarise
    ) -> None:
        self._committer = committer
        self._readers = readers
        self._summarise = summarise

    async def get(self, blob_ids: Sequence[BlobId]) -> Sequence[MessageSummary | Unreadable]:
        return await self._readers.run(lambda stored: self._read(stored, blob_ids))

    def _read(
        self, stored: StoredOctets, blob_ids: Sequence[BlobId]
    ) -> list[MessageSummary | Unreadable]:
        """In a reader thread."""
        found: dict[int, MessageSummary | Unreadable] = dict(self._kept(stored, blob_ids))
        new: dict[BlobId, bytes] = {}
        for blob_id in blob_ids:
            if blob_id not in found:
                try:
                    found[blob_id] = summary = self._compute(stored, blob_id)
                except (StoreDamaged, MessageGone) as unreadable:
                    found[blob_id] = unreadable
                else:
                    new[blob_id] = encode(summary)
        if new:
            self._keep(new)
        return [found[blob_id] for blob_id in blob_ids]

    def read_one(self, stored: StoredOctets, blob_id: BlobId) -> MessageSummary:
        """In a reader thread, for a search. Raises: StoreDamaged, MessageGone.

        What is computed is not kept: a search would crowd the committer with a write per message.
        """
        kept = self._kept(stored, [blob_id])
        return kept[blob_id] if kept else self._compute(stored, blob_id)

    def _kept(self, stored: StoredOctets, blob_ids: Sequence[BlobId]) -> dict[int, MessageSummary]:
        found: dict[int, MessageSummary] = {}
        for blob_id, data in engine.rows_of(stored.connection, _KEPT, blob_ids):
            try:
                found[blob_id] = decode(data)
            except ValueError:
                continue  # of an older gateway: compute it again
        return found

    def _compute(self, stored: StoredOctets, blob_id: BlobId) -> MessageSummary:
        summary = self._summarise(stored.read_whole(blob_id))
        if summary.note:
            self.log.info("message {id}: {note}", id=blob_id, note=summary.note)
        return summary

    def _keep(self, new: dict[BlobId, bytes]) -> None:
        def run(tx: Transaction) -> None:
            for blob_id, data in new.items():
                # The blob may have gone meanwhile; a summary of nothing must not stay.
                tx.execute(
                    "INSERT INTO summaries (blob_id, data)"
                    " SELECT blob_id, ? FROM blobs WHERE blob_id = ?"
                    " ON CONFLICT (blob_id) DO UPDATE SET data = excluded.data",
                    (data, blob_id),
                )

        try:
            self._committer.submit(Operation(run))
        except StoreUnavailable:
            return  # busy or closing: computed again next time
