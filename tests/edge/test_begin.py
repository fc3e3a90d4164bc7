"""Coroutines that are begun by hand behave as those that a Deferred begins."""

from __future__ import annotations

import gc

import pytest
from twisted.internet.defer import CancelledError, Deferred

from gateway.edge.begin import begin


def test_what_waits_for_nothing_needs_no_deferred() -> None:
    async def done() -> None:
        waited: Deferred[int] = Deferred()
        waited.callback(7)
        said.append(await waited)

    said: list[int] = []
    assert begin(done()) is None and said == [7]


def test_what_fails_at_once_says_so() -> None:
    async def fails() -> None:
        raise ValueError("x")

    with pytest.raises(ValueError, match="x"):
        begin(fails())


def test_what_waits_gets_results_errors_and_cancellation() -> None:
    said: list[object] = []

    async def waits() -> None:
        said.append(await first)
        try:
            await second
        except ValueError as error:
            said.append(str(error))
        try:
            await third
        except CancelledError:
            said.append("cancelled")

    first, second, third = Deferred[int](), Deferred[int](), Deferred[int]()
    deferred = begin(waits())
    assert deferred is not None and not deferred.called
    first.callback(1)
    second.errback(ValueError("two"))
    assert not deferred.called
    deferred.cancel()
    assert said == [1, "two", "cancelled"]


def test_what_fails_later_fails_its_deferred() -> None:
    async def fails() -> None:
        await first
        raise ValueError("later")

    first = Deferred[int]()
    deferred = begin(fails())
    assert deferred is not None
    failures: list[object] = []
    deferred.addErrback(lambda failure: failures.append(failure.value))
    first.callback(1)
    assert [str(failure) for failure in failures] == ["later"]


def test_what_is_forgotten_while_it_waits_is_closed() -> None:
    closed: list[bool] = []

    async def waits() -> None:
        try:
            await Deferred[int]()
        finally:
            closed.append(True)

    begin(waits())
    gc.collect()
    assert closed == [True]
