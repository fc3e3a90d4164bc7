"""What is kept of logins outlives a restart, is bounded, and goes when it is too old."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from gateway.core.ids import AccountId
from gateway.core.login_reasons import LoginReason
from gateway.core.ports.kept_passwords import KeptPassword, Refusal
from gateway.store.kept_passwords import (
    MOST_REFUSALS,
    REFUSALS_S,
    expire_kept_passwords,
    expire_refusals,
)
from gateway.store.transaction import Transaction
from tests.store.house import NOW, House

ALICE, BOB = AccountId("id-alice"), AccountId("id-bob")
DAY_S = 86_400


def more(house: House, step: Callable[[Transaction], bool]) -> bool:
    """A step of housekeeping."""

    async def write() -> bool:
        return await house.store._committer.write(step)

    return house.wait(write())


def test_one_hash_for_each_person_that_outlives_a_restart(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        kept = house.store.people.kept_passwords
        assert house.wait(kept.kept(ALICE)) is None
        house.wait(kept.keep(ALICE, "$one"))
        house.wait(kept.keep(ALICE, "$two"))
        house.wait(kept.keep(BOB, "$three"))
    with House(tmp_path) as house:
        kept = house.store.people.kept_passwords
        assert house.wait(kept.kept(ALICE)) == KeptPassword("$two", NOW)
        house.wait(kept.forget(ALICE, "$one"))
        assert house.wait(kept.kept(ALICE)) is not None, "another one is kept by now"
        house.wait(kept.confirm(ALICE, "$two"))
        house.wait(kept.confirm(ALICE, "$one"))
        house.wait(kept.forget(ALICE, "$two"))
        house.wait(kept.forget(BOB))
        assert house.wait(kept.kept(ALICE)) is None
        assert house.wait(kept.kept(BOB)) is None
        assert "two" not in repr(KeptPassword("$two", NOW))


def test_hashes_go_when_they_are_too_old_and_all_of_them_where_none_is_wanted(
    tmp_path: Path,
) -> None:
    with House(tmp_path) as house:
        kept = house.store.people.kept_passwords
        house.wait(kept.keep(ALICE, "$one"))
        assert not more(house, expire_kept_passwords(DAY_S))
        assert house.wait(kept.kept(ALICE)) is not None
        assert not more(house, expire_kept_passwords(0))
        assert house.wait(kept.kept(ALICE)) is None


def test_the_last_refusals_of_each_person(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        refusals = house.store.people.refusals
        for n in range(MOST_REFUSALS + 5):
            why = LoginReason.WRONG_PASSWORD if n % 2 else LoginReason.DISABLED
            house.wait(refusals.note(ALICE, Refusal(NOW + n, why, "imap", "192.0.2.9")))
        house.wait(refusals.note(BOB, Refusal(NOW - REFUSALS_S, LoginReason.GONE, "pop3", "::1")))
        found = house.wait(refusals.recent(ALICE))
        assert [each.at - NOW for each in found] == list(range(14, 4, -1))
        assert found[0] == Refusal(NOW + 14, LoginReason.DISABLED, "imap", "192.0.2.9")
        assert not more(house, expire_refusals)
        assert not house.wait(refusals.recent(BOB))
        assert len(house.wait(refusals.recent(ALICE))) == MOST_REFUSALS


def test_a_reason_of_a_newer_gateway_is_shown_as_none(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        refusals = house.store.people.refusals
        house.wait(refusals.note(ALICE, Refusal(NOW, LoginReason.GONE, "imap", "::1")))

        def rename(tx: Transaction) -> bool:
            return tx.execute("UPDATE login_refusals SET reason = 'MOONED'") > 1

        more(house, rename)
        assert house.wait(refusals.recent(ALICE))[0].reason is LoginReason.REFUSED
