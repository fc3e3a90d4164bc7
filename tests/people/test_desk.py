"""What administrators ask about leavers, and that nothing is deleted but by their word."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from gateway.core.errors import DirectoryUnavailable
from gateway.people.comparisons import MOST, NotCompared
from gateway.people.desk import LeaversCallRefused
from gateway.people.removal import NotRemoved
from tests.people.test_following import DISABLED, RENAMED
from tests.people.world import ALICE, BOB, NOW, World
from tests.store.house import MESSAGE

ROOT = "uid 0 (root)"


def call(world: World, name: str, **arguments: Any) -> Mapping[str, Any]:
    return world.wait(world.desk.call(name, arguments, ROOT))


def compared(world: World, begun: Mapping[str, Any]) -> Mapping[str, Any]:
    """What came of it in the end."""
    while not (told := call(world, "compared", **begun))["done"]:
        world.wait(world.notes.known(()))  # lets the others go on
    return told


def test_who_is_away_and_who_moved(tmp_path: Path) -> None:
    with World(tmp_path, ALICE, BOB) as world:
        world.move_in(ALICE, BOB)
        begun = call(world, "compare", dry_run=False, accept=False)
        told = compared(world, begun)
        assert (told["looked_at"], told["with_mailboxes"], told["gone"]) == (2, 2, 0)
        world.tell(ALICE, RENAMED)
        world.tell(BOB, None)
        (moved,) = call(world, "moved", days=30)["moved"]
        assert moved == {
            "address": "alice@example.test", "id": "id-alice", "since": NOW,
            "login": "alice.smith", "now": "alice.smith@example.test",
        }  # fmt: skip
        (away,) = call(world, "away", after="")["away"]
        assert (away["login"], away["gone_since"], away["messages"]) == ("bob", NOW, 1)
        noted = call(world, "noted", id="id-bob")
        assert (noted["gone_since"], noted["login"]) == (NOW, "bob")
        assert [each["address"] for each in noted["former_addresses"]] == ["bob@example.test"]
        assert call(world, "noted", id="id-nobody")["former_addresses"] == []


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("compare", {}),
        ("compared", {}),
        ("remove", {"id": "x", "days": 0}),
        ("remove", {"id": "x"}),
        ("else", {}),
    ],
)
def test_other_calls_are_refused(tmp_path: Path, name: str, arguments: dict[str, Any]) -> None:
    with World(tmp_path) as world, pytest.raises(LeaversCallRefused):
        call(world, name, **arguments)


def test_mailboxes_of_the_gone_go_by_an_administrators_word_alone(
    tmp_path: Path, logged: list[str]
) -> None:
    with World(tmp_path, ALICE, BOB) as world:
        world.move_in(ALICE, BOB)
        world.wait(world.house.store.create_mailbox(ALICE.account_id, "Archive/2023"))
        world.house.append("Archive/2023", MESSAGE, MESSAGE, account=ALICE.account_id)
        world.compare()
        with pytest.raises(NotRemoved, match="not noted as gone"):
            call(world, "remove", id=ALICE.account_id, days=10)
        world.tell(ALICE, None)
        world.later(9)
        with pytest.raises(NotRemoved, match="not been gone for 10 days"):
            call(world, "remove", id=ALICE.account_id, days=10)
        world.later(1)
        world.folk.broken = True
        with pytest.raises(DirectoryUnavailable):
            call(world, "remove", id=ALICE.account_id, days=10)
        world.folk.broken = False
        world.folk.put(ALICE)
        with pytest.raises(NotRemoved, match="is in the directory"):
            call(world, "remove", id=ALICE.account_id, days=10)
        world.folk.drop(ALICE.account_id)
        assert world.house.contents(ALICE.account_id, "Archive/2023")

        removed = call(world, "remove", id=ALICE.account_id, days=10)
        assert (removed["login"], removed["messages"]) == ("alice", 3)
        assert world.house.contents(ALICE.account_id) == []
        kept = world.wait(world.house.store.vault.deleted(ALICE.account_id))
        assert len(list(kept)) == 3, "for as long as deleted mail is kept"
        assert world.former(ALICE) == []
        assert any("mailboxes removed by" in line and ROOT in line for line in logged)
        (record,) = world.trace.records
        assert (record.kind, record.fields["by"]) == ("mailboxes removed", ROOT)
        with pytest.raises(NotRemoved, match="already"):
            call(world, "remove", id=ALICE.account_id, days=10)
        assert world.house.contents(BOB.account_id), "nobody else's"

        # Back with the same id: an empty mailbox that works in every process.
        world.tell(None, ALICE)
        world.house.deliver("again", ALICE.account_id)
        assert len(world.house.contents(ALICE.account_id)) == 1
        note = world.note(ALICE)
        assert note is not None and not note.removed_at


def test_comparisons_go_on_while_nobody_waits_and_few_are_kept(tmp_path: Path) -> None:
    with World(tmp_path, ALICE) as world:
        world.move_in(ALICE)
        gate = world.folk.gate = Deferred()
        numbers = [call(world, "compare", dry_run=True, accept=False) for _ in range(MOST)]
        assert call(world, "compared", **numbers[0])["done"] is False
        with pytest.raises(NotCompared, match="others compare already"):
            call(world, "compare", dry_run=True, accept=False)
        world.folk.gate = None
        gate.callback(None)
        assert [compared(world, each)["looked_at"] for each in numbers] == [1] * MOST
        call(world, "compare", dry_run=True, accept=False)
        with pytest.raises(NotCompared, match="has ended"):
            call(world, "compared", **numbers[0])


def test_the_disabled_are_listed_and_never_deleted(tmp_path: Path) -> None:
    with World(tmp_path, ALICE) as world:
        world.move_in(ALICE)
        world.tell(ALICE, DISABLED)
        world.later(5000)
        (away,) = call(world, "away", after="")["away"]
        assert away["disabled_since"] == NOW and away["gone_since"] is None
        with pytest.raises(NotRemoved):
            call(world, "remove", id=ALICE.account_id, days=1)
