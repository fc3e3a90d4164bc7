"""Envelope, structure, part offsets and preview of messages: computed once per blob, then kept.

Computed in a reader thread when first asked for; keeping them goes through the committer without
holding up the answer, and may fail without harm. Sessions of a process that ask for the same one
meanwhile share it. Never raises for a message's content (SECURITY M6): ``summarise`` does not.

A large message is read in pieces, each against its checksum: a few MiB of memory, whatever its
size.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from typing import cast

from twisted.internet.defer import Deferred
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
from gateway.wire.mime.octets import Octets, Windows
from gateway.wire.mime.summary import decode, encode

Summarise = Callable[[Octets], MessageSummary]

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
        self._lock = threading.Lock()
        self._known: dict[BlobId, Future[MessageSummary]] = {}

    async def get(self, blob_ids: Sequence[BlobId]) -> Sequence[MessageSummary | Unreadable]:
        return await self._readers.run(lambda stored: self._read(stored, blob_ids))

    def _read(
        self, stored: StoredOctets, blob_ids: Sequence[BlobId]
    ) -> list[MessageSummary | Unreadable]:
        """In a reader thread."""
        found: dict[int, MessageSummary | Unreadable] = dict(self._kept(stored, blob_ids))
        new: dict[BlobId, bytes] = {}
        try:
            for blob_id in blob_ids:
                if blob_id not in found:
                    try:
                        found[blob_id], is_ours = self._compute(stored, blob_id)
                    except (StoreDamaged, MessageGone) as unreadable:
                        found[blob_id] = unreadable
                    else:
                        if is_ours:
                            new[blob_id] = b""
            for blob_id in new:
                new[blob_id] = encode(cast(MessageSummary, found[blob_id]))
        except BaseException:
            self._forget(new)
            raise
        if new:
            self._keep(new)
        return [found[blob_id] for blob_id in blob_ids]

    def read_one(self, stored: StoredOctets, blob_id: BlobId) -> MessageSummary:
        """In a reader thread, for a search. Raises: StoreDamaged, MessageGone.

        What is computed is not kept: a search would crowd the committer with a write per message.
        """
        kept = self._kept(stored, [blob_id])
        if kept:
            return kept[blob_id]
        summary, is_ours = self._compute(stored, blob_id)
        if is_ours:
            self._forget([blob_id])
        return summary

    def _kept(self, stored: StoredOctets, blob_ids: Sequence[BlobId]) -> dict[int, MessageSummary]:
        found: dict[int, MessageSummary] = {}
        for blob_id, data in engine.rows_of(stored.connection, _KEPT, blob_ids):
            try:
                found[blob_id] = decode(data)
            except ValueError:
                continue  # of an older gateway: compute it again
        return found

    def _compute(self, stored: StoredOctets, blob_id: BlobId) -> tuple[MessageSummary, bool]:
        """By one thread; the others wait for what it finds, until ``_forget``.

        The flag says that this call has computed it. Raises as ``read_one``.
        """
        with self._lock:
            known = self._known.get(blob_id)
            if known is None:
                ours = self._known[blob_id] = Future[MessageSummary]()
        if known is not None:
            return known.result(), False  # whoever computes it waits for nobody
        try:
            summary = self._compute_now(stored, blob_id)
        except BaseException as error:
            self._forget([blob_id])
            ours.set_exception(error)
            raise
        ours.set_result(summary)
        return summary, True

    def _forget(self, blob_ids: Iterable[BlobId]) -> None:
        with self._lock:
            for blob_id in blob_ids:
                self._known.pop(blob_id, None)

    def _compute_now(self, stored: StoredOctets, blob_id: BlobId) -> MessageSummary:
        at = stored.locate(blob_id)
        if at.file_name:
            message: Octets = Windows(
                lambda start, end: stored.read(blob_id, start, end - start), at.size_octets
            )
        else:
            message = stored.read_whole(blob_id)
        summary = self._summarise(message)
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

        def done(_: object) -> None:
            self._forget(new)

        # From now on the index knows them, or whoever needs them computes them again.
        kept: Deferred[None] = Deferred()
        kept.addBoth(done)
        try:
            self._committer.submit(Operation(run, deferred=kept))
        except StoreUnavailable:
            self._forget(new)  # busy or closing
