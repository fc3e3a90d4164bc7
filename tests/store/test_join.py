"""Several processes at one store: none harms what another is doing (SECURITY D1, D8, P5)."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.core.errors import MaildropInUse, SchemaTooNew, StoreUnavailable
from gateway.core.ids import MailboxId
from gateway.core.mailboxes import MailboxEvent
from gateway.store.files import OsFiles
from gateway.store.layout import Layout
from gateway.store.reserve import Reserve
from gateway.store.schema import STEPS
from tests.store.beside import Guest, StopsAt, hold
from tests.store.house import ALICE, BOB, CAROL, LARGE, NOW, House, delivered

ROOT = Path(__file__).parents[2]


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A closed store with a message in Alice's INBOX."""
    with House(tmp_path) as house:
        house.deliver("0", ALICE)
    return tmp_path


def set_version(state_dir: Path, version: int) -> None:
    connection = sqlite3.connect(state_dir / "store/index.sqlite")
    with connection:
        connection.execute("UPDATE schema_version SET version = ?", (version,))
    connection.close()


def names(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()}


def test_all_see_and_change_the_same_mailboxes(store: Path) -> None:
    holding = hold(store)
    with Guest(store, "one", care=True) as one, Guest(store, "two") as two:
        for number in range(1, 10):
            (one, two)[number % 2].deliver(str(number), ALICE, BOB)
        one.wait(one.store.create_mailbox(ALICE, "made"))
        assert two.append("made", LARGE).uids == (1,)
        for house in (one, two):
            assert house.uids() == list(range(1, 11))
            assert house.uids(BOB) == list(range(1, 10))
            assert house.contents(ALICE, "made") == [LARGE]
        two.wait(two.store.expunge(two.box(), ((2, 9),), only_deleted=False))
        one.wait(one.store.delete_mailbox(ALICE, "made"))
        assert one.contents() == two.contents() == [delivered()] * 2
        one.verify()
    holding.close()
    assert not (store / "store/index.sqlite-wal").exists()  # the last one folded the log
    assert names(store / "store/large") == set()
    with House(store) as house:
        assert house.uids() == [1, 10]
        assert names(store / "store/quarantine") == set()


def test_joining_needs_a_store_that_is_in_order(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match=r"no mail store in .* when the gateway starts"):
        Guest(tmp_path, "command")
    House(tmp_path).__exit__(None, None, None)
    set_version(tmp_path, len(STEPS) - 1)
    with pytest.raises(StoreUnavailable, match="start the gateway of this version"):
        Guest(tmp_path, "command")
    set_version(tmp_path, len(STEPS) + 1)
    with pytest.raises(SchemaTooNew, match="newer gateway"):
        Guest(tmp_path, "command")
    set_version(tmp_path, len(STEPS))
    Guest(tmp_path, "command").__exit__(None, None, None)  # the refusals left nothing locked


def test_one_name_one_process_and_one_that_cares(store: Path) -> None:
    with Guest(store, "one", care=True):
        with pytest.raises(StoreUnavailable, match="under the name one"):
            Guest(store, "one")
        with pytest.raises(StoreUnavailable, match="another process looks after"):
            Guest(store, "two", care=True)
        with Guest(store, "two") as two, pytest.raises(StoreUnavailable):
            two.wait(two.store.take_care())
    with Guest(store, "two") as two:
        two.wait(two.store.take_care())
    with pytest.raises(ValueError, match="cannot begin a file name"):
        Guest(store, "../two")


def test_D8_the_lock_lasts_until_the_last_process_that_inherited_it_ends(store: Path) -> None:
    holding = hold(store)
    child = subprocess.Popen(
        [sys.executable, "-c", "import sys; sys.stdin.read()"],
        stdin=subprocess.PIPE,
        pass_fds=(holding.fd,),
    )
    holding.close()
    holding.close()
    with pytest.raises(StoreUnavailable, match="in use"):
        hold(store)
    child.communicate()
    hold(store).close()


@pytest.mark.parametrize("call", ["fdatasync", "rename", "sync_directory"])
def test_D8_a_start_leaves_alone_what_a_guest_is_writing(call: str, store: Path) -> None:
    """A small message on its way into a segment, a large one in incoming/ or in large/."""
    files = StopsAt(call)
    octets = b"small" if call == "fdatasync" else LARGE
    with Guest(store, "command", files=files) as guest:
        half = guest.body(LARGE)
        files.armed = True
        waiting = guest.start("guest's", ALICE, octets=octets)
        guest.pump.until(lambda: files.stopped)
        with House(store) as house:  # a gateway starts, and writes
            house.deliver("gateway's", ALICE)
            files.go_on()
            guest.pump.wait_for(waiting)
            assert house.contents() == [delivered(), delivered(), delivered(octets)]
            half.write(b"more")
            half.discard()
            house.verify()
        assert names(store / "store/quarantine") == set()
    assert names(store / "store/incoming") == set()


def test_D8_tables_are_not_changed_under_a_guest(store: Path) -> None:
    with Guest(store, "command") as guest:
        set_version(store, len(STEPS) - 1)
        with pytest.raises(StoreUnavailable, match=r"command is using it \(process \d+\); wait"):
            hold(store)
        set_version(store, len(STEPS))
        hold(store).close()
        guest.deliver("1", ALICE)


def test_a_restarted_process_clears_up_after_its_predecessor(store: Path) -> None:
    with Guest(store, "worker-1") as other:
        body = other.body(LARGE)
        for name in ("worker-2.half", "worker-22.half"):
            (store / "store/incoming" / name).write_bytes(b"half of it")
        for name in ("worker-2.whole", "worker-1.whole"):
            (store / "store/large" / name).write_bytes(b"never committed")
        (store / "store/segments/0000000099.seg").write_bytes(b"never committed either")
        other.deliver("other", BOB)  # in a segment that is open
        with Guest(store, "worker-2") as again:
            again.deliver("1", ALICE, octets=LARGE)
            left = {name.partition(".")[0] for name in names(store / "store/incoming")}
            assert left == {"worker-1", "worker-22"}
            assert len(names(store / "store/large")) == 2
            assert {name[16:] for name in names(store / "store/quarantine")} == {
                "dead-worker-2.whole",
                "segments-0000000099.seg",
            }
        body.discard()
    with Guest(store, "worker-2") as again:  # what is in the index stays
        assert again.contents() == [delivered(), delivered(LARGE)]


def test_D1_deleting_the_last_message_of_a_segment_spares_what_its_writer_adds(
    store: Path,
) -> None:
    files = StopsAt("fdatasync")
    with Guest(store, "one", files=files) as one, Guest(store, "two") as two:
        one.deliver("1", BOB)
        (segment,) = names(store / "store/segments") - {"0000000001.seg"}
        files.armed = True
        waiting = one.start("2", BOB)
        one.pump.until(lambda: files.stopped)
        two.wait(two.store.expunge(two.box(BOB), None, only_deleted=False))
        assert segment in names(store / "store/segments")
        files.go_on()
        one.pump.wait_for(waiting)
        assert two.contents(BOB) == [delivered()]
        two.wait(two.store.expunge(two.box(BOB), None, only_deleted=False))
        assert segment in names(store / "store/segments")
        one.verify()
    assert segment not in names(store / "store/segments")  # its writer has left
    hold(store).close()
    assert names(store / "store/quarantine") == set()


def test_segments_never_get_an_id_again(store: Path) -> None:
    seen: set[str] = set()
    for number in range(3):
        with Guest(store, "one") as one, Guest(store, "two") as two:
            before = names(store / "store/segments")
            one.deliver(f"1 {number}", BOB)
            two.deliver(f"2 {number}", BOB)
            new = names(store / "store/segments") - before
            assert len(new) == 2
            assert not new & seen
            seen |= new
            one.wait(one.store.expunge(one.box(BOB), None, only_deleted=False))


def test_D6_the_reserve_that_one_gave_up_is_room_for_all(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    layout.prepare(OsFiles())
    seconds = [0.0]
    one, two = (Reserve(layout, 4096, lambda: seconds[0]) for _ in range(2))
    assert one.hold()
    assert two.hold()
    assert one.give_up()
    assert two.give_up()  # room has been made, so trying again makes sense, once
    assert not two.give_up()
    assert one.hold()
    assert two.hold()
    assert one.give_up()
    seconds[0] += 2
    two._octets = 1 << 60  # no room for a new one: it is noticed that the old one has gone
    assert not two.hold()


def test_P5_a_maildrop_is_locked_over_all_processes_and_no_longer_than_they_live(
    store: Path,
) -> None:
    with Guest(store, "one") as one:
        with Guest(store, "two") as two:
            release = one.store.lock_maildrop(ALICE)
            for house in (one, two):
                with pytest.raises(MaildropInUse):
                    house.store.lock_maildrop(ALICE)
            two.store.lock_maildrop(BOB)
            release()
            again = two.store.lock_maildrop(ALICE)
            release()  # a second time changes nothing
            with pytest.raises(MaildropInUse):
                one.store.lock_maildrop(ALICE)
            again()
            one.store.lock_maildrop(ALICE)()
        one.store.lock_maildrop(BOB)()  # closing gave it back


def test_P5_a_killed_process_leaves_no_maildrop_locked(store: Path) -> None:
    program = (
        "import os, pathlib, sys\n"
        "from tests.store.beside import *\n"
        "from tests.store.house import ALICE\n"
        "guest = Guest(pathlib.Path(sys.argv[1]), 'one')\n"
        "guest.store.lock_maildrop(ALICE)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    ended = subprocess.run([sys.executable, "-c", program, store], cwd=ROOT, check=False)
    assert ended.returncode == -9
    with Guest(store, "one") as one:
        one.store.lock_maildrop(ALICE)()


def test_commits_are_told_to_own_watchers_and_to_those_of_others(store: Path) -> None:
    with Guest(store, "one") as one, Guest(store, "two") as two:
        told: list[tuple[str, MailboxId]] = []
        queue: list[str] = []
        inbox = one.box()
        one.store.watch(inbox, lambda event: told.append(("one", event.mailbox_id)))
        two.store.watch(inbox, lambda event: told.append(("two", event.mailbox_id)))
        one.store.watch_queue(lambda: queue.append("one"))
        two.store.watch_queue(lambda: queue.append("two"))
        one.store.share(two.store.heard)
        one.deliver("1", ALICE)
        assert told == [("one", inbox), ("two", inbox)]
        one.deliver("2", BOB, remote=[CAROL])
        assert len(told) == 2
        assert queue == ["one", "two"]
        two.deliver("3", ALICE)  # shares with nobody
        assert told[2:] == [("two", inbox)]
        one.store.doubt()
        assert told[3:] == [("one", inbox)]
        assert queue[2:] == ["one"]


def test_a_doubt_makes_whoever_watches_look(store: Path) -> None:
    with Guest(store, "one") as one:
        events: list[MailboxEvent] = []
        inbox = one.find()
        one.store.watch(inbox.mailbox_id, events.append)
        one.store.doubt()
        (event,) = events
        assert event.highest_modseq >= inbox.highest_modseq


def test_a_connection_to_others_that_fails_hinders_no_commit(store: Path) -> None:
    def broken(events: object, queue_grew: bool) -> None:
        raise ConnectionResetError

    with Guest(store, "one") as one:
        one.store.share(broken)
        one.deliver("1", ALICE)
        assert one.uids() == [1, 2]


def test_leases_are_freed_by_who_runs_the_queue_alone(store: Path) -> None:
    with Guest(store, "one", runs_queue=True) as one:
        one.deliver("1", remote=[CAROL])
        (item,) = one.lease(NOW, lease_s=3600)
        with Guest(store, "two") as two:
            assert two.lease(NOW) == []
    with Guest(store, "one", runs_queue=True) as one:
        assert one.lease(NOW) == [item]
    with Guest(store, "three") as three:
        three.wait(three.store.take_care())
        assert three.lease(NOW) == [item]
