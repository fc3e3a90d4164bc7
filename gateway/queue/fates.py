"""What an attempt's outcome means for one recipient: when it is tried again, what is reported.

Pure decisions by the wishes of RFC 3461 and RFC 2852 and by the schedule; nothing is kept or sent
here.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from gateway.core.envelope import Notify
from gateway.core.queue import Outcome, QueueItem, Recorded, Verdict, WaitingRecipient
from gateway.queue import deadlines
from gateway.queue.schedule import Schedule
from gateway.wire.dsn_values import Action, Reported


@dataclass(frozen=True, slots=True)
class Fate:
    """What is kept and, if anything, reported. ``reported`` None: the sender hears nothing."""

    recipient: WaitingRecipient
    outcome: Outcome
    record: Recorded
    reported: Reported | None

    @property
    def failed(self) -> bool:
        """For good; leaves together with the report about it, if there is one."""
        return self.record.next_attempt_at is None and (
            self.outcome.verdict is not Verdict.DELIVERED
        )

    @property
    def late(self) -> bool:
        return self.reported is not None and self.reported.action is Action.DELAYED


def fate_of(
    item: QueueItem,
    recipient: WaitingRecipient,
    outcome: Outcome,
    *,
    now: int,
    promised: int,
    schedule: Schedule,
    random: Random,
) -> Fate:
    """Of a recipient whose attempt has just ended.

    Args:
        now: for retries.
        promised: the same moment for the time that the sender has set (``QueueClock``).
    """
    attempts = recipient.attempts + 1
    if outcome.verdict is Verdict.DELIVERED:
        record = Recorded(
            recipient.number,
            attempts,
            None,
            outcome.reply,
            copies=outcome.copies,
            followed_to=outcome.followed_to,
        )
        return Fate(recipient, outcome, record, _success(item, recipient, outcome))
    next_attempt_at: int | None = None
    if outcome.verdict is Verdict.DEFERRED:
        next_attempt_at = schedule.next_attempt_at(
            attempts=attempts, now=now, created_at=item.created_at, random=random
        )
    if next_attempt_at is not None:
        return _deferred(item, recipient, outcome, next_attempt_at, now, promised, schedule)
    record = Recorded(recipient.number, attempts, None, outcome.reply)
    expired = outcome.verdict is Verdict.DEFERRED
    reported = None
    if _wants(recipient, Notify.FAILURE):
        reported = _reported(recipient, outcome, Action.FAILED, expired=expired)
    return Fate(recipient, outcome, record, reported)


def _deferred(
    item: QueueItem,
    recipient: WaitingRecipient,
    outcome: Outcome,
    next_attempt_at: int,
    now: int,
    promised: int,
    schedule: Schedule,
) -> Fate:
    attempts = recipient.attempts + 1
    next_attempt_at = now + deadlines.no_later(item, next_attempt_at - now, promised)
    reported = None
    if item.sender is not None and not recipient.told_of_delay:
        age_s = schedule.age_s(attempts=attempts, now=now, created_at=item.created_at)
        notice_in_s = schedule.notice_in_s(age_s)
        late = deadlines.is_late(item, promised)
        if _wants(recipient, Notify.DELAY) and notice_in_s is not None:
            if notice_in_s <= 0:
                late = True
            else:  # tried once more just then, so that the notice says how it stands
                next_attempt_at = min(next_attempt_at, now + notice_in_s)
        # RFC 2852 section 4: who sets a time wants to hear of it, but for NOTIFY=NEVER.
        if late and recipient.options.notify != Notify.NEVER:
            until = now + max(0, schedule.lifetime_s - age_s)
            reported = _reported(recipient, outcome, Action.DELAYED, retry_until=until)
    record = Recorded(
        recipient.number,
        attempts,
        next_attempt_at,
        outcome.reply,
        told_of_delay=reported is not None,
    )
    return Fate(recipient, outcome, record, reported)


def _success(item: QueueItem, recipient: WaitingRecipient, outcome: Outcome) -> Reported | None:
    """RFC 3461 section 5.2: what the next hop reports about is none of our business."""
    here = len(outcome.copies) + len(outcome.followed_to)
    asked = recipient.options.wants_success
    if here:
        if not asked or (here == 1 and outcome.followed_to):
            return None  # a new address of the same recipient, with the same wishes
        action = Action.DELIVERED if here == 1 else Action.EXPANDED
        return _reported(recipient, outcome, action)
    if recipient.options.notify == Notify.NEVER:
        return None
    by = item.options.deliver_by
    # RFC 2852 section 4.1.4: where a time is set, the sender hears where it is not kept any more,
    # and of each relay if the trace is asked for.
    untimed = by is not None and (by.trace or not outcome.timed)
    if untimed or (asked and not outcome.reports_on):
        return _reported(recipient, outcome, Action.RELAYED)
    return None


def _wants(recipient: WaitingRecipient, what: Notify) -> bool:
    """RFC 3461 section 4.1: whoever says nothing hears of failures, and may hear of delays."""
    notify = recipient.options.notify
    return notify is None or what in notify


def _reported(
    recipient: WaitingRecipient,
    outcome: Outcome,
    action: Action,
    *,
    expired: bool = False,
    retry_until: int | None = None,
) -> Reported:
    return Reported(
        recipient.address,
        action,
        outcome.status,
        outcome.reply,
        outcome.remote,
        recipient.options.original,
        expired=expired,
        retry_until=retry_until,
    )
