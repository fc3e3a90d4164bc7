"""What an attempt's outcomes become: rows done with, rows tried again, reports to the sender.

Owns the order that never loses (SECURITY D4, D5): what was delivered or deferred is recorded
first and at once; those that failed for good leave only in the transaction that accepts the report
about them. A report that cannot be made now keeps its recipients in the queue, but for good news,
which then waits for nobody. Copies for people here are made in the transaction that records them.

Recording is repeated while the store is in trouble: forgetting a delivery means a second copy.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from random import Random
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger

from gateway.core.errors import GatewayError, OverQuota, StoreUnavailable
from gateway.core.log_text import escaped
from gateway.core.messages import LOCAL, QueuedRecipient
from gateway.core.ports.queue import QueueStore
from gateway.core.queue import Outcome, QueueItem, Recorded, Verdict, WaitingRecipient
from gateway.queue.fates import Fate, fate_of
from gateway.queue.journal import Journal
from gateway.queue.reports import Report, ReportWriter
from gateway.queue.schedule import Schedule

RECORD_RETRY_S = (1.0, 2.0, 5.0, 15.0, 60.0)  # the last one repeats

Sleep = Callable[[float], Coroutine[Deferred[Any], Any, None]]


class Settler:
    """Records outcomes.

    Args:
        schedule_of: of a destination and a recipient's domain.
        sleep: waits so many seconds; raises CancelledError when the queue stops.
        rejects_over_quota: mail for a full mailbox goes back at once instead of waiting.
    """

    log = Logger()

    def __init__(
        self,
        store: QueueStore,
        reports: ReportWriter,
        *,
        schedule_of: Callable[[str, str], Schedule],
        random: Random,
        sleep: Sleep,
        journal: Journal,
        rejects_over_quota: bool = False,
    ) -> None:
        self._store = store
        self._reports = reports
        self._schedule_of = schedule_of
        self._random = random
        self._sleep = sleep
        self._journal = journal
        self._rejects_over_quota = rejects_over_quota

    async def settle(
        self,
        item: QueueItem,
        recipients: Sequence[WaitingRecipient],
        outcomes: Sequence[Outcome],
        now: int,
        promised: int,
    ) -> None:
        """Keep the outcomes; a recipient without one counts as deferred.

        Args:
            now, promised: as ``QueueClock`` has them.
        """
        by_number = {outcome.number: outcome for outcome in outcomes}
        fates = [
            fate_of(
                item,
                recipient,
                by_number.get(recipient.number) or _no_outcome(recipient),
                now=now,
                promised=promised,
                schedule=self._schedule_of(item.destination, recipient.address.domain),
                random=self._random,
            )
            for recipient in recipients
        ]
        done = [fate for fate in fates if not fate.failed and not fate.late]
        late = [fate for fate in fates if fate.late]
        failed = [fate for fate in fates if fate.failed]
        if done:
            await self._settle_done(item, done, now, promised)
        if late:
            await self._settle_late(item, late, now)
        if failed:
            await self._settle_failed(item, failed, now)

    async def put_back(
        self, item: QueueItem, recipients: Sequence[WaitingRecipient], at: int
    ) -> None:
        """Free recipients that were leased but not tried; it does not count as an attempt."""
        await self._record(
            item, [Recorded(r.number, r.attempts, at, r.last_reply) for r in recipients], None
        )

    async def _settle_done(
        self, item: QueueItem, fates: list[Fate], now: int, promised: int
    ) -> None:
        report = await self._good_news(item, fates, now)
        try:
            await self._record(item, [fate.record for fate in fates], report)
        except OverQuota as full:
            outcomes = [self._without(fate, full) for fate in fates]
            recipients = [fate.recipient for fate in fates]
            await self.settle(item, recipients, outcomes, now, promised)
            return
        self._tell(item, fates, report)

    async def _settle_late(self, item: QueueItem, fates: list[Fate], now: int) -> None:
        try:
            report = await self._prepare(item, fates, now)
        except CancelledError:
            raise
        except Exception:
            self.log.failure("{queue_id} report cannot be made", queue_id=item.queue_id)
            # Told after the next attempt.
            untold = [replace(each.record, told_of_delay=False) for each in fates]
            await self._record(item, untold, None)
            self._tell(item, fates, None)
            return
        await self._record(item, [fate.record for fate in fates], report)
        self._tell(item, fates, report)

    async def _prepare(self, item: QueueItem, fates: Sequence[Fate], now: int) -> Report | None:
        about = [(fate.recipient.number, fate.reported) for fate in fates if fate.reported]
        return await self._reports.prepare(item, about, now) if about else None

    async def _good_news(self, item: QueueItem, fates: Sequence[Fate], now: int) -> Report | None:
        """A report without which nothing is lost."""
        try:
            return await self._prepare(item, fates, now)
        except CancelledError:
            raise
        except Exception:
            self.log.failure("{queue_id} report cannot be made", queue_id=item.queue_id)
            return None

    async def _settle_failed(self, item: QueueItem, fates: list[Fate], now: int) -> None:
        try:
            report = await self._prepare(item, fates, now)
        except CancelledError:
            raise
        except Exception as problem:
            if isinstance(problem, GatewayError):
                self.log.warn("{queue_id} report waits: {why}", queue_id=item.queue_id, why=problem)
            else:
                self.log.failure("{queue_id} report cannot be made", queue_id=item.queue_id)
            # The refusal comes again with the next attempt, and with it the report.
            later = [replace(each, record=self._again(item, each, now)) for each in fates]
            await self._record(item, [fate.record for fate in later], None)
            self._tell(item, later, None)
            return
        await self._record(item, [fate.record for fate in fates], report)
        self._tell(item, fates, report)

    def _again(self, item: QueueItem, fate: Fate, now: int) -> Recorded:
        schedule = self._schedule_of(item.destination, fate.recipient.address.domain)
        at = now + schedule.delay_s(fate.record.attempts, self._random)
        return replace(fate.record, next_attempt_at=at)

    def _without(self, fate: Fate, full: OverQuota) -> Outcome:
        """The outcome as far as there is room; of several people behind one address each who has
        none waits by themselves."""
        outcome = fate.outcome
        lacking = [copy for copy in outcome.copies if copy.account_id in full.account_ids]
        if not lacking:
            return outcome
        left = tuple(copy for copy in outcome.copies if copy not in lacking)
        if left or outcome.followed_to:
            options = fate.recipient.options.without_success()
            waiting = tuple(QueuedRecipient(copy.address, LOCAL, options) for copy in lacking)
            return replace(outcome, copies=left, followed_to=outcome.followed_to + waiting)
        verdict, status = Verdict.DEFERRED, "4.2.2"
        if self._rejects_over_quota:
            verdict, status = Verdict.FAILED, "5.2.2"
        return Outcome(outcome.number, verdict, status, full.safe_text)

    async def _record(
        self, item: QueueItem, results: Sequence[Recorded], report: Report | None
    ) -> None:
        """Raises: OverQuota."""
        tries = 0
        while True:
            body = self._store.open_body() if report is not None else None
            message = report.to_message(body) if report is not None and body is not None else None
            try:
                await self._store.record(item.queue_id, results, message)
                return
            except StoreUnavailable as problem:
                self.log.warn(
                    "{queue_id} not recorded yet: {why}", queue_id=item.queue_id, why=problem
                )
            finally:
                if body is not None:
                    body.discard()
            await self._sleep(RECORD_RETRY_S[min(tries, len(RECORD_RETRY_S) - 1)])
            tries += 1

    def _tell(self, item: QueueItem, fates: Sequence[Fate], report: Report | None) -> None:
        """The log and the trace, of what is recorded."""
        for fate in fates:
            self._journal.attempted(item, fate.recipient, fate.outcome, fate.record.next_attempt_at)
            self._log(item, fate)
        if report is None:
            return
        reported = [fate.reported for fate in fates if fate.reported is not None]
        self.log.info(
            "{queue_id} reported to {to} as {report_id}",
            queue_id=item.queue_id,
            to=escaped(report.to),
            report_id=report.report_id,
        )
        actions = ", ".join(sorted({each.action.value for each in reported}))
        self._journal.reported(item, report.report_id, actions, report.to)

    def _log(self, item: QueueItem, fate: Fate) -> None:
        outcome, at = fate.outcome, fate.record.next_attempt_at
        expired = outcome.verdict is Verdict.DEFERRED and at is None
        self.log.info(
            "{queue_id} to={address} {verdict} status={status} remote={remote} via={via} "
            "attempt={attempt} message={message_id}: {reply}",
            queue_id=item.queue_id,
            message_id=item.message_id,
            address=escaped(fate.recipient.address),
            verdict="expired" if expired else outcome.verdict.value,
            status=outcome.status,
            remote=outcome.remote,
            via=outcome.via,
            attempt=fate.recipient.attempts + 1,
            reply=outcome.reply,
            next_attempt_at=at,
        )


def _no_outcome(recipient: WaitingRecipient) -> Outcome:
    return Outcome(recipient.number, Verdict.DEFERRED, "4.3.0", "the attempt gave no outcome")
