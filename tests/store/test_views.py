"""Opening a mailbox, reading rows, summaries and octets; damage is told from absence."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from twisted.internet.defer import Deferred

from gateway.core.errors import (
    MessageGone,
    NoSuchMailbox,
    StoreDamaged,
    StoreFull,
    StoreUnavailable,
)
from gateway.core.ids import BlobId, Uid
from gateway.core.messages import MessageSummary
from gateway.core.transfer import ImportedMessage, ImportSource
from gateway.store import readers
from gateway.store.transaction import Transaction
from gateway.wire.mime.octets import Octets
from gateway.wire.mime.summary import summarise
from tests.store.house import ALICE, EVERY, LARGE, MESSAGE, NOW, House, delivered

pytestmark = pytest.mark.usefixtures("processes")


def test_select_tells_uids_unseen_keywords_and_recent(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        house.append("INBOX", *[MESSAGE] * 3, flags=["\\Seen", "b", "A"])
        house.wait(house.store.expunge(house.box(), ((2, 2),), only_deleted=False))
        house.deliver("1", ALICE)
        look = house.wait(house.store.select(ALICE, "inbox", claim_recent=False))
        assert list(look.uids) == [1, 3, 4]
        assert look.first_unseen == 3
        assert look.keywords == ("A", "b")
        assert look.mailbox == house.find()
        for claim, recent_from in ((False, 1), (True, 1), (True, 5), (False, 5)):
            one = house.wait(house.store.select(ALICE, "INBOX", claim_recent=claim))
            assert one.recent_from == recent_from
        house.deliver("2", ALICE)
        assert house.wait(house.store.select(ALICE, "INBOX", claim_recent=True)).recent_from == 5
        empty = house.wait(house.store.select(ALICE, "Sent", claim_recent=True))
        assert (list(empty.uids), empty.first_unseen) == ([], 0)
        with pytest.raises(NoSuchMailbox):
            house.wait(house.store.select(ALICE, "none", claim_recent=True))


def test_recent_messages_are_recent_for_one_session_only(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        house.deliver("1", ALICE)
        both = [
            house.pump.start(house.store.select(ALICE, "INBOX", claim_recent=True))
            for _ in range(2)
        ]
        assert sorted(house.pump.wait_for(one).recent_from for one in both) == [1, 2]


def test_D6_a_mailbox_opens_when_nothing_can_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(tx: Transaction) -> None:
        raise StoreFull()

    with House(tmp_path) as house:
        house.deliver("1", ALICE)
        monkeypatch.setattr(Transaction, "commit", full)
        selection = house.wait(house.store.select(ALICE, "INBOX", claim_recent=True))
        assert (list(selection.uids), selection.recent_from) == ([1], 1)
        monkeypatch.undo()


def test_summaries_are_computed_once_and_kept(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        house.deliver("1", ALICE)
        house.append("INBOX", LARGE)
        blobs = [row.blob_id for row in house.rows()]
        expected = [summarise(delivered()), summarise(LARGE)]
        first = house.wait(house.store.summaries([blobs[1], blobs[0], blobs[1]]))
        assert first == [expected[1], expected[0], expected[1]]
        house.append()  # the summaries' own write is done by now

        def never(_: Octets) -> MessageSummary:
            raise AssertionError

        house.store._summaries._summarise = never
        assert house.wait(house.store.summaries(blobs)) == expected
        assert house.wait(house.store.summaries([])) == []
        gone, kept = house.wait(house.store.summaries([BlobId(9999), blobs[0]]))
        assert isinstance(gone, MessageGone)
        assert kept == expected[0]
    with House(tmp_path) as house:
        assert house.wait(house.store.summaries(blobs)) == expected
        house.wait(house.store.expunge(house.box(), None, only_deleted=False))
        house.verify()


@pytest.mark.parametrize("octets", [MESSAGE, LARGE], ids=["small", "large"])
def test_damaged_octets_are_never_served(octets: bytes, tmp_path: Path) -> None:
    with House(tmp_path) as house:
        house.append("INBOX", octets)
        (row,) = house.rows()
        folder = "large" if octets is LARGE else "segments"
        (path,) = (tmp_path / "store" / folder).iterdir()
        with path.open("r+b") as file:
            file.seek(40)
            file.write(b"\xff")
        with pytest.raises(StoreDamaged):
            house.octets(row)
        with pytest.raises(StoreDamaged):
            house.wait(house.store.read(row.blob_id, 5, 10))
        (unreadable,) = house.wait(house.store.summaries([row.blob_id]))
        assert isinstance(unreadable, StoreDamaged)
        assert isinstance(
            house.wait(house.store.read_many([(row.blob_id, 5, 10)]))[0], StoreDamaged
        )
        path.unlink()
    with House(tmp_path) as house:
        with pytest.raises(StoreDamaged):
            house.octets(row)
        house.deliver("others", ALICE)
        assert house.octets(house.rows()[1]) == delivered()


def test_reads_do_not_wait_for_writes_nor_see_half_of_them(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        house.append("INBOX", *[b"x"] * 20)
        going_on, done = threading.Event(), threading.Event()

        def slow(_: object) -> None:
            going_on.set()
            assert done.wait(20)

        inbox, committer = house.box(), house.store._committer
        writing = [
            house.pump.start(house.store.store_flags(inbox, EVERY, "add", frozenset({"\\Seen"})))
        ]
        blocked: Deferred[None] = committer.write(slow)
        house.pump.until(going_on.is_set)
        assert house.wait(house.store.status(ALICE, "INBOX")).unseen in (0, 20)
        assert len(house.rows()) == 20
        done.set()
        house.pump.wait_for(blocked)
        house.pump.wait_for(writing[0])
        assert house.wait(house.store.status(ALICE, "INBOX")).unseen == 0


def test_counters_and_rows_agree_in_every_read_during_deliveries(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        house.deliver("0", ALICE)
        answers: list[object] = []
        for number in range(1, 60):
            house.start(str(number), ALICE)
            house.pump.start(house.store.select(ALICE, "INBOX", claim_recent=False)).addCallback(
                lambda one: answers.append(list(one.uids) == list(range(1, one.mailbox.uid_next)))
            )
        house.pump.until(lambda: len(answers) == 59)
        assert all(answers)
        house.pump.until(lambda: len(house.uids()) == 60)


def test_a_full_read_queue_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with House(tmp_path, reader_threads=1) as house:
        house.append()
        started, release = threading.Event(), threading.Event()

        def stuck(_: object) -> None:
            started.set()
            assert release.wait(20)

        pool = house.store._readers
        pool._limit = 3
        waiting = [pool.run(stuck)]
        house.pump.until(started.is_set)
        job: Callable[[object], None] = lambda _: None  # noqa: E731
        waiting += [pool.run(job) for _ in range(3)]
        with pytest.raises(StoreUnavailable):
            house.find()
        release.set()
        for one in waiting:
            house.pump.wait_for(one)
        assert house.find()
    assert readers.QUEUE_LIMIT > 3


def test_P4_an_old_pop3_name_stays_that_of_the_first_message_that_had_it(tmp_path: Path) -> None:
    source = ImportSource("maildir:/old", "INBOX")
    with House(tmp_path) as house:
        names = ("a", "b", "a", "")
        brought = [
            ImportedMessage(str(number), house.body(MESSAGE), frozenset(), NOW, 0, name)
            for number, name in enumerate(names)
        ]
        house.wait(house.store.ensure_account(ALICE))
        house.wait(house.store.imports.import_messages(ALICE, "INBOX", source, brought))
        inbox = house.box()
        assert house.wait(house.store.uidls(inbox)) == {1: "a", 2: "b"}
        assert house.wait(house.store.uidls(house.box(name="Sent"))) == {}
        # Or a client that has fetched the first would take the third for it.
        house.wait(house.store.expunge(inbox, ((1, 1),), only_deleted=False))
        assert house.wait(house.store.uidls(inbox))[Uid(2)] == "b"
        assert Uid(3) not in house.wait(house.store.uidls(inbox))
        house.verify()


def test_STATUS_tells_what_is_recent_from_counters(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        store = house.store

        def recent() -> int:
            told = house.wait(store.status(ALICE, "INBOX"))
            counted = sum(row.uid >= told.mailbox.uid_next - told.recent for row in house.rows())
            assert counted == told.recent  # nothing between them was removed below
            return told.recent

        house.append("INBOX", *[b"x"] * 5)
        assert recent() == 5
        inbox = house.box()
        house.wait(store.select(ALICE, "INBOX", claim_recent=True))
        assert recent() == 0
        house.append("INBOX", *[b"y"] * 4)
        house.wait(store.expunge(inbox, ((2, 3), (6, 6)), only_deleted=False))
        assert recent() == 3
        house.wait(store.rename_mailbox(ALICE, "INBOX", "old"))
        assert recent() == 0
        assert house.wait(store.status(ALICE, "old")).recent == 3
        house.verify()  # counts them
