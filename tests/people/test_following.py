"""What is noted of people as the directory changes, and that trouble changes nothing."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from gateway.core.account import Account
from gateway.core.errors import StoreUnavailable
from gateway.core.ids import AccountId
from gateway.core.ports.people import PersonChange
from gateway.core.ports.people_notes import Writing
from tests.people.world import ALICE, BOB, NOW, World, someone

RENAMED = replace(
    ALICE,
    login="alice.smith",
    primary_address="alice.smith@example.test",
    addresses=("alice.smith@example.test", "al@example.test"),
)
DISABLED = replace(ALICE, enabled=False, condition="disabled in the directory")


def texts(compared: object) -> list[str]:
    return [str(each) for each in compared.events]  # type: ignore[attr-defined]


def test_a_first_listing_writes_of_those_with_mailboxes_and_of_the_disabled(
    tmp_path: Path,
) -> None:
    many = [someone(f"p{number}") for number in range(600)]
    gone_quiet = someone("quiet", enabled=False)
    with World(tmp_path, ALICE, *many, gone_quiet) as world:
        world.move_in(ALICE)
        people = [ALICE, *many, gone_quiet]
        world.wait(world.follower.changed([PersonChange("", None, each) for each in people]))
        noted = world.wait(world.notes.residents("", 100))
        assert [each.account_id for each in noted] == ["id-alice", "id-quiet"]
        assert (noted[0].messages, noted[1].messages) == (1, None)
        assert noted[0].note and noted[0].note.addresses == ALICE.addresses


def test_a_rename_is_noted_once_however_often_it_is_told(tmp_path: Path) -> None:
    with World(tmp_path, ALICE) as world:
        world.move_in(ALICE)
        world.tell(ALICE, RENAMED)
        world.house.now += 100
        world.tell(ALICE, RENAMED)
        assert world.former(ALICE) == [("alice@example.test", NOW)]
        note = world.note(ALICE)
        assert note is not None and (note.login, note.noted_at) == ("alice.smith", NOW)
        world.tell(RENAMED, ALICE)
        assert world.former(ALICE) == [("alice.smith@example.test", NOW + 100)], "hers again"


def test_former_addresses_are_kept_only_where_and_as_long_as_the_settings_say(
    tmp_path: Path,
) -> None:
    with World(tmp_path / "none", ALICE, keep_days=0) as world:
        world.move_in(ALICE)
        world.tell(ALICE, RENAMED)
        assert world.former(ALICE) == []
    with World(tmp_path / "some", ALICE, BOB, keep_days=30) as world:
        world.move_in(ALICE, BOB)
        world.tell(ALICE, RENAMED)
        world.tell(BOB, None)
        world.later(31)
        world.compare()
        assert world.former(ALICE) == []
        assert world.former(BOB), "of somebody gone, who had it is not forgotten"


def test_whoever_gets_an_address_ends_it_as_a_former_one_in_any_order(tmp_path: Path) -> None:
    heir = someone("heir", "alice")
    with World(tmp_path, ALICE) as world:
        world.move_in(ALICE)
        world.tell(ALICE, RENAMED)
        world.tell(None, heir)
        assert world.formers(["alice@example.test"]) == {}
        # Both at once, and the new owner first.
        back = replace(ALICE, addresses=("alice@example.test",))
        world.tell(heir, None)
        world.tell(RENAMED, back)
        changes = [PersonChange("", None, heir), PersonChange("", back, RENAMED)]
        world.wait(world.follower.changed(changes))
        assert world.formers(["alice@example.test"]) == {}
        world.tell(RENAMED, back)
        world.folk.put(heir)
        world.wait(world.follower.changed([PersonChange("", None, heir)]))
        world.folk.drop(ALICE.account_id)
        world.folk.put(RENAMED)
        world.folk.put(heir)
        world.wait(world.follower.changed([PersonChange("", back, RENAMED)]))
        assert world.listed, "a comparison is asked for"
        world.compare()
        assert world.formers(["alice@example.test"]) == {}, "the directory was asked"


@pytest.mark.parametrize("at_once", [True, False])
def test_two_who_swap_addresses_leave_no_former_ones(tmp_path: Path, at_once: bool) -> None:
    alice = replace(ALICE, primary_address=BOB.primary_address, addresses=BOB.addresses)
    bob = replace(BOB, primary_address=ALICE.primary_address, addresses=ALICE.addresses)
    with World(tmp_path, ALICE, BOB) as world:
        world.move_in(ALICE, BOB)
        world.folk.put(alice)
        world.folk.put(bob)
        world.folk.put(alice)
        changes = [PersonChange("", ALICE, alice), PersonChange("", BOB, bob)]
        for some in [changes] if at_once else [[each] for each in changes]:
            world.wait(world.follower.changed(some))
        world.compare()
        assert world.formers([*ALICE.addresses, *BOB.addresses]) == {}


def test_a_chain_of_renames_leaves_each_address_to_its_last_owner(tmp_path: Path) -> None:
    names = [replace(ALICE, addresses=(f"a{number}@example.test",)) for number in range(5)]
    hire = someone("hire", "a2")
    with World(tmp_path, names[0]) as world:
        world.move_in(names[0])
        for before, after in pairwise(names):
            world.tell(before, after)
        world.tell(None, hire)
        former = world.formers([f"a{number}@example.test" for number in range(5)])
        assert sorted(former) == [f"a{number}@example.test" for number in (0, 1, 3)]


def test_disabled_and_enabled_again(tmp_path: Path) -> None:
    with World(tmp_path, ALICE) as world:
        world.tell(ALICE, DISABLED)
        world.house.now += 100
        world.tell(DISABLED, DISABLED)
        note = world.note(ALICE)
        assert note is not None and note.disabled_since == NOW
        world.tell(DISABLED, ALICE)
        assert world.note(ALICE) is None, "who has no mailbox and nothing else is not kept"


def test_gone_and_back_with_the_same_id(tmp_path: Path) -> None:
    with World(tmp_path, ALICE, BOB) as world:
        world.move_in(ALICE)
        world.tell(ALICE, None)
        world.tell(BOB, None)
        note = world.note(ALICE)
        assert note is not None and note.gone_since == NOW and world.note(BOB) is None
        assert [each for each, _ in world.former(ALICE)] == [
            "al@example.test",
            "alice@example.test",
        ]
        assert world.house.contents(ALICE.account_id), "nothing is deleted"
        world.later(1)
        world.tell(None, ALICE)
        note = world.note(ALICE)
        assert note is not None and not note.gone_since and world.former(ALICE) == []


def test_a_lost_picture_is_made_up_for_by_comparing(tmp_path: Path) -> None:
    carol = someone("carol")
    with World(tmp_path, ALICE, BOB, carol) as world:
        world.move_in(ALICE, BOB, carol)
        assert world.compare().looked_at == 3
        world.folk.put(RENAMED)
        world.folk.drop(BOB.account_id)
        world.folk.put(replace(carol, enabled=False))
        told = world.compare(dry_run=True)
        assert told.gone == 1 and len(told.events) == 3 and not told.held
        assert world.former(ALICE) == [], "nothing was written"
        assert texts(world.compare()) == [
            "alice.smith: has another login or other addresses (login alice before; had"
            " alice@example.test)",
            "carol: disabled",
            "bob: gone from the directory",
        ]
        assert texts(world.compare()) == []
        world.folk.put(BOB)
        assert texts(world.compare()) == ["bob: back in the directory"]


def test_L15_a_directory_that_is_away_changes_nothing(tmp_path: Path) -> None:
    with World(tmp_path, ALICE, BOB) as world:
        world.move_in(ALICE, BOB)
        world.compare()
        before = [world.note(ALICE), world.note(BOB)]
        world.folk.broken = True
        world.folk.drop(ALICE.account_id)
        told = world.compare(accept=True)
        assert "away" in told.unfinished and not told.events
        assert [world.note(ALICE), world.note(BOB)] == before


def test_L15_many_who_are_gone_at_once_are_not_believed_without_an_administrator(
    tmp_path: Path, logged: list[str]
) -> None:
    many = [someone(f"p{number:02}") for number in range(20)]
    with World(tmp_path, *many) as world:
        world.move_in(*many)
        world.compare()
        for each in many[:12]:
            world.folk.drop(each.account_id)
        told = world.compare()
        assert told.gone == 12 and "12 of 20 people" in told.held and not told.events
        assert world.note(many[0]) and not world.note(many[0]).gone_since  # type: ignore[union-attr]
        assert any("--accept" in line for line in logged)
        told = world.compare(accept=True)
        assert not told.held and len(told.events) == 12
        assert world.house.contents(many[0].account_id), "and even then nothing is deleted"


def test_who_was_told_of_meanwhile_is_not_noted_as_looked_up_before(tmp_path: Path) -> None:
    with World(tmp_path, ALICE) as world:
        world.move_in(ALICE)
        find = world.folk.find_by_id

        async def while_looking(account_id: object) -> Account | None:
            found = await find(ALICE.account_id)
            world.folk.find_by_id = find  # type: ignore[method-assign]
            await world.follower.changed([PersonChange("", ALICE, DISABLED)])
            return found

        world.folk.find_by_id = while_looking  # type: ignore[method-assign]
        world.compare()
        note = world.note(ALICE)
        assert note is not None and note.disabled_since == NOW


def test_what_cannot_be_noted_is_told_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with World(tmp_path, ALICE) as world:
        world.move_in(ALICE)

        async def broken(writing: Writing) -> None:
            raise StoreUnavailable

        with monkeypatch.context() as patch:
            patch.setattr(world.notes, "write", broken)
            with pytest.raises(StoreUnavailable):
                world.tell(ALICE, None)
        world.tell(ALICE, None)
        note = world.note(ALICE)
        assert note is not None and note.gone_since == NOW


def test_the_mailbox_of_a_group_is_no_leavers(tmp_path: Path) -> None:
    info = Account(AccountId("group=7"), "info@example.test", "", ())
    with World(tmp_path, ALICE) as world:
        world.move_in(ALICE, info)
        world.compare()
        assert world.note(info) is None
