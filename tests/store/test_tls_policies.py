"""MTA-STS policies and counts of TLS sessions: kept over a restart, bounded, and they expire."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.core.ports.tls_policies import Counted, KeptPolicy, Sessions
from gateway.store import sts_policies
from gateway.store.sts_policies import expire_sts_policies
from gateway.store.tls_counts import DAY_S, KEPT_DAYS, forget_tls_counts
from gateway.store.transaction import Transaction
from tests.store.house import NOW, House

POLICY = KeptPolicy("a.example", "id1", "version: STSv1\n", NOW, NOW + 1000, NOW)
DAY = NOW // DAY_S
GOOD = Counted(DAY, "a.example", "sts", "a.example", "version: STSv1\nmode: enforce")
BAD = replace(GOOD, result="certificate-expired", host="mx.a.example", receiving_ip="192.0.2.1")


def more(house: House, step: Callable[[Transaction], bool]) -> bool:
    """A step of housekeeping."""

    async def write() -> bool:
        return await house.store._committer.write(step)

    return house.wait(write())


def test_a_policy_is_known_after_a_restart_and_replaced(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        assert house.wait(house.store.sts_policies.known("a.example")) is None
        house.wait(house.store.sts_policies.keep(POLICY))
    with House(tmp_path) as house:
        policies = house.store.sts_policies
        assert house.wait(policies.known("a.example")) == POLICY
        newer = replace(POLICY, policy_id="id2", expires_at=NOW + 5000)
        house.wait(policies.keep(newer))
        assert house.wait(policies.known("a.example")) == newer


def test_policies_in_use_that_age_are_found_the_next_to_expire_first(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        policies = house.store.sts_policies
        for number, (expires, used) in enumerate([(300, 0), (100, 0), (200, -900), (900, 0)]):
            house.wait(
                policies.keep(
                    replace(
                        POLICY,
                        domain=f"{number}.example",
                        expires_at=NOW + expires,
                        used_at=NOW + used,
                    )
                )
            )
        found = house.wait(policies.ageing(NOW + 500, NOW - 10, 10))
        assert [each.domain for each in found] == ["1.example", "0.example"]
        assert len(house.wait(policies.ageing(NOW + 500, NOW - 10, 1))) == 1


def test_policies_expire_and_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sts_policies, "MAX_ROWS", 2)
    with House(tmp_path) as house:
        policies = house.store.sts_policies
        for number, expires in enumerate([50, -1, 70]):
            policy = replace(POLICY, domain=f"{number}.example", expires_at=NOW + expires)
            house.wait(policies.keep(policy))
        assert house.wait(policies.known("1.example")) is None, "it expires first"
        house.wait(policies.keep(replace(POLICY, domain="0.example", expires_at=NOW - 5)))
        assert more(house, expire_sts_policies) is False
        assert house.wait(policies.known("0.example")) is None
        assert house.wait(policies.known("2.example")) is not None


def test_sessions_are_added_up_and_go_when_reported(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        counts = house.store.tls_counts
        house.wait(counts.add([Sessions(GOOD, 3), Sessions(BAD, 1)]))
        house.wait(counts.add([Sessions(GOOD, 4)]))
    with House(tmp_path) as house:
        counts = house.store.tls_counts
        assert house.wait(counts.unreported(DAY, 10)) == [], "the day is not over"
        assert house.wait(counts.unreported(DAY + 1, 10)) == [(DAY, "a.example")]
        assert set(house.wait(counts.counted(DAY, "a.example"))) == {
            Sessions(GOOD, 7),
            Sessions(BAD, 1),
        }
        house.wait(counts.reported(DAY, "a.example"))
        assert house.wait(counts.unreported(DAY + 1, 10)) == []
        # Whatever comes late, or while the clock stands wrong, makes no second report.
        house.wait(counts.add([Sessions(GOOD, 1), Sessions(replace(GOOD, day=DAY - 9), 1)]))
        assert house.wait(counts.unreported(DAY + 1, 10)) == []
        house.wait(counts.add([Sessions(replace(GOOD, day=DAY + 1), 1)]))
        assert house.wait(counts.unreported(DAY + 2, 10)) == [(DAY + 1, "a.example")]


def test_days_that_nobody_reported_are_forgotten(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        counts = house.store.tls_counts
        old = replace(GOOD, day=DAY - KEPT_DAYS - 1)
        house.wait(counts.add([Sessions(GOOD, 1), Sessions(old, 1)]))
        house.wait(counts.reported(DAY - KEPT_DAYS - 1, "b.example"))
        assert more(house, forget_tls_counts) is False
        assert house.wait(counts.unreported(DAY + 1, 10)) == [(DAY, "a.example")]
