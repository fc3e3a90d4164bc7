"""Who is told what became of a message, and the report as a message to be accepted.

Owns the decision whether and where a report goes and how much of the message it returns;
``wire.dsn`` owns its form. Never accepts it: the queue does so in the transaction that keeps what
is reported (SECURITY D5).

A message with the null sender is never reported about (SECURITY S35, RFC 5321 section 4.5.5): it
is a report itself, and answering reports never ends. Log and trace know of it, and where one is
named for that the postmaster hears, whose report is the last in any case. While nobody can say
where the sender is, the report itself waits in the queue.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from twisted.logger import Logger

from gateway.core.address import Address, path
from gateway.core.envelope import BodyKind, MessageOptions
from gateway.core.errors import GatewayError, RelayDenied, StoreDamaged, UnknownRecipient
from gateway.core.ids import AccountId
from gateway.core.log_text import escaped
from gateway.core.messages import LOCAL, NewMessage, QueuedRecipient
from gateway.core.ports.body import IncomingBody
from gateway.core.ports.queue import QueueStore
from gateway.core.ports.routing import Router
from gateway.core.queue import QueueItem
from gateway.core.route import LocalMailbox, Outbound, Route, ends_of
from gateway.queue.journal import Journal
from gateway.wire import dsn, dsn_values
from gateway.wire.dsn_original import MAX_HEADER_OCTETS, MAX_RETURNED_OCTETS, header_of
from gateway.wire.dsn_values import Action, Reported

LAST_PREFIX = "report-last-"
"""Of the ids of reports to the postmaster: nothing is reported about these."""


@dataclass(frozen=True, slots=True)
class Report:
    """A rendered report and where it leads; ``report_id`` is the same for the same results, so
    that a report whose storing has an unknown outcome can be stored again harmlessly."""

    report_id: str
    to: Address
    route: Route
    octets: bytes
    options: MessageOptions
    made_at: int

    def to_message(self, body: IncomingBody) -> NewMessage:
        """As the store takes it; ``body`` is fresh."""
        body.write(self.octets)
        local: list[AccountId] = []
        remote: list[QueuedRecipient] = []
        for end in ends_of(self.to, self.route):
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
            options=self.options,
            may_exceed_quota=True,  # a full mailbox must not keep the failure a secret
        )


@dataclass(frozen=True, slots=True)
class _Addressee:
    """Who is told; ``in_place_of``: why they are though they did not send the message."""

    address: Address
    route: Route
    in_place_of: str = ""


class ReportWriter:
    """Prepares reports.

    Args:
        router: None: nobody can say here where senders are; reports wait for whoever runs the
            queue next.
        double_bounces_to: who hears of failures that no sender can be told of; None: nobody.
    """

    log = Logger()

    def __init__(
        self,
        store: QueueStore,
        router: Router | None,
        hostname: str,
        journal: Journal,
        *,
        double_bounces_to: Address | None = None,
    ) -> None:
        self._store = store
        self._router = router
        self._hostname = hostname
        self._journal = journal
        self._double_bounces_to = double_bounces_to

    async def prepare(
        self, item: QueueItem, reported: Sequence[tuple[int, Reported]], now: int
    ) -> Report | None:
        """The report about these recipients (with their numbers), which are failed ones, delayed
        ones, or such that succeeded; None: nobody can be told.

        Raises:
            StoreUnavailable: the original cannot be read at the moment. Only of failures, as with
                these the message is gone.
        """
        number, first = reported[0]
        failed = first.action is Action.FAILED
        told = await self._addressee(item, reported, failed=failed)
        if told is None:
            return None
        ends = ends_of(told.address, told.route)
        stays_here = all(isinstance(end.route, LocalMailbox) for end in ends)
        utf8 = not str(told.address).isascii() or (item.options.smtputf8 and stays_here)
        original, whole = await self._original(item, failed=failed, stays_here=stays_here)
        # A recipient fails for good, is late or succeeds only once, so these tell reports apart.
        kind = "" if failed else "-delay" if first.action is Action.DELAYED else "-success"
        prefix = LAST_PREFIX if told.in_place_of else "report-"
        report_id = f"{prefix}{item.queue_id}-{number}{kind}"
        octets = dsn.render(
            dsn_values.Report(
                report_id=report_id,
                hostname=self._hostname,
                to=told.address,
                recipients=tuple(each for _, each in reported),
                arrived_at=item.created_at,
                reported_at=now,
                original=original,
                whole=whole,
                envelope_id=item.options.envid,
                utf8=utf8,
                reference=item.message_id or item.queue_id,
                in_place_of=told.in_place_of,
            )
        )
        options = MessageOptions(
            body=BodyKind.SEVEN_BIT if octets.isascii() else BodyKind.EIGHT_BIT,
            smtputf8=utf8,
            priority=item.options.priority,
            require_tls=item.options.require_tls,  # RFC 8689 section 5
        )
        return Report(report_id, told.address, told.route, octets, options, now)

    async def _addressee(
        self, item: QueueItem, reported: Sequence[tuple[int, Reported]], *, failed: bool
    ) -> _Addressee | None:
        why, reason = "it has the null sender", "the message has no sender who could be told"
        if item.sender is not None:
            route = await self._route(item, item.sender)
            if route is not None:
                return _Addressee(item.sender, route)
            why, reason = "its sender does not exist", f"its sender {item.sender} does not exist"
        self._log_unreported(item, reported, why)
        instead = self._double_bounces_to
        if instead is None or not failed or _is_last(item, reported, instead):
            return None
        route = await self._route(item, instead)
        return None if route is None else _Addressee(instead, route, reason)

    async def _route(self, item: QueueItem, address: Address) -> Route | None:
        """None: there is nobody."""
        if self._router is None:
            return Outbound(LOCAL)
        try:
            return await self._router.route(address, may_relay=True)
        except (UnknownRecipient, RelayDenied):
            return None
        except GatewayError as problem:
            self.log.warn("{queue_id} report waits: {why}", queue_id=item.queue_id, why=problem)
            return Outbound(LOCAL)

    async def _original(
        self, item: QueueItem, *, failed: bool, stays_here: bool
    ) -> tuple[bytes, bool]:
        """What is returned, and whether that is the whole message.

        RFC 3461 section 4.3: all of it only where the sender asked and with a failure; RFC 8689
        section 5: never of a message that needs TLS. Content with 8 bits only over a way that is
        known to take it, as a report that fails is lost.
        """
        options = item.options
        whole = (
            failed
            and options.ret == "FULL"
            and not options.require_tls
            and item.size_octets <= MAX_RETURNED_OCTETS
        )
        length = item.size_octets if whole else min(item.size_octets, MAX_HEADER_OCTETS + 4)
        try:
            start = await self._store.read(item.blob_id, item.content_offset, length)
        except StoreDamaged:
            return b"", False  # the sender must hear of it all the more
        except GatewayError:
            if failed:
                raise
            return b"", False
        takes_8_bits = stays_here or options.body is BodyKind.EIGHT_BIT
        if whole and (start.isascii() or takes_8_bits):
            return start, True
        return header_of(start), False

    def _log_unreported(
        self, item: QueueItem, reported: Sequence[tuple[int, Reported]], why: str
    ) -> None:
        for _, recipient in reported:
            self.log.warn(
                "{queue_id} to={address} {action} and nobody is told, as {why}: {reply}",
                queue_id=item.queue_id,
                address=escaped(recipient.address),
                action=recipient.action.value,
                why=why,
                reply=recipient.reply,
            )
            self._journal.unreported(item, path(recipient.address), why)


def _is_last(item: QueueItem, reported: Sequence[tuple[int, Reported]], instead: Address) -> bool:
    """A report to the postmaster, or anything without a sender for them: telling them of it could
    go on for ever."""
    is_report = (item.message_id or item.queue_id).startswith(LAST_PREFIX)
    return is_report or any(each.address.key == instead.key for _, each in reported)
