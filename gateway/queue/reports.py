"""Who is told that a message was not delivered, and the report as a message to be accepted.

Owns the decision whether and where a report goes; ``wire.dsn`` owns its words. Never accepts it:
the queue does so in the transaction that removes the failed recipients (SECURITY D5).

A message with the null sender is never reported about (SECURITY S35, RFC 5321 section 4.5.5): it
is a report itself, and answering reports never ends. Only the log knows then.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from twisted.logger import Logger

from gateway.core.errors import RelayDenied, StoreDamaged, UnknownRecipient
from gateway.core.ids import AccountId
from gateway.core.log_text import escaped
from gateway.core.messages import NewMessage, QueuedRecipient
from gateway.core.ports.body import IncomingBody
from gateway.core.ports.routing import Router
from gateway.core.ports.store import QueueStore
from gateway.core.queue import QueueItem
from gateway.core.route import LocalMailbox, Route, ends_of
from gateway.wire.dsn import MAX_HEADER_OCTETS, FailedRecipient, FailureReport, header_of, render


@dataclass(frozen=True, slots=True)
class Report:
    """A rendered report and where it leads; ``report_id`` is the same for the same failures, so
    that a report whose storing has an unknown outcome can be stored again harmlessly."""

    report_id: str
    item: QueueItem
    route: Route
    octets: bytes
    made_at: int

    def to_message(self, body: IncomingBody) -> NewMessage:
        """As the store takes it; ``body`` is fresh."""
        assert self.item.sender is not None
        body.write(self.octets)
        local: list[AccountId] = []
        remote: list[QueuedRecipient] = []
        for end in ends_of(self.item.sender, self.route):
            if isinstance(end.route, LocalMailbox):
                local.append(end.route.account.account_id)
            else:
                remote.append(QueuedRecipient(end.address, end.route.next_hop))
        return NewMessage(
            ingest_id=self.report_id,
            sender=None,
            local_header=b"Return-Path: <>\r\n",
            trace_header=b"",
            body=body,
            local=tuple(local),
            remote=tuple(remote),
            received_at=self.made_at,
            may_exceed_quota=True,  # a full mailbox must not keep the failure a secret
        )


class ReportWriter:
    """Prepares reports."""

    log = Logger()

    def __init__(self, store: QueueStore, router: Router, hostname: str) -> None:
        self._store = store
        self._router = router
        self._hostname = hostname

    async def prepare(
        self, item: QueueItem, failed: Sequence[tuple[int, FailedRecipient]], now: int
    ) -> Report | None:
        """The report about these recipients (with their numbers); None: nobody can be told.

        Raises:
            DirectoryUnavailable: whether the sender is one of us cannot be said at the moment.
            StoreUnavailable: the original cannot be read at the moment.
        """
        if item.sender is None:
            self._log_unreported(item, failed, "it has the null sender")
            return None
        try:
            route = await self._router.route(item.sender, may_relay=True)
        except (UnknownRecipient, RelayDenied):
            self._log_unreported(item, failed, "its sender does not exist")
            return None
        # A recipient fails for good only once, so the first one's number tells reports apart.
        report_id = f"report-{item.queue_id}-{failed[0][0]}"
        octets = render(
            FailureReport(
                report_id=report_id,
                hostname=self._hostname,
                to=item.sender,
                failed=tuple(recipient for _, recipient in failed),
                arrived_at=item.created_at,
                reported_at=now,
                original_header=await self._header(item),
            )
        )
        return Report(report_id, item, route, octets, now)

    async def _header(self, item: QueueItem) -> bytes:
        length = min(item.size_octets, MAX_HEADER_OCTETS + 4)
        try:
            start = await self._store.read(item.blob_id, item.content_offset, length)
        except StoreDamaged:
            return b""  # the sender must hear of the failure all the more
        return header_of(start)

    def _log_unreported(
        self, item: QueueItem, failed: Sequence[tuple[int, FailedRecipient]], why: str
    ) -> None:
        for _, recipient in failed:
            self.log.warn(
                "{queue_id} to={address} failed and nobody is told, as {why}: {reply}",
                queue_id=item.queue_id,
                address=escaped(recipient.address),
                why=why,
                reply=recipient.reply,
            )
