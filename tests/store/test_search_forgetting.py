"""What the search index forgets, and when: words of expunged mail, files of nobody."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from gateway.core.ids import AccountId
from gateway.core.search import Not, TextHas
from gateway.store.search_index import indexer
from tests.store.house import ALICE, BOB
from tests.store.searching import SearchHouse, fill, letter

NEEDLE = TextHas("needle", with_header=False)
SECRET = b"confidential"


def octets_of(house: SearchHouse, account_id: AccountId = ALICE) -> bytes:
    path = house.file(account_id)
    return b"".join(one.read_bytes() for one in sorted(path.parent.glob(f"{path.name}*")))


def expunge(house: SearchHouse, uid: int) -> None:
    house.wait(house.store.expunge(house.box(), ((uid, uid),), only_deleted=False))


def test_words_of_expunged_mail_are_gone_after_a_day(tmp_path: Path) -> None:
    with SearchHouse(tmp_path) as house:
        needles = fill(house)
        (secret,) = house.append("INBOX", letter("needle confidential")).uids
        fill(house, 3)
        house.index()
        assert SECRET in octets_of(house)
        expunge(house, secret)
        house.index()
        house.now += indexer.FORGET_EVERY_S - 1
        house.index()
        assert SECRET in octets_of(house)
        house.now += 1
        house.index()
        assert SECRET not in octets_of(house)
        assert b"onfidentia" not in octets_of(house)
        for key in (NEEDLE, Not(NEEDLE), TextHas("ay 2", with_header=True)):
            assert house.search(key) == house.without_index(key)
        assert house.search(NEEDLE) == [*needles, 32]
        with closing(sqlite3.connect(house.file())) as file:
            assert file.execute("SELECT sum(documents) FROM runs").fetchone() == (33,)
            file.execute("INSERT INTO grams (grams) VALUES ('integrity-check')")
        expunge(house, 1)
        house.append("INBOX", letter("needle confidential"))
        house.index()
        assert house.search(TextHas("fidenti", with_header=False)) == [35]


def test_words_go_though_the_runs_were_joined_before(tmp_path: Path) -> None:
    with SearchHouse(tmp_path) as house:
        house.append("INBOX", letter("needle confidential"))
        house.index()
        expunge(house, 1)
        for _ in range(10):
            house.append("INBOX", letter("needle"))
            house.index()
        assert SECRET in octets_of(house)
        house.now += indexer.FORGET_EVERY_S
        house.index()
        assert SECRET not in octets_of(house)
        assert house.search(NEEDLE) == list(range(2, 12))


def test_a_clock_that_was_set_back_only_forgets_sooner(tmp_path: Path) -> None:
    with SearchHouse(tmp_path) as house:
        house.append("INBOX", letter("needle confidential"))
        house.index()
        expunge(house, 1)
        house.now -= 400 * 86_400
        house.index()
        assert SECRET not in octets_of(house)


def test_the_file_of_an_account_that_is_gone_is_removed_while_the_indexer_runs(
    tmp_path: Path,
) -> None:
    with SearchHouse(tmp_path) as house:
        fill(house)
        working = house.indexer()
        stranger = house.file(AccountId("was here"))
        stranger.parent.mkdir(exist_ok=True)
        while working.step():
            pass
        stranger.write_bytes(SECRET)
        house.clock_s += indexer.CARE_EVERY_S
        working.step()
        working.close()
        assert house.file().exists() and not stranger.exists()


def test_what_cannot_be_removed_holds_up_nobody(tmp_path: Path) -> None:
    with SearchHouse(tmp_path) as house:
        fill(house)
        house.append("INBOX", letter("needle"), account=BOB)
        (house.file(AccountId("was here")) / "full").mkdir(parents=True)
        (house.file() / "full").mkdir(parents=True)
        house.places.prepare()
        house.places.request(ALICE)
        (house.places.requests / "folder").mkdir()
        house.index()
        assert house.file(BOB).exists()
        assert house.search(NEEDLE) == house.without_index(NEEDLE)
        house.now += 2 * indexer.FORGET_EVERY_S
        house.append("INBOX", letter("needle confidential"), account=BOB)
        house.index()
        house.wait(house.store.expunge(house.box(BOB), ((2, 2),), only_deleted=False))
        house.now += 2 * indexer.FORGET_EVERY_S
        house.index()
        assert SECRET not in octets_of(house, BOB)


def test_a_file_that_was_removed_is_made_again_without_a_restart(tmp_path: Path) -> None:
    with SearchHouse(tmp_path) as house:
        needles = fill(house)
        house.wait(house.store.create_mailbox(ALICE, "Old"))
        house.append("Old", letter("needle"))
        working = house.indexer()
        while working.step():
            pass
        house.places.remove(house.file())
        house.append("INBOX", letter("needle"))
        while working.step():
            pass
        working.close()
        assert working.indexed == 31 + 32
        assert house.search(NEEDLE) == [*needles, 31]


def test_accounts_are_made_again_one_at_a_time(tmp_path: Path) -> None:
    people = [AccountId(f"person{number}") for number in range(5)]
    with SearchHouse(tmp_path) as house:
        for person in people:
            house.append("INBOX", letter("needle"), account=person)
        house.index()
        for person in people:
            house.places.request(person)
        working = house.indexer()
        working.step()
        assert sum(house.file(person).exists() for person in people) >= 4
        while working.step():
            assert sum(house.file(person).exists() for person in people) >= 3
        working.close()
        assert working.indexed == 5 and not any(house.places.requests.iterdir())
