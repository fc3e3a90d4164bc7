"""The search index through a store's life: what is answered from it, and what becomes of its files.

Each test ends with the one rule: the index changes no answer.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from gateway.core.errors import StoreInUse
from gateway.core.ids import AccountId, MailboxId
from gateway.core.search import And, HasFlag, HeaderHas, Not, Or, TextHas
from gateway.store.search_index import indexer, writing
from gateway.store.search_index.indexer import Appetite
from tests.store.house import ALICE, BOB
from tests.store.searching import SearchHouse, count_reads, fill, letter

NEEDLE = TextHas("needle", with_header=False)
TEXT = TextHas("needle", with_header=True)


def test_what_is_indexed_is_found_without_reading_a_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with SearchHouse(tmp_path) as house:
        needles = fill(house)
        assert house.index() == 30
        reads = count_reads(monkeypatch)
        assert house.search(NEEDLE) == house.search(TextHas("EEDL", with_header=True)) == needles
        assert house.search(HeaderHas("Subject", "S7")) == [8]
        assert house.search(HeaderHas("From", "ann")) == list(range(1, 31))
        assert house.search(TextHas("nowhere", with_header=True)) == []
        assert house.search(Not(NEEDLE)) == [uid for uid in range(1, 31) if uid not in needles]
        assert house.search(Or(HeaderHas("Subject", "s7"), NEEDLE)) == sorted([8, *needles])
        assert house.search(And((Not(HasFlag("\\Seen")), NEEDLE))) == needles
        assert house.search(Or(HasFlag("\\Seen"), NEEDLE)) == needles
        assert reads == []
        assert house.search(TextHas("hay 7", with_header=False)) == [8]
        assert 0 < len(reads) < 10  # phrases are looked for where all their words are


def test_mail_that_arrives_is_found_at_once_and_indexed_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with SearchHouse(tmp_path) as house:
        needles = fill(house)
        house.index()
        needles += [int(uid) for uid in house.append("INBOX", letter("a needle more")).uids]
        reads = count_reads(monkeypatch)
        assert house.search(NEEDLE) == needles
        assert 0 < len(reads) <= 2
        assert house.index() == 1
        reads.clear()
        assert house.search(NEEDLE) == needles and reads == []


def test_expunged_mail_is_never_found(tmp_path: Path) -> None:
    with SearchHouse(tmp_path) as house:
        needles = fill(house)
        house.index()
        gone = needles[1]
        house.wait(house.store.expunge(house.box(), ((gone, gone),), only_deleted=False))
        expected = [uid for uid in needles if uid != gone]
        assert house.search(NEEDLE) == house.search(TEXT) == expected
        assert gone not in house.search(Not(TextHas("hay", with_header=False)))


def test_moved_and_copied_mail_is_found_where_it_is(tmp_path: Path) -> None:
    with SearchHouse(tmp_path) as house:
        needles = fill(house)
        house.index()
        house.wait(house.store.create_mailbox(ALICE, "Old"))
        moving = house.store.copy(house.box(), ((needles[0], needles[0]),), ALICE, "Old", move=True)
        house.wait(moving)
        old = house.box(name="Old")
        for _ in range(2):
            assert house.search(NEEDLE) == needles[1:]
            assert house.search(NEEDLE, old) == [1]
            assert house.index() in (0, 1)


def test_renaming_the_inbox_takes_its_mail_along(tmp_path: Path) -> None:
    with SearchHouse(tmp_path) as house:
        needles = fill(house)
        house.index()
        house.wait(house.store.rename_mailbox(ALICE, "INBOX", "2023"))
        assert house.search(NEEDLE) == []
        assert house.search(NEEDLE, house.box(name="2023")) == needles
        assert house.index() == 30
        assert house.search(NEEDLE, house.box(name="2023")) == needles


def test_a_mailbox_with_little_news_is_left_alone(tmp_path: Path) -> None:
    with SearchHouse(tmp_path, appetite=Appetite(20, 10_000)) as house:
        fill(house, 19)
        assert house.index() == 0 and not house.file().exists()
        fill(house, 1)
        assert house.index() == 20
        house.append("INBOX", letter("needle " * 2_000))  # large enough by itself
        assert house.index() == 1
        assert house.search(NEEDLE) == house.without_index(NEEDLE)


def test_many_small_runs_become_few_and_lose_what_was_expunged(tmp_path: Path) -> None:
    with SearchHouse(tmp_path) as house:
        for number in range(1, 21):
            house.append("INBOX", *(letter(f"needle n{number}") for _ in range(number % 3 + 1)))
            house.wait(house.store.expunge(house.box(), ((number, number),), only_deleted=False))
            house.index()
        with sqlite3.connect(house.file()) as file:
            (runs,) = file.execute("SELECT count(*) FROM runs").fetchone()
            (dropped,) = file.execute("SELECT dropped FROM about").fetchone()
        file.close()
        assert runs < 10 and dropped > 0
        for key in (NEEDLE, TextHas("n1", False), TextHas("n19", True), Not(TextHas("n7", True))):
            assert house.search(key) == house.without_index(key)


def test_runs_are_joined_by_size() -> None:
    assert writing.runs_to_join([1] * 7) is None
    assert writing.runs_to_join([1] * 8) == (0, 8)
    assert writing.runs_to_join([5_000, *[1] * 8]) == (1, 9)
    assert writing.runs_to_join([4_096] * 8) == (0, 4)
    assert writing.runs_to_join([16_384] * 50) is None
    assert writing.runs_to_join([]) is None


def test_large_messages_are_indexed_by_their_text_only(tmp_path: Path) -> None:
    attachment = b"--b\r\nContent-Type: image/png\r\n\r\n" + b"picture0 " * 200_000
    large = (
        b"Subject: large\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
        b"--b\r\n\r\nneedle\r\n" + attachment + b"\r\n--b--\r\n"
    )
    with SearchHouse(tmp_path) as house:
        house.append("INBOX", large)
        for _ in range(2):
            assert house.search(NEEDLE) == house.search(HeaderHas("subject", "large")) == [1]
            assert house.search(TextHas("picture0", with_header=True)) == []
            house.index()


def test_a_deleted_mailbox_is_forgotten(tmp_path: Path) -> None:
    with SearchHouse(tmp_path) as house:
        house.append()
        house.wait(house.store.create_mailbox(ALICE, "Old"))
        house.append("Old", letter("needle"))
        now = [0.0]
        working = house.indexer(lambda: now[0])
        while working.step():
            pass
        house.wait(house.store.delete_mailbox(ALICE, "Old"))
        now[0] += indexer.CARE_EVERY_S
        while working.step():
            pass
        working.close()
        with sqlite3.connect(house.file()) as file:
            assert file.execute("SELECT count(*), sum(documents) FROM runs").fetchone() == (1, 1)
            assert file.execute("SELECT count(*) FROM mailboxes").fetchone() == (1,)
        file.close()


def test_files_of_nobody_are_removed_at_start(tmp_path: Path) -> None:
    with SearchHouse(tmp_path) as house:
        fill(house)
        house.index()
        stranger = house.file(AccountId("was here"))
        stranger.parent.mkdir(exist_ok=True)
        house.file().rename(stranger)
        with sqlite3.connect(stranger) as file:
            file.execute("UPDATE about SET account_id = 'was here'")
        file.close()
        assert house.index() == 30
        assert house.file().exists() and not stranger.exists()


def test_a_mailbox_with_another_uid_validity_is_indexed_anew(tmp_path: Path) -> None:
    with SearchHouse(tmp_path) as house:
        needles = fill(house)
        house.index()
        with sqlite3.connect(house.file()) as file:
            file.execute("UPDATE mailboxes SET uid_validity = uid_validity - 1")
            file.execute("UPDATE postings SET data = x''")
        file.close()
        assert house.search(NEEDLE) == needles
        assert house.index() == 30
        assert house.search(NEEDLE) == needles


def test_an_account_is_made_again_on_request(tmp_path: Path) -> None:
    with SearchHouse(tmp_path) as house:
        needles = fill(house)
        house.append("INBOX", letter("needle"), account=BOB)
        assert house.index() == 31
        house.places.request(ALICE)
        house.places.request(AccountId("nobody"))
        assert house.index() == 30
        assert not any(house.places.requests.iterdir())
        assert house.search(NEEDLE) == needles


def test_one_process_writes(tmp_path: Path) -> None:
    with SearchHouse(tmp_path) as house:
        house.append()
        first = house.indexer()
        with pytest.raises(StoreInUse):
            house.indexer()
        first.close()
        house.indexer().close()


def test_a_mailbox_deleted_meanwhile_has_no_messages(tmp_path: Path) -> None:
    with SearchHouse(tmp_path) as house:
        fill(house)
        house.index()
        assert house.search(NEEDLE, MailboxId(999)) == []
