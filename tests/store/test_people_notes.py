"""Notes of people as the store keeps them: whole, in order, found without reading everything."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from gateway.core.ids import AccountId
from gateway.core.ports.people_notes import FormerAddress, PersonNote, Writing
from gateway.store import people_notes
from tests.store.house import ALICE, BOB, NOW, House

pytestmark = pytest.mark.usefixtures("processes")

CARL = AccountId("ca71")
NOTE = PersonNote(ALICE, "alice", "a@example.test", ("a@example.test", '"x y"@example.test'), NOW)
AWAY = PersonNote(CARL, "carl", "", (), NOW, NOW - 5, 0)
OLD = FormerAddress("old@example.test", ALICE, NOW - 100)
OLDER = FormerAddress("older@example.test", CARL, NOW - 200)


def test_D1_what_was_noted_is_there_after_a_restart(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        notes = house.store.people.notes
        house.deliver("1", ALICE, BOB)
        house.wait(notes.write(Writing(notes=[NOTE, AWAY], begin=[OLD, OLDER])))
    with House(tmp_path) as house:
        notes = house.store.people.notes
        known = house.wait(notes.known([ALICE, BOB, CARL], [OLD.address, "no@example.test"]))
        assert known.notes == {ALICE: NOTE, CARL: AWAY}
        assert known.residents == frozenset({ALICE, BOB})
        assert known.former == {OLD.address: OLD}
        page = house.wait(notes.residents("", 2))
        assert [(each.account_id, each.messages, each.note) for each in page] == [
            (ALICE, 1, NOTE), (BOB, 1, None),
        ]  # fmt: skip
        (last,) = house.wait(notes.residents(BOB, 2))
        assert (last.account_id, last.messages) == (CARL, None)
        assert [each.account_id for each in house.wait(notes.away("", 9))] == [CARL]
        assert house.wait(notes.former_since(NOW - 100, 9)) == [OLD]


def test_writing_puts_in_place_and_takes_away(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        notes = house.store.people.notes
        house.wait(notes.write(Writing(notes=[NOTE, AWAY], begin=[OLD, OLDER])))
        moved = replace(OLD, account_id=CARL, since=NOW)
        changed = replace(NOTE, login="new")
        writing = Writing([changed], [CARL], [moved], [OLDER.address])
        house.wait(notes.write(writing))
        known = house.wait(notes.known([ALICE, CARL], [OLD.address, OLDER.address]))
        assert (known.notes, known.former) == ({ALICE: changed}, {OLD.address: moved})
        assert house.wait(notes.former_of([ALICE, CARL])) == {CARL: [moved]}
        assert not Writing() and writing


def test_old_addresses_end_but_those_of_the_gone(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        notes = house.store.people.notes
        gone = replace(AWAY, gone_since=NOW)
        house.wait(notes.write(Writing(notes=[gone], begin=[OLD, OLDER])))
        assert house.wait(notes.end_before(NOW - 100, 9)) == 0
        assert house.wait(notes.end_before(NOW - 99, 9)) == 1
        assert set(house.wait(notes.known((), [OLD.address, OLDER.address])).former) == {
            OLDER.address
        }


def test_pages_read_no_more_than_they_tell(tmp_path: Path) -> None:
    with House(tmp_path) as house:

        def plan(sql: str, values: tuple[object, ...]) -> str:
            async def read() -> list[str]:
                return await house.store._readers.run(
                    lambda stored: [
                        row[3]
                        for row in stored.connection.execute(f"EXPLAIN QUERY PLAN {sql}", values)
                    ]
                )

            return "\n".join(house.wait(read()))

        for sql, values in ((people_notes._PAGE, ("", "", 9)), (people_notes._AWAY, ("", 9))):
            told = plan(sql, values)
            for table in ("accounts", "people_notes"):
                assert f"SCAN {table}" not in told, told
            assert told.count("TEMP B-TREE") <= 1, told
