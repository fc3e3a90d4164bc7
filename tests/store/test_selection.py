"""Opening a mailbox reads no more than it must, and is right whatever that is."""

from __future__ import annotations

import random
import sqlite3
from contextlib import closing
from itertools import pairwise
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from gateway.core.ids import MailboxId
from gateway.core.mailboxes import Selection
from gateway.core.uids import UidRuns
from gateway.core.uidset import contains, from_sorted
from gateway.store import engine
from gateway.store.known_uids import KnownUids, RecentUids
from gateway.store.selection import WIDE, close_together, narrow, read_selection
from tests.store.house import ALICE, House


class Looker:
    """A reader of an open store that notes which tables a SELECT reads."""

    def __init__(self, house: House, recent: RecentUids | None = None) -> None:
        self.recent = recent or RecentUids()
        self._index = house.state_dir / "store/index.sqlite"

    def select(self) -> tuple[Selection, set[str]]:
        statements: list[str] = []
        with closing(engine.open_reader(self._index)) as connection:
            connection.set_trace_callback(statements.append)
            selection = read_selection(connection, ALICE, "INBOX", self.recent)
        texts = "\n".join(statements)
        words = {
            "messages": "FROM messages WHERE",
            "messages_unseen": "BY messages_unseen WHERE",
            "expunged": "FROM expunged WHERE",
        }
        return selection, {name for name, text in words.items() if text in texts}


def test_a_mailbox_without_gaps_opens_by_its_row_alone(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        house.append("INBOX", *[b"x"] * 10, flags=["\\Seen"])
        looker = Looker(house)
        assert [*looker.select()[0].uids] == list(range(1, 11))
        assert Looker(house).select()[1] == set()
        house.append("INBOX", b"unseen")
        selection, read = looker.select()
        assert (selection.first_unseen, len(selection.uids)) == (11, 11)
        assert read == {"expunged", "messages_unseen"}  # since the MODSEQ: nothing


def test_one_with_gaps_opens_by_what_is_missing(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        house.append("INBOX", *[b"x"] * 30, flags=["\\Seen"])
        house.wait(house.store.expunge(house.box(), ((1, 3), (9, 9), (30, 30)), only_deleted=False))
        selection, read = Looker(house).select()
        assert ([*selection.uids], read) == (house.uids(), {"expunged"})


def test_one_whose_gaps_nobody_explains_opens_by_its_messages(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        house.append("INBOX", *[b"x"] * 30, flags=["\\Seen"])
        house.wait(house.store.expunge(house.box(), ((7, 9), (20, 20)), only_deleted=False))
        expected = house.uids()
    with closing(sqlite3.connect(tmp_path / "store/index.sqlite")) as connection, connection:
        connection.execute("DELETE FROM expunged WHERE first_uid = 7")
    with House(tmp_path) as house:
        selection, read = Looker(house).select()
        assert [*selection.uids] == expected
        assert read == {"expunged", "messages"}


def test_opening_again_is_right_whatever_happened_meanwhile(tmp_path: Path) -> None:
    """Also from what an older look has left, and beside a look that has just begun."""
    chooser = random.Random(11)
    with House(tmp_path) as house:
        house.append("INBOX", *[b"x"] * 50)
        box, store = house.box(), house.store
        often, seldom = Looker(house), Looker(house)
        for number in range(60):
            low = chooser.randrange(1, 120)
            ranges = ((low, low + chooser.randrange(6)),)
            action = chooser.randrange(5)
            if action == 0:
                house.deliver(str(number), ALICE)
            elif action == 1:
                house.wait(store.expunge(box, ranges, only_deleted=False))
            elif action == 2:
                house.wait(store.store_flags(box, ranges, "add", frozenset({"\\Seen"})))
            elif action == 3:
                house.wait(store.copy(box, ranges, ALICE, "INBOX", move=bool(number % 2)))
            else:
                uids = house.append("INBOX", b"1", b"2", b"3").uids
                house.wait(store.expunge(box, ((uids[1], uids[1]),), only_deleted=False))
            lookers = [often, seldom] if number % 9 == 0 else [often]
            for looker in lookers:
                selection, _ = looker.select()
                assert [*selection.uids] == house.uids()
                unseen = [r.uid for r in house.rows() if "\\Seen" not in r.flags]
                first = selection.uids[selection.first_unseen - 1] if unseen else 0
                assert first == (unseen[0] if unseen else 0)
        recent = often.recent.get(box)
        assert recent is not None
        wrong = KnownUids(recent.uid_validity, 2, 3, UidRuns(((1, 2),)))
        for known in (wrong, KnownUids(7, *(10**9, 9), UidRuns())):
            mistaken = RecentUids()
            mistaken.put(box, known)
            assert [*Looker(house, mistaken).select()[0].uids] == house.uids()


def test_sessions_on_a_mailbox_share_its_uids(tmp_path: Path) -> None:
    with House(tmp_path, reader_threads=1) as house:
        house.append("INBOX", *[b"x"] * 9)
        one, another = (
            house.wait(house.store.select(ALICE, "INBOX", claim_recent=claim)).uids
            for claim in (True, False)
        )
        assert one is another


def test_what_is_remembered_is_bounded_and_the_newest(tmp_path: Path) -> None:
    def known(modseq: int, runs: int = 1) -> KnownUids:
        return KnownUids(1, modseq, 9, UidRuns((uid, uid) for uid in range(1, 2 * runs, 2)))

    recent = RecentUids(max_octets=5 * known(1).uids.size_octets)
    for number in range(1, 9):
        recent.put(MailboxId(number), known(number))
        recent.put(MailboxId(1), known(number))  # in use
    assert [number for number in range(1, 9) if recent.get(MailboxId(number))] == [1, 5, 6, 7, 8]
    recent.put(MailboxId(8), known(3))
    kept = recent.get(MailboxId(8))
    assert kept is not None and kept.modseq == 8
    recent.put(MailboxId(8), known(9, runs=10_000))  # more than all may take
    assert recent.get(MailboxId(8)) is None


SCATTERED = st.lists(st.integers(1, 3_000), unique=True, min_size=1, max_size=60).map(sorted)


@given(SCATTERED)
def test_marked_messages_are_gathered_but_not_over_wide_gaps(uids: list[int]) -> None:
    ranges = close_together(uids)
    assert all(contains(ranges, uid) for uid in uids)
    assert {bound for pair in ranges for bound in pair} <= set(uids)
    assert sum(high - low for low, high in ranges) <= WIDE * len(uids)
    assert all(low - WIDE > high for (_, high), (low, _) in pairwise(ranges))


def test_I7_a_set_with_many_items_becomes_stretches_unless_it_is_spread(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        house.append("INBOX", *[b"x"] * 100)
        gone = tuple((uid, uid) for uid in range(2, 60, 2))
        house.wait(house.store.expunge(house.box(), gone, only_deleted=False))
        connection = engine.open_reader(tmp_path / "store/index.sqlite")
        odd = from_sorted(range(1, 61, 2))
        assert narrow(connection, house.box(), odd) == ((1, 59),)
        few = odd[:8]
        assert narrow(connection, house.box(), few) == few
        spread = tuple((uid, uid) for uid in range(1, 10**6, 10**5))
        assert narrow(connection, house.box(), spread) == spread
        connection.close()
