"""What may come between the steps of an attempt: each way nobody is lost, and nobody sent twice.

One row each of the table in ``docs/durability.md``, over the real store. Kills of real processes
are ``tests.crash.queue_kills``'.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from twisted.internet.defer import Deferred

from gateway.core.queue import QueueFilter, QueueState, Verdict
from tests.store.house import House
from tests.support.queue_fakes import FakeDelivery
from tests.support.queue_runs import Runs

LEASE_S = 900


@pytest.fixture
def runs(tmp_path: Path) -> Iterator[Runs]:
    with House(tmp_path) as house:
        running = Runs(house)
        running.start()
        yield running
        running.stop()


def sending(runs: Runs) -> None:
    """One message, whose attempt goes on until ``answer``."""
    runs.delivery.default = None
    runs.accept("m1")
    assert runs.sent == 1


def answer(runs: Runs, verdict: Verdict = Verdict.DELIVERED) -> None:
    runs.delivery.late = verdict
    runs.delivery.pending.pop().callback(None)
    runs.settle()


def takes_nothing_more(runs: Runs) -> None:
    """The runner's process ends in the middle of its attempt: here it must not take the mail again
    that is freed for the next one."""
    assert runs.runner is not None
    Deferred.fromCoroutine(runs.runner.stop())


def waiting(runs: Runs) -> list[QueueState]:
    listed = runs.house.store.queue.listed(QueueFilter(), after=None, limit=9)
    return [each.state for each in runs.house.wait(listed)]


def test_D4_a_lease_that_ends_during_an_attempt_lets_nobody_else_send(runs: Runs) -> None:
    sending(runs)
    runs.pass_time(3 * LEASE_S)
    assert runs.sent == 1 and waiting(runs) == [QueueState.SENDING]
    answer(runs)
    assert waiting(runs) == []


@pytest.mark.parametrize("verdict", [Verdict.DELIVERED, Verdict.DEFERRED])
def test_D4_a_hold_during_an_attempt_neither_loses_nor_doubles(
    runs: Runs, verdict: Verdict
) -> None:
    sending(runs)
    (row,) = runs.house.wait(runs.house.store.queue.listed(QueueFilter(), after=None, limit=9))
    runs.house.wait(runs.house.store.queue.hold([row.queue_id], "wait"))
    runs.pass_time(120)
    answer(runs, verdict)
    if verdict is Verdict.DELIVERED:
        assert waiting(runs) == []
        return
    runs.pass_time(3600)
    assert waiting(runs) == [QueueState.HELD] and runs.sent == 1
    runs.delivery.default = Verdict.DELIVERED
    runs.house.wait(runs.house.store.queue.release([row.queue_id]))
    runs.settle()
    assert waiting(runs) == [] and runs.sent == 2


def test_D4_a_release_or_retry_during_an_attempt_sends_nothing_twice(runs: Runs) -> None:
    sending(runs)
    (row,) = runs.house.wait(runs.house.store.queue.listed(QueueFilter(), after=None, limit=9))
    for deed in (
        runs.house.store.queue.hold([row.queue_id], "wait"),
        runs.house.store.queue.release([row.queue_id]),
        runs.house.store.queue.hasten([row.queue_id]),
    ):
        runs.house.wait(deed)
        runs.pass_time(120)
    assert runs.sent == 1
    answer(runs)
    runs.pass_time(2 * LEASE_S)
    assert runs.sent == 1 and waiting(runs) == []


def test_D4_who_takes_the_queue_over_sends_what_was_not_recorded_once(runs: Runs) -> None:
    """The one before has ended in the middle of an attempt: the next one makes it anew, at once."""
    sending(runs)
    takes_nothing_more(runs)
    runs.delivery = FakeDelivery()
    runs.house.wait(runs.house.store.take_care())
    runs.start()
    assert runs.sent == 1 and waiting(runs) == []
    runs.pass_time(2 * LEASE_S)
    assert runs.sent == 1


@pytest.mark.parametrize("verdict", [Verdict.DELIVERED, Verdict.DEFERRED])
def test_D4_what_a_runner_records_too_late_does_no_harm(runs: Runs, verdict: Verdict) -> None:
    """It cannot be, as nobody takes over before the process has ended; all the same the successor
    sends once."""
    sending(runs)
    takes_nothing_more(runs)
    before = runs.delivery
    runs.delivery = FakeDelivery(default=None)
    runs.house.wait(runs.house.store.take_care())
    runs.start()
    assert runs.sent == 1
    before.late = verdict
    before.pending.pop().callback(None)
    runs.settle()
    runs.pass_time(2 * LEASE_S)
    assert runs.sent == 1, "in hand, whatever its row says"
    answer(runs)
    runs.pass_time(2 * LEASE_S)
    assert runs.sent == 1 and waiting(runs) == []
