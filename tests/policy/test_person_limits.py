"""How much people send: what goes on now, what waits and until when, what is refused."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.core.submissions import HOUR_S, Hours, Sent
from gateway.policy.person_limits import (
    DAY_HOURS,
    NoRoom,
    PersonBounds,
    Room,
    decide,
)
from tests.support.pop3_fakes import ALICE

NOW = 1000  # in hours


def judged(bounds: PersonBounds, hours: Hours, recipients: int = 1) -> Room | NoRoom:
    return decide(bounds, ALICE, recipients, NOW, hours)


def waits(bounds: PersonBounds, hours: Hours, recipients: int = 1) -> tuple[int, str]:
    """How many hours, and why."""
    room = judged(bounds, hours, recipients)
    assert isinstance(room, Room)
    if room.hold is None:
        assert room.submission.hour == NOW
        return 0, ""
    assert room.hold.until == room.submission.hour * HOUR_S
    return room.submission.hour - NOW, room.hold.reason


def test_who_is_below_goes_on_and_takes_the_room_along() -> None:
    room = judged(PersonBounds(messages_per_hour=5), {NOW: Sent(4, 40)})
    assert isinstance(room, Room) and room.hold is None
    submission = room.submission
    assert (submission.account_id, submission.hour, submission.recipients) == ("a1", NOW, 1)
    assert submission.room is not None and submission.room.messages == 5
    assert submission.otherwise is not None
    assert submission.otherwise.until == (NOW + 1) * HOUR_S
    assert submission.otherwise.reason == "limit: more than 5 messages in an hour"


def test_a_full_hour_waits_for_the_next_one() -> None:
    bounds = PersonBounds(messages_per_hour=5)
    assert waits(bounds, {NOW: Sent(5, 5)}) == (1, "limit: more than 5 messages in an hour")
    assert waits(bounds, {NOW: Sent(5, 5), NOW + 1: Sent(5, 5), NOW + 2: Sent(4, 4)})[0] == 2
    assert waits(bounds, {NOW - 1: Sent(5, 5)})[0] == 0


def test_recipients_count_for_themselves() -> None:
    bounds = PersonBounds(recipients_per_hour=100)
    assert waits(bounds, {NOW: Sent(1, 90)}, 10)[0] == 0
    assert waits(bounds, {NOW: Sent(1, 90)}, 11) == (
        1,
        "limit: more than 100 recipients in an hour",
    )


def test_a_full_day_waits_until_enough_of_it_is_over() -> None:
    bounds = PersonBounds(messages_per_day=10)
    hours = {NOW - 23: Sent(2, 2), NOW - 10: Sent(8, 8)}
    assert waits(bounds, hours) == (1, "limit: more than 10 messages in a day")
    assert waits(bounds, hours | {NOW + 1: Sent(2, 2)})[0] == 14
    assert waits(PersonBounds(recipients_per_day=50), {NOW: Sent(1, 50)}) == (
        24,
        "limit: more than 50 recipients in a day",
    )


def test_what_waits_already_keeps_its_place() -> None:
    """Mail of now must not fill the day of what is to go out in an hour."""
    bounds = PersonBounds(messages_per_hour=10, messages_per_day=12)
    hours = {NOW: Sent(2, 2), NOW + 1: Sent(10, 10)}
    assert waits(bounds, hours) == (24, "limit: more than 12 messages in a day")


def test_what_can_never_go_out_is_refused_for_good() -> None:
    verdict = judged(PersonBounds(recipients_per_hour=100, recipients_per_day=50), {}, 51)
    assert verdict == NoRoom(
        "The message has 51 recipients, and alice may write to 50 a day: send it to fewer",
        for_good=True,
    )
    assert waits(PersonBounds(recipients_per_hour=100), {}, 100)[0] == 0


def test_who_does_not_stop_is_refused_for_now() -> None:
    bounds = PersonBounds(messages_per_hour=5, most_waiting=3)
    hours = {NOW: Sent(5, 5), NOW + 1: Sent(5, 5), NOW + 2: Sent(4, 4)}
    assert waits(bounds, hours)[0] == 2
    verdict = judged(bounds, hours | {NOW + 2: Sent(5, 5)})
    assert isinstance(verdict, NoRoom) and not verdict.for_good
    assert verdict.text.startswith("alice may send 5 messages an hour, and 3 times as many")
    day = PersonBounds(recipients_per_day=5, most_waiting=1)
    assert isinstance(judged(day, {NOW - 20: Sent(1, 4)}, 2), NoRoom)


BOUNDS = st.builds(
    PersonBounds,
    messages_per_hour=st.integers(0, 4),
    messages_per_day=st.integers(0, 9),
    recipients_per_hour=st.integers(0, 9),
    recipients_per_day=st.integers(1, 20),
    most_waiting=st.just(50),
)


@given(BOUNDS, st.lists(st.tuples(st.integers(0, 3), st.integers(1, 5)), max_size=60))
def test_no_hour_and_no_day_ever_holds_more(
    bounds: PersonBounds, messages: list[tuple[int, int]]
) -> None:
    now = NOW
    hours: dict[int, Sent] = {}
    for pause, recipients in messages:
        now += pause
        known = {hour: sent for hour, sent in hours.items() if hour > now - DAY_HOURS}
        room = decide(bounds, ALICE, recipients, now, known)
        if isinstance(room, NoRoom):
            assert room.for_good
            continue
        hour = room.submission.hour
        assert hour >= now
        before = hours.get(hour, Sent())
        hours[hour] = Sent(before.messages + 1, before.recipients + recipients)
        if room.submission.room is not None:
            assert hours[hour].messages <= room.submission.room.messages
            assert hours[hour].recipients <= room.submission.room.recipients
    for hour in range(NOW, max([NOW, *hours]) + 1):
        here = hours.get(hour, Sent())
        assert here.messages <= bounds.hour.messages
        assert here.recipients <= bounds.hour.recipients
        day = [hours.get(each, Sent()) for each in range(hour - DAY_HOURS + 1, hour + 1)]
        assert sum(each.messages for each in day) <= bounds.day.messages
        assert sum(each.recipients for each in day) <= bounds.day.recipients


@given(BOUNDS, st.dictionaries(st.integers(NOW - 23, NOW + 3), st.builds(Sent, st.integers(0, 9))))
def test_a_reason_names_a_bound_that_is_set(bounds: PersonBounds, hours: dict[int, Sent]) -> None:
    room = decide(bounds, ALICE, 1, NOW, hours)
    if isinstance(room, NoRoom):
        return
    hold = room.hold or room.submission.otherwise
    assert hold is not None
    named = {
        f"limit: more than {bounds.messages_per_hour} messages in an hour",
        f"limit: more than {bounds.messages_per_day} messages in a day",
        f"limit: more than {bounds.recipients_per_hour} recipients in an hour",
        f"limit: more than {bounds.recipients_per_day} recipients in a day",
    }
    assert hold.reason in named and "than 0 " not in hold.reason
