"""Quotas with several processes at one store: exact, told once, warned once."""

from __future__ import annotations

from pathlib import Path

import pytest
from twisted.internet.defer import Deferred

from gateway.core.errors import OverQuota
from gateway.core.ids import AccountId
from gateway.core.messages import Accepted
from gateway.core.quota import Quota, Usage
from gateway.store import quota as store_quota
from tests.store.beside import Guest, hold
from tests.store.house import ALICE, House


def both(state_dir: Path) -> tuple[Guest, Guest]:
    return Guest(state_dir, "one", care=True), Guest(state_dir, "two")


def test_D10_two_writers_together_keep_to_the_bound(tmp_path: Path) -> None:
    holding = hold(tmp_path)
    one, two = both(tmp_path)
    with one, two:
        warned: list[tuple[AccountId, Usage]] = []
        for house in (one, two):
            house.store.quota.watch_filling(lambda who, used: warned.append((who, used)))
            house.wait(house.store.quota.set_quota(ALICE, Quota(messages=20)))
        # All are on their way before any is waited for.
        started = [
            (house, house.start(f"{name}{number}", ALICE))
            for number in range(20)
            for name, house in (("one", one), ("two", two))
        ]
        outcomes = [outcome(house, answer) for house, answer in started]
        assert outcomes.count(True) == 20
        assert len(two.uids()) == len(one.uids()) == 20
        for house in (one, two):
            house.pump.run_waiting()
        ((_, used),) = warned
        assert used.messages in (18, 19, 20)  # one batch may take it over the mark and further
        one.verify()
    holding.close()


def outcome(house: House, answer: Deferred[Accepted]) -> bool:
    try:
        house.pump.wait_for(answer)
    except OverQuota:
        return False
    return True


def test_what_one_was_told_holds_for_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    holding = hold(tmp_path)
    one, two = both(tmp_path)
    with one, two:
        one.wait(one.store.quota.set_quota(ALICE, Quota(messages=1)))
        two.deliver("1", ALICE)
        with pytest.raises(OverQuota):
            two.deliver("2", ALICE)
        # The directory changed its mind twice, and each process heard of one change only.
        two.wait(two.store.quota.set_quota(ALICE, Quota(messages=5)))
        monkeypatch.setattr(store_quota, "TRUST_S", -1.0)
        one.wait(one.store.quota.set_quota(ALICE, Quota(messages=2)))
        two.wait(two.store.quota.set_quota(ALICE, Quota(messages=3)))
        one.wait(one.store.quota.set_quota(ALICE, Quota(messages=2)))
        assert two.wait(two.store.quota.usage(ALICE)).quota == Quota(messages=2)
    holding.close()


def test_an_account_that_another_process_has_made_meanwhile_stays_as_it_is(tmp_path: Path) -> None:
    holding = hold(tmp_path)
    one, two = both(tmp_path)
    with one, two:
        one.wait(one.store.quota.set_quota(ALICE, Quota()))  # there was none when it looked
        two.wait(two.store.ensure_account(ALICE))
        made = two.find(ALICE)
        one.wait(one.store.ensure_account(ALICE))
        assert one.find(ALICE) == made
        one.verify()
    holding.close()
