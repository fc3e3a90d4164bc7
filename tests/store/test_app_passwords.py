"""App passwords as the store keeps them: whole, by number, and gone when they are removed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from gateway.core.app_passwords import AppPassword, Place
from gateway.core.ids import AccountId
from gateway.core.login_secret import ScramVerifier
from gateway.core.ports.standings import Standing
from gateway.core.quota import Quota
from gateway.store.app_passwords import SHOWN_S
from tests.store.house import ALICE, BOB, NOW, House

pytestmark = pytest.mark.usefixtures("processes")

SCRAM = ScramVerifier(4096, b"salt", b"s" * 32, b"k" * 32)
PHONE = AppPassword(
    ALICE, 0, "k7", "my phone", ("imap", "submission"), ("10.0.0.0/8", "office"), "root", NOW,
    NOW + 100, "$argon2id$", SCRAM,
)  # fmt: skip
TABLET = replace(PHONE, handle="x2", label="tablet", protocols=(), networks=(), expires_at=0)


def numbered(one: AppPassword, number: int) -> AppPassword:
    return replace(one, number=number, verifier=replace(one.verifier, app_password=number))


def test_D1_what_was_added_is_there_after_a_restart(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        rows = house.store.people.app_passwords
        assert house.wait(rows.add(PHONE, most=9)) == replace(PHONE, number=1)
        house.wait(rows.add(TABLET, most=9))
        house.wait(rows.add(replace(PHONE, account_id=BOB), most=9))
        house.wait(rows.used(2, NOW + 5, Place("imap", "192.0.2.1")))
    with House(tmp_path) as house:
        rows = house.store.people.app_passwords
        used = replace(TABLET, used_at=NOW + 5, used_from="192.0.2.1", used_protocol="imap")
        assert house.wait(rows.of(ALICE)) == [numbered(PHONE, 1), numbered(used, 2)]
        assert [each.number for each in house.wait(rows.remove(ALICE, [1, 3]))] == [1]
        assert [each.number for each in house.wait(rows.of(BOB))] == [3], "not alice's"
        assert [each.number for each in house.wait(rows.remove(BOB))] == [3]
        again = house.wait(rows.add(PHONE, most=9))
        assert again is not None and again.number == 4, "numbers are never given again"


def test_what_does_not_fit_beside_the_others_is_not_kept(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        rows = house.store.people.app_passwords
        house.wait(rows.add(PHONE, most=2))
        assert house.wait(rows.add(PHONE, most=2)) is None, "the handle is taken"
        salted = replace(TABLET, verifier=replace(SCRAM, salt=b"other"))
        assert house.wait(rows.add(salted, most=2)) is None, "another salt"
        assert house.wait(rows.add(TABLET, most=1)) is None, "too many"
        house.now = NOW + 100  # those that have expired are not counted
        assert house.wait(rows.add(TABLET, most=1)) is not None


def test_what_has_expired_is_not_live_and_goes_in_the_end(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        rows = house.store.people.app_passwords
        house.wait(rows.add(PHONE, most=9))
        house.wait(rows.add(TABLET, most=9))
        assert house.wait(rows.live(range(200))) == {1, 2}
        house.now = NOW + 100
        assert house.wait(rows.live([1, 2])) == {2}
        assert len(house.wait(rows.of(ALICE))) == 2, "still to be seen"
    with House(tmp_path) as house:
        house.now = NOW + 101 + SHOWN_S
        rows = house.store.people.app_passwords
        house.wait(rows.used(2, int(house.now), Place("imap", "::1")))  # wakes housekeeping
        house.pump.until(lambda: len(house.wait(rows.of(ALICE))) == 1)


def test_how_people_stand_is_told_of_many_at_once(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        people = house.store.people
        house.wait(people.app_passwords.add(PHONE, most=9))
        house.wait(people.app_passwords.used(1, NOW + 7, Place("imap", "::1")))
        house.wait(people.kept_passwords.keep(BOB, "$argon2id$"))
        house.wait(house.store.quota.set_quota(BOB, Quota(10_000, 0)))
        house.wait(house.store.accept(house.message("1", BOB)))
        known = house.wait(people.standings.standings([ALICE, BOB, AccountId("")]))
        assert known[ALICE] == Standing(None, NOW + 7)
        usage = known[BOB].usage
        assert usage is not None and usage.messages == 1 and usage.quota == Quota(10_000, 0)
        assert known[BOB].last_login_at == NOW and len(known) == 2
