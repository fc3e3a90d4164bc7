"""The search index in trouble: damage, full disks, messages that are too much for it.

Each test ends with the one rule: the index changes no answer.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest
from twisted.internet.defer import CancelledError

from gateway.core.ids import MailboxId, Uid
from gateway.core.messages import MessageSummary
from gateway.core.search import And, Not, SearchKey, TextHas
from gateway.store import search
from gateway.store.layout import Layout
from gateway.store.search_index import documents, indexer, writing
from gateway.store.search_index.lookup import Lookup, Verdict
from gateway.store.search_index.rebuilding import rebuild
from gateway.store.search_index.words import words_of
from gateway.wire.mime import text
from tests.store.house import ALICE, BOB
from tests.store.searching import SearchHouse, count_reads, fill, letter

NEEDLE = TextHas("needle", with_header=False)
TEXT = TextHas("needle", with_header=True)


@pytest.mark.parametrize("damage", ["garbage", "middle", "empty", "version", "table"])
def test_a_damaged_file_fails_no_search_and_is_made_again(damage: str, tmp_path: Path) -> None:
    with SearchHouse(tmp_path) as house:
        needles = fill(house)
        house.index()
        path = house.file()
        if damage == "garbage":
            path.write_bytes(b"no database at all" * 1_000)
        elif damage == "middle":
            octets = bytearray(path.read_bytes())
            octets[4_096:] = bytes(len(octets) - 4_096)
            path.write_bytes(octets)
        elif damage == "empty":
            path.write_bytes(b"")
        else:
            with sqlite3.connect(path) as file:
                file.execute(
                    "PRAGMA user_version = 99" if damage == "version" else "DROP TABLE words"
                )
            file.close()
        assert house.search(NEEDLE) == needles
        house.append("INBOX", letter("needle"))  # gives the indexer a reason to look
        house.index()
        house.index()
        assert house.search(NEEDLE) == [*needles, 31]
        assert not any(house.places.requests.iterdir())
        with sqlite3.connect(path) as file:
            assert file.execute("SELECT sum(documents) FROM runs").fetchone() == (31,)
        file.close()


def test_a_batch_that_fails_in_the_middle_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with SearchHouse(tmp_path) as house:
        needles = fill(house)
        house.index()
        house.append("INBOX", letter("needle"))

        def stop(*_: object) -> None:
            raise SystemExit

        with monkeypatch.context() as patch:
            patch.setattr(writing.Batch, "postings", stop)
            with pytest.raises(SystemExit):
                house.index()
        with sqlite3.connect(house.file()) as file:
            assert file.execute("SELECT sum(documents) FROM runs").fetchone() == (30,)
        file.close()
        assert house.search(NEEDLE) == [*needles, 31]
        assert house.index() == 1
        assert house.search(NEEDLE) == [*needles, 31]


def test_messages_over_a_bound_are_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(documents, "DISTINCT_WORDS", 50)
    monkeypatch.setattr(documents, "TEXT_OCTETS", 5_000)
    with SearchHouse(tmp_path) as house:
        many = " ".join(f"word{number}" for number in range(60))
        house.append("INBOX", letter(f"{many} needle"), letter("x " * 5_000 + "needle"))
        needles = [1, 2, *(uid for uid in fill(house))]
        house.index()
        reads = count_reads(monkeypatch)
        assert house.search(NEEDLE) == needles
        assert 0 < len(reads) < 10
        key = Not(TextHas("word59", with_header=True))
        assert house.search(key) == house.without_index(key) == list(range(2, 33))


def test_D6_on_a_full_disk_the_index_stands_still(tmp_path: Path) -> None:
    with SearchHouse(tmp_path) as house:
        needles = fill(house)
        house.free_octets = indexer.FREE_OCTETS - 1
        assert house.index() == 0 and not house.file().exists()
        assert house.search(NEEDLE) == needles
        house.free_octets = indexer.FREE_OCTETS
        assert house.index() == 30


def test_a_damaged_message_is_looked_at_each_time(tmp_path: Path) -> None:
    with SearchHouse(tmp_path) as house:
        fill(house)
        segment = next((tmp_path / "store/segments").glob("*.seg"))
        whole = segment.read_bytes()
        segment.write_bytes(whole.replace(b"hay 7", b"hay 8"))
        house.index()
        key: SearchKey = TextHas("hay", with_header=False)
        assert 8 not in house.search(key)
        segment.write_bytes(whole)
        assert 8 in house.search(key)


def test_one_account_whose_file_cannot_be_written_holds_up_nobody(tmp_path: Path) -> None:
    with SearchHouse(tmp_path) as house:
        needles = fill(house)
        house.append("INBOX", letter("needle"), account=BOB)
        (in_the_way := house.file()).mkdir(parents=True)
        now = [0.0]
        working = house.indexer(lambda: now[0])
        for _ in range(20):
            working.step()
        assert working.indexed == 1 and house.file(BOB).exists()
        assert house.search(NEEDLE) == needles
        in_the_way.rmdir()
        now[0] += indexer.PAUSE_S
        while working.step():
            pass
        working.close()
        assert working.indexed == 31


def test_posting_lists_that_do_not_fit_fail_no_search(tmp_path: Path) -> None:
    with SearchHouse(tmp_path) as house:
        needles = fill(house)
        house.index()
        with sqlite3.connect(house.file()) as file:
            file.execute("UPDATE runs SET uids = x'010203'")
        file.close()
        assert house.search(NEEDLE) == needles
        assert house.index() == 30
        assert house.search(NEEDLE) == needles


def test_octets_that_change_unnoticed_are_noticed_and_mended(tmp_path: Path) -> None:
    flips = {
        "postings": "UPDATE postings SET data = CAST(x'ff' || substr(data, 2) AS BLOB)",
        "runs": "UPDATE runs SET uids = CAST(x'02' || substr(uids, 2) AS BLOB)",
        "no octets": "UPDATE postings SET data = x'ff' || substr(data, 2)",
        "text": "UPDATE postings SET data = 'text'",
        "number": "UPDATE runs SET documents = 'many'",
        "key": "",
    }
    for name, flip in flips.items():
        with SearchHouse(tmp_path / name) as house:
            needles = fill(house)
            house.index()
            with sqlite3.connect(house.file()) as file:
                if name == "key":  # a list that stands where another word's does
                    file.execute(
                        "UPDATE postings SET data = (SELECT data FROM postings AS p, words AS w"
                        " WHERE w.word = 'hay' AND p.key = w.word_id * 8 + 5)"
                        " WHERE key = (SELECT word_id * 8 + 5 FROM words WHERE word = 'needle')"
                    )
                else:
                    file.execute(flip)
            file.close()
            assert house.search(NEEDLE) == needles
            assert house.index() == 30
            assert house.search(NEEDLE) == needles


def test_joining_runs_does_not_hide_octets_that_changed(tmp_path: Path) -> None:
    with SearchHouse(tmp_path) as house:
        needles = fill(house, 30)
        house.index()
        with sqlite3.connect(house.file()) as file:
            file.execute("UPDATE postings SET data = CAST(x'ff' || substr(data, 2) AS BLOB)")
        file.close()
        for _ in range(10):
            house.append("INBOX", letter("hay"))
            house.index()
        assert house.search(NEEDLE) == needles


def test_an_interrupted_reindex_leaves_the_others_their_files(tmp_path: Path) -> None:
    with SearchHouse(tmp_path) as house:
        for person in (ALICE, BOB):
            house.append("INBOX", *(letter("needle") for _ in range(60)), account=person)
        house.index()
        answers = iter([False, True])
        done = rebuild(Layout(tmp_path), [ALICE, BOB], stop=lambda: next(answers, True))
        assert done.accounts == 1 and house.file(BOB).exists()


def test_M6_a_message_that_breaks_a_search_does_not_hide_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = text.body_text

    def breaks(message: bytes, summary: MessageSummary) -> str:
        if b"hay 7" in message:
            raise RuntimeError
        return whole(message, summary)

    monkeypatch.setattr("gateway.store.candidate.body_text", breaks)
    with SearchHouse(tmp_path) as house:
        needles = fill(house)
        assert house.search(NEEDLE) == needles


def test_an_answer_that_takes_too_long_counts_as_far_as_it_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with SearchHouse(tmp_path) as house:
        needles = fill(house)
        house.index()
        messages_with, calls = Lookup._messages_with, 0

        def slow(self: Lookup, words: Sequence[int], columns: tuple[int, int]) -> int:
            nonlocal calls
            calls += 1
            if calls > 2:
                late = sqlite3.connect(":memory:")
                late.set_progress_handler(lambda: True, 1)
                late.execute("SELECT 1")
            return messages_with(self, words, columns)

        monkeypatch.setattr(Lookup, "_messages_with", slow)
        reads = count_reads(monkeypatch)
        key = And((NEEDLE, Not(TextHas("s7", with_header=True))))
        assert house.search(key) == needles
        assert 0 < len(reads) < 4 * len(needles) and calls == 3


def test_reading_goes_on_while_the_index_thinks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with SearchHouse(tmp_path, reader_threads=2) as house:
        needles = fill(house)
        house.index()
        box, may_go_on = house.box(), threading.Event()
        asked = Lookup.text

        def slow(self: Lookup, key: TextHas) -> Verdict:
            assert may_go_on.wait(30)
            return asked(self, key)

        monkeypatch.setattr(Lookup, "text", slow)
        searches = [house.pump.start(noted(house, box)) for _ in range(6)]
        searches[1].cancel()
        assert len(house.rows()) == 30  # by the reader that is left
        may_go_on.set()
        for search in (searches[0], *searches[2:]):
            assert house.pump.wait_for(search) == needles
        with pytest.raises(CancelledError):
            house.pump.wait_for(searches[1])


async def noted(house: SearchHouse, box: MailboxId) -> list[Uid]:
    return list(await house.store.search(box, NEEDLE))


def test_M6_a_message_that_breaks_the_indexer_is_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(text: str) -> set[str]:
        if "hay 7" in text:
            raise RuntimeError
        return words_of(text)

    monkeypatch.setattr(documents, "words_of", breaks)
    with SearchHouse(tmp_path) as house:
        needles = fill(house)
        assert house.index() == 30
        assert house.search(NEEDLE) == needles
        assert house.search(TextHas("hay 7", with_header=False)) == [8]


def test_an_index_that_thinks_too_long_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "ASKING_S", 0.0)
    monkeypatch.setattr(search, "ASKING_STEPS", 1)
    with SearchHouse(tmp_path) as house:
        needles = fill(house)
        house.index()
        assert house.search(NEEDLE) == needles
        assert not any(house.places.requests.iterdir())  # nothing is wrong with it
