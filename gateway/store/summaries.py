"""Envelope, body structure and part offsets of messages: computed once per blob, then kept.

Computed in a reader thread when first asked for; keeping them goes through the committer without
holding up the answer, and may fail without harm. Never raises for a message's content (SECURITY
M6): ``summarise`` does not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from twisted.logger import Logger

from gateway.core.errors import StoreUnavailable
from gateway.core.ids import BlobId
from gateway.core.messages import MessageSummary
from gateway.store.blobs import StoredOctets
from gateway.store.committer import Committer
from gateway.store.operations import Operation
from gateway.store.readers import Pool
from gateway.store.transaction import Transaction
from gateway.wire.mime.summary import decode, encode

Summarise = Callable[[bytes], MessageSummary]

CHUNK = 250  # ids per statement


class Summaries:
    """The summaries of the port MailboxStore."""

    log = Logger()

    def __init__(
        self, committer: Committer, readers: Pool[StoredOctets], summarise: Summarise
    ) -> None:
        self._committer = committer
        self._readers = readers
        self._summarise = summarise

    async def get(self, blob_ids: Sequence[BlobId]) -> Sequence[MessageSummary]:
        return await self._readers.run(lambda stored: self.read(stored, blob_ids))

    def read(
        self, stored: StoredOctets, blob_ids: Sequence[BlobId], *, keep: bool = True
    ) -> list[MessageSummary]:
        """In a reader thread. Raises: StoreDamaged, MessageGone.

        Not ``keep``: for a search, which would crowd the committer with one write per message.
        """
        found: dict[int, MessageSummary] = {}
        for start in range(0, len(blob_ids), CHUNK):
            chunk = blob_ids[start : start + CHUNK]
            marks = ", ".join("?" * len(chunk))
            for blob_id, data in stored.connection.execute(
                f"SELECT blob_id, data FROM summaries WHERE blob_id IN ({marks})",  # noqa: S608
                chunk,
            ).fetchall():
                try:
                    found[blob_id] = decode(data)
                except ValueError:
                    continue  # of an older gateway: compute it again
        new: dict[BlobId, bytes] = {}
        for blob_id in blob_ids:
            if blob_id not in found:
                summary = self._summarise(stored.read_whole(blob_id))
                if summary.note:
                    self.log.info("message {id}: {note}", id=blob_id, note=summary.note)
                found[blob_id] = summary
                new[blob_id] = encode(summary)
        if new and keep:
            self._keep(new)
        return [found[blob_id] for blob_id in blob_ids]

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
