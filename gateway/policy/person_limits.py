"""How much one person may send in an hour and in a day, and what becomes of what is more.

Owns the arithmetic: a message goes on in the first hour that has room for it in every window it
falls into, which is the running one for nearly all mail. What has to wait is accepted and held, so
nothing is lost; only who hands in many times what may go out is refused for now, and what could
never go out is refused for good. Never replies, never counts: the store does, in the transaction
that accepts the message, and holds it there if others have filled the hour meanwhile.

Hours are those of the clock; a day is the running hour and the 23 before it. Nobody is asked about
where no bound is set.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import accumulate

from gateway.core.account import Account
from gateway.core.envelope import Hold
from gateway.core.ports.submissions import SubmissionStore
from gateway.core.submissions import HOUR_S, NOTHING, Hours, Sent, Submission

DAY_HOURS = 24
UNBOUNDED = 2**53


@dataclass(frozen=True, slots=True)
class PersonBounds:
    """0: none.

    Args:
        most_waiting: how many times a bound may be counted or wait at once.
    """

    messages_per_hour: int = 0
    messages_per_day: int = 0
    recipients_per_hour: int = 0
    recipients_per_day: int = 0
    most_waiting: int = 10

    @property
    def hour(self) -> Sent:
        return Sent(self.messages_per_hour or UNBOUNDED, self.recipients_per_hour or UNBOUNDED)

    @property
    def day(self) -> Sent:
        return Sent(self.messages_per_day or UNBOUNDED, self.recipients_per_day or UNBOUNDED)

    @property
    def any(self) -> bool:
        return bool(
            self.messages_per_hour
            or self.messages_per_day
            or self.recipients_per_hour
            or self.recipients_per_day
        )


@dataclass(frozen=True, slots=True)
class Room:
    """The message is taken. ``hold`` is set when it has to wait."""

    submission: Submission
    hold: Hold | None = None


@dataclass(frozen=True, slots=True)
class NoRoom:
    """It is refused; ``for_good``: trying again cannot help. The text is for the person."""

    text: str
    for_good: bool = False


class PersonLimits:
    """The guard of what people send."""

    def __init__(self, store: SubmissionStore, bounds: PersonBounds) -> None:
        assert bounds.any, "no bounds cost nothing: leave it out"
        self._store = store
        self._bounds = bounds

    async def judge(self, account: Account, recipients: int, now: float) -> Room | NoRoom:
        """What is to become of a message with so many recipients.

        Raises: StoreUnavailable.
        """
        hour = int(now) // HOUR_S
        hours = await self._store.sent_since(account.account_id, hour - DAY_HOURS + 1)
        # Nothing is put off for longer; what counts later was counted by a clock that was wrong.
        latest = hour + DAY_HOURS * (self._bounds.most_waiting + 1)
        known = {each: sent for each, sent in hours.items() if each <= latest}
        return decide(self._bounds, account, recipients, hour, known)


def decide(
    bounds: PersonBounds, account: Account, recipients: int, hour: int, hours: Hours
) -> Room | NoRoom:
    """The rule, of what counts already in the running hour, the 23 before it and later ones."""
    most = min(bounds.hour.recipients, bounds.day.recipients)
    if recipients > most:
        return NoRoom(
            f"The message has {recipients} recipients, and {account.login} may write to {most}"
            f" {'an hour' if most == bounds.hour.recipients else 'a day'}: send it to fewer",
            for_good=True,
        )
    refusal = _over_all(bounds, account, recipients, hour, hours)
    if refusal is not None:
        return refusal
    schedule = _Schedule(bounds, hours, hour)
    this = Sent(1, recipients)
    goes_at = schedule.first_with_room(hour, this)
    later = schedule.first_with_room(max(goes_at, hour) + 1, this)
    submission = Submission(account.account_id, goes_at, recipients)
    room = schedule.room(hour)
    if goes_at > hour:
        reason = _reason(bounds, this, hours.get(hour, NOTHING), room)
        return Room(submission, Hold(reason, goes_at * HOUR_S))
    # Whoever fills the hour meanwhile fills it to the bound that is nearest.
    reason = _reason(bounds, this, room, room)
    otherwise = Hold(reason, later * HOUR_S)
    return Room(replace(submission, room=room, otherwise=otherwise))


def _over_all(
    bounds: PersonBounds, account: Account, recipients: int, hour: int, hours: Hours
) -> NoRoom | None:
    """Against somebody (or a machine with their password) who does not stop."""
    factor = bounds.most_waiting
    for bound, since, span in (
        (bounds.hour, hour, "an hour"),
        (bounds.day, hour - DAY_HOURS + 1, "a day"),
    ):
        sent = _sum(hours, since)
        for count, most, what in (
            (sent.messages + 1, bound.messages, "messages"),
            (sent.recipients + recipients, bound.recipients, "recipients"),
        ):
            if count > most * factor:
                return NoRoom(
                    f"{account.login} may send {most} {what} {span}, and {factor} times as many"
                    " have come and wait already; try again later"
                )
    return None


def _reason(bounds: PersonBounds, this: Sent, there: Sent, room: Sent) -> str:
    """Which bound it was, for people; ``room`` is of an hour that holds ``there``."""
    no_messages = there.messages + this.messages > room.messages and room.messages < UNBOUNDED // 2
    if no_messages and room.messages == bounds.hour.messages:
        return f"limit: more than {bounds.messages_per_hour} messages in an hour"
    if room.recipients == bounds.recipients_per_hour and not no_messages:
        return f"limit: more than {bounds.recipients_per_hour} recipients in an hour"
    if no_messages:
        return f"limit: more than {bounds.messages_per_day} messages in a day"
    return f"limit: more than {bounds.recipients_per_day} recipients in a day"


def _sum(hours: Hours, since: int, until: int = UNBOUNDED) -> Sent:
    counted = [sent for hour, sent in hours.items() if since <= hour <= until]
    return Sent(sum(each.messages for each in counted), sum(each.recipients for each in counted))


class _Schedule:
    """Sums of all days that a message in some hour would fall into, made once."""

    def __init__(self, bounds: PersonBounds, hours: Hours, hour: int) -> None:
        self._bounds = bounds
        self._hours = hours
        self._now = hour
        # Behind the last hour in which something counts, a whole day is empty.
        self._end = max([hour, *hours]) + DAY_HOURS
        counted = [
            hours.get(each, NOTHING) for each in range(hour - DAY_HOURS + 1, self._end + DAY_HOURS)
        ]
        self._messages = _days([sent.messages for sent in counted])
        self._recipients = _days([sent.recipients for sent in counted])

    def first_with_room(self, hour: int, this: Sent) -> int:
        """The first hour from ``hour`` on in which the message can go."""
        while hour < self._end:
            room = self.room(hour)
            there = self._hours.get(hour, NOTHING)
            if (
                there.messages + this.messages <= room.messages
                and there.recipients + this.recipients <= room.recipients
            ):
                break
            hour += 1
        return hour

    def room(self, hour: int) -> Sent:
        """What the hour may hold in all: no day that it belongs to may become too full."""
        there, most, day = self._hours.get(hour, NOTHING), self._bounds.hour, self._bounds.day
        ends = slice(hour - self._now, hour - self._now + DAY_HOURS)
        return Sent(
            min(most.messages, there.messages + day.messages - max(self._messages[ends])),
            min(most.recipients, there.recipients + day.recipients - max(self._recipients[ends])),
        )


def _days(hours: list[int]) -> list[int]:
    """Sums of a day's hours: of the first day, of the one an hour later, and so on."""
    sums = list(accumulate(hours, initial=0))
    return [until - since for since, until in zip(sums, sums[DAY_HOURS:], strict=False)]
