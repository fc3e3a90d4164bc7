"""The bounded pool: how much runs, waits and is refused, and how it ends."""

from __future__ import annotations

import threading

import pytest
from twisted.internet.defer import CancelledError

from gateway.core.errors import DirectoryUnavailable
from gateway.directory.threads import WorkerThreads
from tests.support.pump import Pump


def test_N4_so_many_run_so_many_wait_and_the_next_is_refused(pump: Pump) -> None:
    gate, running = threading.Event(), threading.Semaphore(0)

    def work() -> str:
        running.release()
        assert gate.wait(10)
        return threading.current_thread().name

    pool = WorkerThreads("test", threads=2, waiting=3, call_from_thread=pump.call_from_thread)
    taken = [pool.submit(work) for _ in range(5)]
    with pytest.raises(DirectoryUnavailable):
        pump.wait_for(pool.submit(work))
    assert running.acquire(timeout=10)
    assert running.acquire(timeout=10)
    gate.set()
    assert {pump.wait_for(one) for one in taken} == {"test-1", "test-2"}
    # There is room again.
    assert pump.wait_for(pool.submit(lambda: 7)) == 7
    pump.wait_for(pool.close())


def test_errors_reach_the_caller_and_threads_live_on(pump: Pump) -> None:
    pool = WorkerThreads("test", threads=1, waiting=1, call_from_thread=pump.call_from_thread)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            pump.wait_for(pool.submit(lambda: 1 / 0))
    assert pump.wait_for(pool.submit(lambda: 1)) == 1
    pump.wait_for(pool.close())


def test_a_cancelled_job_is_not_begun(pump: Pump) -> None:
    gate = threading.Event()
    done: list[str] = []
    pool = WorkerThreads("test", threads=1, waiting=9, call_from_thread=pump.call_from_thread)
    first = pool.submit(lambda: gate.wait(10))
    second = pool.submit(lambda: done.append("second"))
    third = pool.submit(lambda: done.append("third"))
    second.cancel()
    first.cancel()
    gate.set()
    pump.wait_for(third)
    assert done == ["third"]
    with pytest.raises(CancelledError):
        pump.wait_for(first)
    with pytest.raises(CancelledError):
        pump.wait_for(second)
    pump.wait_for(pool.close())


def test_close_ends_every_thread_and_each_cleans_up(pump: Pump) -> None:
    gate = threading.Event()
    left: list[str] = []
    pool = WorkerThreads(
        "test",
        threads=2,
        waiting=9,
        call_from_thread=pump.call_from_thread,
        leaving=lambda: left.append(threading.current_thread().name),
    )
    begun = threading.Barrier(3)

    def work() -> bool:
        begun.wait(10)
        return gate.wait(10)

    running = [pool.submit(work) for _ in range(2)]
    waiting = pool.submit(lambda: True)
    begun.wait(10)
    ended = pool.close()
    gate.set()
    pump.wait_for(ended)
    assert sorted(left) == ["test-1", "test-2"]
    for refused in (waiting, pool.submit(lambda: True)):
        with pytest.raises(DirectoryUnavailable):
            pump.wait_for(refused)
    assert [pump.wait_for(one) for one in running] == [True, True]


def test_closing_an_unused_pool_ends_at_once(pump: Pump) -> None:
    pool = WorkerThreads("test", threads=1, waiting=1, call_from_thread=pump.call_from_thread)
    assert pool.close().called
    assert pool.close().called
