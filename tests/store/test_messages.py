"""Appending, flags, copying, moving, expunging: UIDs, MODSEQs, counters and the change feed."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from gateway.core.errors import MailboxLimit, MessageGone, NoSuchMailbox
from gateway.core.ids import MailboxId, ModSeq
from gateway.core.mailboxes import MailboxEvent
from gateway.core.messages import AppendMessage
from tests.store.house import ALICE, BOB, EVERY, LARGE, MESSAGE, NOW, House, delivered

pytestmark = pytest.mark.usefixtures("processes")

NOWHERE = MailboxId(9999)


def flags_of(house: House, name: str = "INBOX") -> list[set[str]]:
    return [set(row.flags) for row in house.rows(name=name)]


def test_append_gives_uids_in_order_and_keeps_octets_flags_and_date(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        result = house.append(
            "INBOX", b"one", b"", LARGE, flags=["\\SEEN", "\\Recent", "$Label", "junk"], date=12345
        )
        assert result.uids == (1, 2, 3)
        assert result.uid_validity == house.find().uid_validity
        assert house.contents() == [b"one", b"", LARGE]
        assert flags_of(house) == [{"\\Seen", "$Label", "junk"}] * 3
        assert {row.internal_date for row in house.rows()} == {12345}
        house.verify()


def test_I12_append_is_all_or_none(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        house.wait(house.store.ensure_account(ALICE))
        good = AppendMessage(house.body(LARGE), frozenset(), NOW)
        many = frozenset(f"k{number}" for number in range(1000))
        bad = AppendMessage(house.body(MESSAGE), many, NOW)
        with pytest.raises(MailboxLimit):
            house.wait(house.store.append(ALICE, "INBOX", [good, bad]))
        with pytest.raises(NoSuchMailbox):
            house.append("none", LARGE)
        assert house.uids() == []
        assert list((tmp_path / "store/large").iterdir()) == []
        assert house.wait(house.store.select(ALICE, "INBOX", claim_recent=False)).keywords == ()


def test_flags_are_set_added_and_removed(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        house.append("INBOX", *[MESSAGE] * 5)
        inbox, store = house.box(), house.store
        first = house.find().highest_modseq
        add = house.wait(store.store_flags(inbox, ((2, 3),), "add", frozenset({"\\seen", "Work"})))
        assert add == first + 1
        assert flags_of(house) == [set(), {"\\Seen", "Work"}, {"\\Seen", "Work"}, set(), set()]
        again = house.wait(store.store_flags(inbox, ((2, 3),), "add", frozenset({"WORK"})))
        assert again == add  # nothing changed; keywords compare ignoring case
        house.wait(store.store_flags(inbox, ((3, 4),), "set", frozenset({"\\Deleted", "work"})))
        assert flags_of(house)[1:4] == [{"\\Seen", "Work"}, *[{"\\Deleted", "Work"}] * 2]
        house.wait(store.store_flags(inbox, ((1, 9),), "remove", frozenset({"wOrK", "\\Seen"})))
        assert flags_of(house) == [set(), set(), {"\\Deleted"}, {"\\Deleted"}, set()]
        assert house.wait(store.status(ALICE, "INBOX")).unseen == 5
        with pytest.raises(NoSuchMailbox):
            house.wait(store.store_flags(NOWHERE, EVERY, "add", frozenset({"\\Seen"})))
        house.verify()


def test_I12_keywords_are_bounded(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        house.append()
        for flags in ({f"k{number}" for number in range(201)}, {"x" * 129}, {"two words"}):
            with pytest.raises(MailboxLimit):
                house.wait(house.store.store_flags(house.box(), EVERY, "add", frozenset(flags)))
        assert flags_of(house) == [set()]


def test_I7_scattered_sets_touch_only_their_members(tmp_path: Path) -> None:
    chooser = random.Random(7)
    with House(tmp_path) as house:
        house.append("INBOX", *[b"x"] * 300)
        inbox = house.box()
        lost = house.wait(house.store.expunge(inbox, ((50, 60), (70, 70)), only_deleted=False))
        assert lost == (*range(50, 61), 70)
        chosen = sorted(chooser.sample(range(1, 320), 120))
        ranges = tuple((uid, uid) for uid in chosen)
        house.wait(house.store.store_flags(inbox, ranges, "add", frozenset({"\\Flagged"})))
        expected = [uid for uid in chosen if uid <= 300 and uid not in lost]
        assert [row.uid for row in house.rows() if row.flags] == expected
        assert [row.uid for row in house.wait(house.store.rows(inbox, ranges))] == expected
        gone = house.wait(house.store.expunge(inbox, ranges, only_deleted=False))
        assert list(gone) == expected
        assert not set(house.uids()) & set(expected)
        assert house.verify().messages == 288 - len(expected)


def test_copy_shares_octets_and_keeps_flags_and_dates(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        house.append("INBOX", b"1", b"2", b"3", flags=["\\Seen", "Work"], date=77)
        house.append("Archive", b"before")
        store = house.store
        result = house.wait(
            store.copy(house.box(), ((2, 2), (3, 99)), ALICE, "Archive", move=False)
        )
        assert (result.source_uids, result.uids) == ((2, 3), (2, 3))
        assert house.contents(name="Archive") == [b"before", b"2", b"3"]
        assert flags_of(house, "Archive")[1:] == [{"\\Seen", "Work"}] * 2
        assert house.rows(name="Archive")[1].internal_date == 77
        assert house.wait(store.select(ALICE, "Archive", claim_recent=False)).keywords == ("Work",)
        assert (
            house.wait(store.copy(house.box(), ((50, 60),), ALICE, "Archive", move=False)).uids
            == ()
        )
        assert house.wait(store.copy(NOWHERE, EVERY, ALICE, "Archive", move=False)).uids == ()
        with pytest.raises(NoSuchMailbox):
            house.wait(store.copy(house.box(), EVERY, ALICE, "none", move=False))
        itself = house.wait(store.copy(house.box(), ((1, 1),), ALICE, "INBOX", move=False))
        assert itself.uids == (4,)
        assert house.verify().blobs == 4


def test_I15_move_takes_each_message_from_one_to_the_other(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        house.append("INBOX", b"1", LARGE, b"3")
        inbox = house.find()
        result = house.wait(
            house.store.copy(inbox.mailbox_id, ((1, 2),), ALICE, "Trash", move=True)
        )
        assert (result.source_uids, result.uids) == ((1, 2), (1, 2))
        assert house.contents() == [b"3"]
        assert house.contents(name="Trash") == [b"1", LARGE]
        changes = house.wait(house.store.changes(inbox.mailbox_id, inbox.highest_modseq))
        assert changes.vanished == ((1, 2),)
        house.verify()


@pytest.mark.parametrize("octets", [MESSAGE, LARGE], ids=["small", "large"])
def test_expunge_frees_octets_nobody_has_any_more(octets: bytes, tmp_path: Path) -> None:
    with House(tmp_path, roll_octets=1) as house:
        house.deliver("1", ALICE, BOB, octets=octets)
        house.deliver("2", ALICE)
        (row, _) = house.rows()
        files = {"large", "segments"}
        assert house.wait(house.store.expunge(house.box(), ((1, 1),), only_deleted=False)) == (1,)
        assert house.octets(row) == delivered(octets)  # Bob still has it
        before = sum(len(list((tmp_path / "store" / name).iterdir())) for name in files)
        house.wait(house.store.expunge(house.box(BOB), None, only_deleted=False))
        with pytest.raises(MessageGone):
            house.octets(row)
        house.deliver("3", ALICE, octets=b"x")  # files go after the answer; this one queues behind
        after = sum(len(list((tmp_path / "store" / name).iterdir())) for name in files)
        assert after == before  # one gone, one new
        assert house.uids() == [2, 3]
        assert house.wait(house.store.expunge(NOWHERE, None, only_deleted=False)) == ()
        house.verify()


def test_D6_space_of_dead_segments_is_free_although_a_reader_has_them_open(
    tmp_path: Path,
) -> None:
    with House(tmp_path, roll_octets=1) as house:
        house.deliver("1", ALICE)
        house.deliver("2", ALICE)
        with (tmp_path / "store/segments/0000000001.seg").open("rb") as reading:
            assert house.wait(house.store.expunge(house.box(), ((1, 1),), only_deleted=False))
            house.deliver("3", ALICE)  # files are removed behind the answer, before the next batch
            assert os.fstat(reading.fileno()).st_size == 0
        house.verify()


def test_expunge_of_deleted_messages_only(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        house.append("INBOX", *[b"x"] * 6)
        inbox, store = house.box(), house.store
        house.wait(store.store_flags(inbox, ((2, 2), (4, 6)), "add", frozenset({"\\Deleted"})))
        assert house.wait(store.expunge(inbox, ((1, 4),), only_deleted=True)) == (2, 4)
        assert house.wait(store.expunge(inbox, None, only_deleted=True)) == (5, 6)
        assert house.uids() == [1, 3]
        assert house.append().uids == (7,)  # UIDs are never given twice
    with House(tmp_path) as house:
        house.wait(house.store.expunge(house.box(), None, only_deleted=False))
        assert house.append().uids == (8,)
        house.verify()


def test_changes_since_any_modseq_lead_to_the_present(tmp_path: Path) -> None:
    """A client that applies the changes since what it knew sees what a fresh one sees."""
    chooser = random.Random(3)
    with House(tmp_path) as house:
        house.append("INBOX", *[b"x"] * 40)
        inbox, store = house.box(), house.store
        known: list[tuple[ModSeq, dict[int, frozenset[str]]]] = []
        for number in range(40):
            known.append(
                (house.find().highest_modseq, {row.uid: row.flags for row in house.rows()})
            )
            low = chooser.randrange(1, 60)
            ranges = ((low, low + chooser.randrange(5)),)
            action = chooser.randrange(4)
            if action == 0:
                house.deliver(str(number), ALICE)
            elif action == 1:
                house.wait(store.expunge(inbox, ranges, only_deleted=False))
            elif action == 2:
                flag = frozenset({chooser.choice(["\\Seen", "\\Flagged", "$x"])})
                house.wait(store.store_flags(inbox, ranges, "set", flag))
            else:
                house.wait(store.copy(inbox, ranges, ALICE, "INBOX", move=bool(number % 2)))
        now = {row.uid: row.flags for row in house.rows()}
        for modseq, state in known:
            changes = house.wait(store.changes(inbox, modseq))
            assert changes.highest_modseq == house.find().highest_modseq
            uids = [one.uid for one in changes.changed]
            assert uids == sorted(set(uids))
            assert list(changes.vanished) == sorted(changes.vanished)
            assert all(one.modseq > modseq for one in changes.changed)
            for low, high in changes.vanished:
                for uid in range(low, high + 1):
                    state.pop(uid, None)
            state.update({one.uid: one.flags for one in changes.changed})
            assert state == now
        nothing = house.wait(store.changes(inbox, house.find().highest_modseq))
        assert (nothing.changed, nothing.vanished) == ((), ())
        with pytest.raises(NoSuchMailbox):
            house.wait(store.changes(NOWHERE, ModSeq(0)))
        house.verify()


def test_many_new_messages_among_many_old_ones(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        house.append("INBOX", *[b"x"] * 100)
        since = house.find().highest_modseq
        for _ in range(3):
            house.append("INBOX", *[b"y"] * 100)
        changes = house.wait(house.store.changes(house.box(), since))
        assert [one.uid for one in changes.changed] == list(range(101, 401))


def test_two_watchers_hear_of_every_commit_to_their_mailbox(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        house.append("INBOX", b"1", b"2")
        inbox, sent, store = house.box(), house.box(name="Sent"), house.store
        first: list[MailboxEvent] = []
        second: list[MailboxEvent] = []
        elsewhere: list[MailboxEvent] = []

        def fails(_: MailboxEvent) -> None:
            raise RuntimeError

        stop_failing = store.watch(inbox, fails)
        stop = store.watch(inbox, first.append)
        store.watch(inbox, second.append)
        store.watch(sent, elsewhere.append)
        stop_failing()
        house.wait(store.store_flags(inbox, ((1, 1),), "add", frozenset({"\\Seen"})))
        house.deliver("1", ALICE)
        house.wait(store.store_flags(inbox, ((1, 1),), "add", frozenset({"\\Seen"})))  # no change
        assert len(first) == len(second) == 2
        assert {event.account_id for event in first} == {ALICE}
        assert first[-1].highest_modseq == house.find().highest_modseq
        stop()
        stop()
        house.wait(store.copy(inbox, ((2, 2),), ALICE, "Sent", move=True))
        assert (len(first), len(second), len(elsewhere)) == (2, 3, 1)


def test_a_watcher_that_fails_is_logged_and_hinders_nobody(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        house.append()
        heard: list[MailboxEvent] = []

        def fails(_: MailboxEvent) -> None:
            raise RuntimeError

        house.store.watch(house.box(), fails)
        house.store.watch(house.box(), heard.append)
        house.deliver("1", ALICE)
        assert len(heard) == 1
