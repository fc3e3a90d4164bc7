"""Deletion frees disk: mostly dead segments are rewritten while everything else goes on."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from gateway.core.errors import MessageGone, StoreDamaged
from gateway.core.queue import Recorded
from gateway.store import engine
from gateway.store.blobs import StoredOctets
from gateway.store.compaction import Pace
from gateway.store.files import OsFiles
from gateway.store.layout import Layout
from gateway.store.migrations import migrate
from gateway.store.octets import is_gone_or_moved
from gateway.store.schema import STEPS
from gateway.store.verify import verify
from tests.store.compacting import (
    FAST,
    OFF,
    ROLL,
    check,
    fill,
    is_settled,
    keep_every,
    logged,
    segments,
    settle,
    text,
)
from tests.store.faults import Counting
from tests.store.house import ALICE, BOB, CAROL, LARGE, NOW, House, delivered


def test_D6_deleting_frees_disk_down_to_what_lives(tmp_path: Path) -> None:
    with logged() as events, House(tmp_path, roll_octets=ROLL, compaction=FAST) as house:
        octets = fill(house, 60)
        before = segments(tmp_path)
        keep_every(house, 3)
        settle(house)
        check(house, octets[2::3])
        gone = before.keys() - segments(tmp_path).keys()
        assert len(gone) >= 4
        told = [event for event in events if event["log_level"].name == "info"]
        assert {f"{event['id']:010d}.seg" for event in told if not event["left"]} == gone
        assert len(told) == len({event["id"] for event in told})  # one line each
        assert sum(event["freed"] for event in told) > 24 * 2_000
    with House(tmp_path, roll_octets=ROLL, compaction=FAST) as house:
        settle(house)
        check(house, octets[2::3])


def test_what_was_deleted_before_a_stop_is_compacted_after_the_start(tmp_path: Path) -> None:
    with House(tmp_path, roll_octets=ROLL, compaction=OFF) as house:
        octets = fill(house, 40)
        keep_every(house, 4)
        assert is_settled(house)
        assert sum(segments(tmp_path).values()) > 40 * 2_000
    with House(tmp_path, roll_octets=ROLL, compaction=FAST) as house:
        settle(house)
        check(house, octets[3::4])
        assert sum(segments(tmp_path).values()) < 11 * 2_100


def test_a_dead_end_is_cut_off_and_nothing_is_copied(tmp_path: Path) -> None:
    with House(tmp_path, compaction=OFF) as house:
        octets = fill(house, 10)
        house.wait(house.store.expunge(house.box(), ((4, 10),), only_deleted=False))
    with House(tmp_path, compaction=FAST) as house:
        settle(house)
        assert segments(tmp_path) == {"0000000001.seg": 3 * 2_012}
        assert house.contents() == octets[:3]
        house.verify()


def test_a_segment_that_is_half_alive_stays(tmp_path: Path) -> None:
    with House(tmp_path, roll_octets=1, compaction=FAST) as house:
        house.append("INBOX", *[text(number) for number in range(5)])
        house.append()
        before = segments(tmp_path)
        house.wait(house.store.expunge(house.box(), ((1, 2),), only_deleted=False))
        settle(house)
        assert segments(tmp_path) == before
        house.wait(house.store.expunge(house.box(), ((3, 3),), only_deleted=False))
        settle(house)
        assert "0000000001.seg" not in segments(tmp_path)
        assert house.contents()[:2] == [text(3), text(4)]
        house.verify()


def test_the_newest_segment_has_its_turn_when_it_grows_no_more(tmp_path: Path) -> None:
    with House(tmp_path, roll_octets=ROLL, compaction=FAST) as house:
        fill(house, 8)
        keep_every(house, 8)
        assert is_settled(house)
        assert segments(tmp_path) == {"0000000001.seg": 8 * 2_012}
        house.append("INBOX", text(8, 5_000))
        house.append("INBOX", text(9))  # in the next one
        settle(house)
        assert "0000000001.seg" not in segments(tmp_path)
        assert house.contents() == [text(7), text(8, 5_000), text(9)]
        house.verify()


def test_nothing_dead_costs_nothing(tmp_path: Path) -> None:
    files = Counting()
    with House(tmp_path, files=files, roll_octets=ROLL, compaction=FAST) as house:
        fill(house, 30)
        assert is_settled(house)
        assert files.calls["write"] == files.calls["fdatasync"] == 30
        assert not files.calls["truncate"] + files.calls["unlink"]


def test_reading_delivering_and_verify_go_on_while_it_runs(tmp_path: Path) -> None:
    slow = Pace(step_octets=2_000, pause_s=0.003, busy_pause_s=0.0)
    with House(tmp_path, roll_octets=ROLL, compaction=OFF) as house:
        octets = fill(house, 60)
        keep_every(house, 3)
    expected = octets[2::3]
    with House(tmp_path, roll_octets=ROLL, compaction=slow) as house:
        rows = house.rows()
        blob_ids = [row.blob_id for row in rows]
        summaries = house.wait(house.store.summaries(blob_ids))
        states = set()
        rounds = 0
        while not is_settled(house):
            states.add(tuple(sorted(segments(tmp_path).items())))
            arriving = [house.start(f"{rounds}-{number}", BOB) for number in range(3)]
            spans = [(blob_id, 0, 1 << 20) for blob_id in blob_ids]
            assert house.wait(house.store.read_many(spans)) == expected
            assert [house.octets(row) for row in rows] == expected
            assert house.wait(house.store.summaries(blob_ids)) == summaries
            house.verify()
            for one in arriving:
                house.pump.wait_for(one)
            rounds += 1
        assert len(states) > 3
        check_bob = house.contents(BOB)
        assert check_bob == [delivered()] * (3 * rounds)
        check(house, expected)


def test_who_looked_a_place_up_before_the_move_reads_the_same(tmp_path: Path) -> None:
    with House(tmp_path, roll_octets=ROLL, compaction=OFF) as house:
        octets = fill(house, 20)
        keep_every(house, 10)
    layout = Layout(tmp_path)
    with House(tmp_path, roll_octets=ROLL, compaction=FAST) as house:
        settle(house)
        rows = house.rows()
        stored = StoredOctets(engine.open_reader(layout.index), layout)
        place = stored.locate(rows[0].blob_id)
        old = place._replace(segment_id=1)
        assert place != old
        assert stored._read_at(old, rows[0].blob_id, 0, 1 << 20) == octets[9]
        look = (stored.connection, stored.files, rows[0].blob_id)
        assert is_gone_or_moved(*look, old)
        assert not is_gone_or_moved(*look, place)
        house.wait(house.store.expunge(house.box(), ((10, 10),), only_deleted=False))
        with pytest.raises(MessageGone):
            stored._read_at(old, rows[0].blob_id, 0, 1 << 20)
        stored.close()


def test_copies_and_queue_rows_follow_and_may_go_at_any_time(tmp_path: Path) -> None:
    with House(tmp_path, roll_octets=ROLL, compaction=FAST) as house:
        for number in range(20):
            remote = [CAROL] if number % 5 == 0 else []
            house.deliver(str(number), ALICE, BOB, octets=text(number), remote=remote)
        store, inbox, bobs = house.store, house.box(), house.box(BOB)
        fill(house, 60)
        house.wait(store.copy(inbox, ((2, 2),), ALICE, "Trash", move=False))
        house.wait(store.expunge(inbox, ((1, 80),), only_deleted=False))
        for number in range(20):  # each while the steps of those before are running
            house.wait(store.expunge(bobs, ((number + 1, number + 1),), only_deleted=False))
        settle(house)
        house.verify()
        assert house.contents(name="Trash") == [delivered(text(1))]
        items = house.lease(NOW)
        assert len(items) == 4
        for number, item in zip((0, 5, 10, 15), items, strict=True):
            read = store.read(item.blob_id, item.content_offset, item.size_octets)
            assert house.wait(read).endswith(text(number))
            done = Recorded(1, 1, None, "250 2.0.0 ok")
            house.wait(store.record(item.queue_id, [done], None))
        house.wait(store.delete_mailbox(ALICE, "Trash"))
        settle(house)
        assert house.verify().blobs == 0
        assert len(segments(tmp_path)) <= 1


@pytest.mark.parametrize("damage", ["changed", "missing"])
def test_a_damaged_record_is_kept_and_told_once(damage: str, tmp_path: Path) -> None:
    with House(tmp_path, roll_octets=ROLL, compaction=OFF) as house:
        octets = fill(house, 30)
        keep_every(house, 5)
    path = tmp_path / "store/segments/0000000001.seg"
    if damage == "missing":
        path.unlink()
    else:
        with path.open("r+b") as file:
            file.seek(4 * 2_012 + 1_000)
            file.write(b"!")
    with logged() as events, House(tmp_path, roll_octets=ROLL, compaction=FAST) as house:
        settle(house)
        with pytest.raises(StoreDamaged):
            house.octets(house.rows()[0])
        sound = house.rows()[1:] if damage == "changed" else house.rows()[2:]
        assert [house.octets(row) for row in sound] == octets[4::5][-len(sound) :]
        assert path.exists() == (damage == "changed")
        assert "0000000002.seg" not in segments(tmp_path)  # the others are compacted
        assert len(verify(tmp_path).problems) == len(house.rows()) - len(sound)
        fill(house, 3)
        house.wait(house.store.expunge(house.box(), ((10, 10),), only_deleted=False))
        settle(house)
        errors = [event for event in events if event["log_level"].name == "error"]
        assert [event["id"] for event in errors] == ([1] if damage == "changed" else [])


def test_large_messages_are_no_business_of_it(tmp_path: Path) -> None:
    with House(tmp_path, roll_octets=1, compaction=FAST) as house:
        house.append("INBOX", LARGE, b"1", LARGE, text(2))
        house.append()
        house.wait(house.store.expunge(house.box(), ((3, 4),), only_deleted=False))
        settle(house)
        assert house.contents()[:2] == [LARGE, b"1"]
        house.verify()


def test_a_store_of_the_first_version_is_brought_up_to_date(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    layout.prepare(OsFiles())
    with contextlib.closing(engine.open_writer(layout.index)) as connection:
        migrate(connection, STEPS[:1])
    with House(tmp_path, roll_octets=ROLL, compaction=FAST) as house:
        octets = fill(house, 20)
        keep_every(house, 4)
        settle(house)
        check(house, octets[3::4])
