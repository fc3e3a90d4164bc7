"""What people send is counted in the transaction that accepts it: exact, once, for a day."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from gateway.core.address import Address
from gateway.core.envelope import Hold
from gateway.core.errors import OverQuota
from gateway.core.messages import LOCAL, Accepted, NewMessage, QueuedRecipient
from gateway.core.quota import Quota
from gateway.core.submissions import HOUR_S, Hours, Sent, Submission
from gateway.store.housekeeping import EVERY_S
from gateway.store.submissions import KEPT_HOURS
from tests.store.beside import Guest, hold
from tests.store.house import ALICE, BOB, CAROL, LARGE, MESSAGE, NOW, House

HOUR = NOW // HOUR_S
LATER = Hold("limit: as many as may be", (HOUR + 2) * HOUR_S)
BOB_WAITS = QueuedRecipient(Address("bob", "example.test"), LOCAL)
LIMIT = 10


def message(
    house: House, ingest_id: str, *, messages: int = LIMIT, recipients: int = 1, octets: bytes = b""
) -> NewMessage:
    submission = Submission(ALICE, HOUR, recipients, Sent(messages, 1000), LATER)
    made = house.message(ingest_id, BOB, remote=[CAROL], octets=octets or MESSAGE)
    return replace(made, submission=submission, held=(BOB_WAITS, CAROL))


def accept(house: House, ingest_id: str, *, messages: int = LIMIT, recipients: int = 1) -> Accepted:
    made = message(house, ingest_id, messages=messages, recipients=recipients)
    return house.wait(house.store.accept(made))


def sent(house: House, since: int = 0) -> Hours:
    return house.wait(house.store.submissions.sent_since(ALICE, since))


def test_what_is_accepted_counts_and_what_is_repeated_does_not(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        assert sent(house) == {}
        house.deliver("0", BOB)
        assert sent(house) == {}
        accept(house, "1", recipients=3)
        accept(house, "2", recipients=4)
        accept(house, "2", recipients=4)
        assert sent(house) == {HOUR: Sent(2, 7)}
        assert sent(house, HOUR + 1) == {}
        house.wait(house.store.accept(house.message("3", ALICE)))
    with House(tmp_path) as house:  # as after a restart
        assert sent(house) == {HOUR: Sent(2, 7)}


def test_what_is_refused_does_not_count(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        house.wait(house.store.quota.set_quota(BOB, Quota(messages=1)))
        accept(house, "1")
        with pytest.raises(OverQuota):
            accept(house, "2")
        assert sent(house) == {HOUR: Sent(1, 1)}


def test_an_hour_without_room_holds_for_everybody(tmp_path: Path) -> None:
    for octets in (MESSAGE, LARGE):
        with House(tmp_path / str(len(octets))) as house:
            assert accept(house, "1", messages=1).held is None
            made = message(house, "2", messages=1, octets=octets)
            answer = house.wait(house.store.accept(made))
            assert answer.held == LATER and answer.queue_id
            assert sent(house) == {HOUR: Sent(1, 1), HOUR + 2: Sent(1, 1)}
            assert len(house.rows(BOB)) == 1
            (first,) = house.lease(NOW + 1)
            assert [each.address for each in first.recipients] == [CAROL.address]
            assert LATER.until is not None
            due = [item for item in house.lease(LATER.until) if item.message_id == "2"]
            hops = [each.next_hop for item in due for each in item.recipients]
            assert sorted(hops) == ["", LOCAL]
            held = due[0]
            octets_kept = house.wait(
                house.store.read(held.blob_id, held.content_offset, held.size_octets)
            )
            assert octets_kept.endswith(octets[-100:])
            assert len(octets_kept) == held.size_octets
            house.verify()


def test_recipients_are_bounded_as_messages_are(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        accept(house, "1", recipients=600)
        assert accept(house, "2", recipients=401).held == LATER
        assert accept(house, "3", recipients=400).held is None
        assert sent(house)[HOUR] == Sent(2, 1000)


def test_two_processes_that_fill_an_hour_together_do_not_overfill_it(tmp_path: Path) -> None:
    holding = hold(tmp_path)
    with Guest(tmp_path, "one", care=True) as one, Guest(tmp_path, "two") as two:
        # All are on their way before any is waited for.
        started = [
            (house, house.pump.start(house.store.accept(message(house, f"{name}{number}"))))
            for number in range(LIMIT)
            for name, house in (("one", one), ("two", two))
        ]
        held = [house.pump.wait_for(answer).held for house, answer in started]
        assert held.count(None) == LIMIT and held.count(LATER) == LIMIT
        for house in (one, two):
            assert sent(house) == {HOUR: Sent(LIMIT, LIMIT), HOUR + 2: Sent(LIMIT, LIMIT)}
        assert len(one.uids(BOB)) == LIMIT
    holding.close()


def test_old_hours_are_forgotten(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        accept(house, "1")
        house.now += KEPT_HOURS * HOUR_S
        house.deliver("2", BOB)
        assert list(sent(house)) == [HOUR]
        house.now += HOUR_S + EVERY_S
        house.deliver("3", BOB)
        assert sent(house) == {}
