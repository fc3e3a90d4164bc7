"""What an attempt's outcomes become: rows done with, rows tried again, a report to the sender.

Owns the order that never loses (SECURITY D4, D5): what was delivered or deferred is recorded
first and at once; those that failed for good leave only in the transaction that accepts the report
about them. A report that cannot be made now keeps its recipients in the queue.

Recording is repeated while the store is in trouble: forgetting a delivery means a second copy.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from random import Random
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger

from gateway.core.errors import GatewayError, StoreUnavailable
from gateway.core.log_text import escaped
from gateway.core.ports.store import QueueStore
from gateway.core.queue import Outcome, QueueItem, Recorded, Verdict, WaitingRecipient
from gateway.queue.reports import Report, ReportWriter
from gateway.queue.schedule import Schedule
from gateway.wire.dsn import FailedRecipient

RECORD_RETRY_S = (1.0, 2.0, 5.0, 15.0, 60.0)  # the last one repeats

Sleep = Callable[[float], Coroutine[Deferred[Any], Any, None]]


class Settler:
    """Records outcomes.

    Args:
        sleep: waits so many seconds; raises CancelledError when the queue stops.
    """

    log = Logger()

    def __init__(
        self,
        store: QueueStore,
        reports: ReportWriter,
        *,
        schedule: Schedule,
        random: Random,
        sleep: Sleep,
    ) -> None:
        self._store = store
        self._reports = reports
        self._schedule = schedule
        self._random = random
        self._sleep = sleep

    async def settle(
        self,
        item: QueueItem,
        recipients: Sequence[WaitingRecipient],
        outcomes: Sequence[Outcome],
        now: int,
    ) -> None:
        """Keep the outcomes; a recipient without one counts as deferred."""
        by_number = {outcome.number: outcome for outcome in outcomes}
        done: list[Recorded] = []
        failed: list[tuple[WaitingRecipient, FailedRecipient]] = []
        for recipient in recipients:
            outcome = by_number.get(recipient.number) or _no_outcome(recipient)
            attempts = recipient.attempts + 1
            next_attempt_at: int | None = None
            if outcome.verdict is Verdict.DEFERRED:
                next_attempt_at = self._schedule.next_attempt_at(
                    attempts=attempts, now=now, created_at=item.created_at, random=self._random
                )
            self._log(item, recipient, outcome, next_attempt_at)
            if outcome.verdict is Verdict.DELIVERED or next_attempt_at is not None:
                record = Recorded(recipient.number, attempts, next_attempt_at, outcome.reply)
                done.append(record)
            else:
                failed.append((recipient, _failed(recipient, outcome)))
        if done:
            await self._record(item, done, None)
        if failed:
            await self._settle_failed(item, failed, now)

    async def put_back(
        self, item: QueueItem, recipients: Sequence[WaitingRecipient], at: int
    ) -> None:
        """Free recipients that were leased but not tried; it does not count as an attempt."""
        await self._record(
            item, [Recorded(r.number, r.attempts, at, r.last_reply) for r in recipients], None
        )

    async def _settle_failed(
        self, item: QueueItem, failed: list[tuple[WaitingRecipient, FailedRecipient]], now: int
    ) -> None:
        try:
            about = [(recipient.number, shown) for recipient, shown in failed]
            report = await self._reports.prepare(item, about, now)
        except CancelledError:
            raise
        except Exception as problem:
            if isinstance(problem, GatewayError):
                self.log.warn("{queue_id} report waits: {why}", queue_id=item.queue_id, why=problem)
            else:
                self.log.failure("{queue_id} report cannot be made", queue_id=item.queue_id)
            # The refusal comes again with the next attempt, and with it the report.
            later = [
                Recorded(
                    recipient.number,
                    recipient.attempts + 1,
                    now + self._schedule.delay_s(recipient.attempts + 1, self._random),
                    shown.reply,
                )
                for recipient, shown in failed
            ]
            await self._record(item, later, None)
            return
        gone = [Recorded(r.number, r.attempts + 1, None, shown.reply) for r, shown in failed]
        await self._record(item, gone, report)
        if report is not None:
            self.log.info(
                "{queue_id} reported to its sender {sender} as {report_id}",
                queue_id=item.queue_id,
                sender=escaped(item.sender),
                report_id=report.report_id,
            )

    async def _record(
        self, item: QueueItem, results: Sequence[Recorded], report: Report | None
    ) -> None:
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

    def _log(
        self,
        item: QueueItem,
        recipient: WaitingRecipient,
        outcome: Outcome,
        next_attempt_at: int | None,
    ) -> None:
        expired = outcome.verdict is Verdict.DEFERRED and next_attempt_at is None
        self.log.info(
            "{queue_id} to={address} {verdict} status={status} remote={remote} "
            "attempt={attempt}: {reply}",
            queue_id=item.queue_id,
            address=escaped(recipient.address),
            verdict="expired" if expired else outcome.verdict.value,
            status=outcome.status,
            remote=outcome.remote,
            attempt=recipient.attempts + 1,
            reply=outcome.reply,
            next_attempt_at=next_attempt_at,
        )


def _no_outcome(recipient: WaitingRecipient) -> Outcome:
    return Outcome(recipient.number, Verdict.DEFERRED, "4.3.0", "the attempt gave no outcome")


def _failed(recipient: WaitingRecipient, outcome: Outcome) -> FailedRecipient:
    return FailedRecipient(
        recipient.address,
        outcome.status,
        outcome.reply,
        outcome.remote,
        expired=outcome.verdict is Verdict.DEFERRED,
    )
