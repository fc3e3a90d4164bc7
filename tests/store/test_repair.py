"""repair leaves a sound store, loses nothing that can be had, and says what it did."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from pathlib import Path

import pytest

from gateway.core.errors import StoreUnavailable
from gateway.core.ports.progress import silent
from gateway.store import repair as repair_module
from gateway.store.repair import Repaired, repair
from gateway.store.repair_rows import REPAIRS
from gateway.store.rules import RULES
from gateway.store.verify import verify
from tests.store.house import ALICE, BOB, CAROL, LARGE, NOW, House, delivered
from tests.store.test_verify import DAMAGE, execute


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    state_dir = tmp_path_factory.mktemp("template")
    with House(state_dir) as house:
        house.deliver("1", ALICE, BOB)
        house.deliver("2", ALICE, octets=LARGE, remote=[CAROL])
        house.append("Sent", b"one", b"two", b"three", flags=["\\Seen", "word"])
        house.wait(house.store.expunge(house.box(name="Sent"), ((2, 2),), only_deleted=False))
    return state_dir


@pytest.fixture
def kept(template: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(template, tmp_path / "state"))


def mend(state_dir: Path, *, accept_loss: bool = False) -> Repaired:
    said: list[str] = []
    done = repair(
        state_dir,
        wall_clock=lambda: float(NOW),
        progress=silent,
        say=said.append,
        accept_loss=accept_loss,
    )
    assert done.done == tuple(said)
    again = repair(state_dir, wall_clock=lambda: float(NOW), progress=silent, say=said.append)
    assert (again.done, again.lost) == ((), ()), "a second run finds nothing"
    return done


def segment(state_dir: Path) -> Path:
    return max((state_dir / "store/segments").iterdir(), key=lambda path: path.stat().st_size)


def put_aside(state_dir: Path, pattern: str) -> list[Path]:
    return sorted((state_dir / "store/quarantine").glob(pattern))


def test_a_sound_store_is_left_alone(kept: Path) -> None:
    before = verify(kept)
    assert mend(kept) == Repaired((), (), before)


@pytest.mark.parametrize(("statement", "finding"), DAMAGE)
def test_whatever_contradicts_a_rule_is_repaired(statement: str, finding: str, kept: Path) -> None:
    execute(kept, statement)
    done = mend(kept)
    assert done.done
    assert done.report.sound, done.report.problems


def test_D8_a_damaged_message_stays_and_what_is_left_of_it_is_kept(kept: Path) -> None:
    path = segment(kept)
    octets = path.read_bytes()
    at = octets.index(b"three")
    path.write_bytes(octets[:at] + b"thr?e" + octets[at + 5 :])
    done = mend(kept)
    assert done.lost == ()
    assert done.report.sound
    assert done.report.unreadable == 1
    (aside,) = put_aside(kept, "damaged-*.eml")
    assert aside.read_bytes() == b"thr?e"
    (known,) = json.loads(aside.with_suffix(".json").read_text())
    assert (known["mailbox"], known["uid"], known["account"]) == ("Sent", 3, ALICE)
    with House(kept) as house:
        assert house.uids(name="Sent") == [1, 3], "clients keep what they have"
        assert house.octets(house.rows(name="Sent")[0]) == b"one"
        with pytest.raises(Exception, match="cannot be read"):
            house.octets(house.rows(name="Sent")[1])
        house.wait(house.store.expunge(house.box(name="Sent"), None, only_deleted=False))
        house.verify()


def test_the_rest_of_a_large_message_is_kept(kept: Path) -> None:
    (path,) = (kept / "store/large").iterdir()
    os.truncate(path, 700_000)
    assert mend(kept).report.unreadable == 1
    (aside,) = put_aside(kept, "damaged-*.eml")
    assert aside.read_bytes() == delivered(LARGE)[: aside.stat().st_size]
    assert aside.stat().st_size > 700_000
    assert len(put_aside(kept, f"*-large-{path.name}")) == 1


def test_what_is_lost_is_named_and_clients_hear_of_it(kept: Path) -> None:
    with House(kept) as house:
        modseq = house.find().highest_modseq
        house.wait(house.store.summaries([row.blob_id for row in house.rows()]))
    (path,) = (kept / "store/large").iterdir()
    path.unlink()
    execute(kept, "UPDATE blobs SET head = x'' WHERE file_name <> ''")
    done = mend(kept)
    assert done.report.sound
    in_mailbox, queued = done.lost
    assert (in_mailbox.where, in_mailbox.number) == (f"{ALICE} INBOX", 2)
    assert '"large"' in in_mailbox.envelope
    assert "from a@example.test to carol@example.org" in queued.where
    with House(kept) as house:
        assert house.uids() == [1]
        changes = house.wait(house.store.changes(house.box(), modseq))
        assert any(first <= 2 <= last for first, last in changes.vanished)
        assert house.wait(house.store.depth()).messages == 0
        house.append("INBOX", b"new")
        assert house.uids() == [1, 3], "the UID is not given again"


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE blobs SET segment_offset = segment_offset + 1 WHERE size_octets = 5",
        "UPDATE blobs SET size_octets = 4 WHERE size_octets = 5",
        "UPDATE blobs SET segment_id = 77 WHERE size_octets = 5",
        "UPDATE blobs SET segment_id = -(1 << 62) WHERE size_octets = 5",
        "UPDATE blobs SET segment_offset = -1 WHERE size_octets = 5",
        "UPDATE blobs SET size_octets = 0 WHERE size_octets = 5",
        "UPDATE blobs SET size_octets = 1 << 62 WHERE size_octets = 5",
        "UPDATE blobs SET file_name = '../../x' WHERE size_octets = 5",
        "UPDATE blobs SET file_name = char(0) WHERE size_octets = 5",
        "UPDATE blobs SET file_name = x'ff' WHERE size_octets = 5",
        "UPDATE blobs SET checksums = x'00000000' WHERE size_octets = 5",
    ],
)
def test_octets_that_are_somewhere_are_found_again(statement: str, kept: Path) -> None:
    execute(kept, statement)
    if "77" in statement:  # the segment that was known has gone from the index, not from the disk
        execute(kept, "DELETE FROM segments")
        execute(kept, "UPDATE blobs SET segment_id = 77 WHERE file_name = ''")
    done = mend(kept)
    assert (done.lost, done.report.problems, done.report.unreadable) == ((), (), 0)
    with House(kept) as house:
        assert house.contents(name="Sent") == [b"one", b"three"]
        assert house.contents(BOB) == [delivered()]


def test_a_message_whose_place_nobody_knows_is_looked_for(kept: Path) -> None:
    execute(kept, "DELETE FROM blobs WHERE size_octets = 5")
    done = mend(kept)
    assert [(one.where, one.number) for one in done.lost] == [(f"{ALICE} Sent", 3)]
    asides = put_aside(kept, "perhaps-*.eml")
    assert [path.read_bytes() for path in asides] == [b"three"]


def test_a_mailbox_whose_next_uid_is_unknown_begins_anew(kept: Path) -> None:
    with House(kept) as house:
        before = house.find(name="Sent").uid_validity
    execute(kept, "UPDATE mailboxes SET uid_next = -5 WHERE name = 'Sent'")
    assert mend(kept).report.sound
    with House(kept) as house:
        assert house.find(name="Sent").uid_validity > before
        assert house.uids(name="Sent") == [1, 3]


@pytest.mark.parametrize("rest", ["empty", "missing"])
def test_D8_a_store_without_its_index_is_left_as_it_is(rest: str, kept: Path) -> None:
    path = kept / "store/index.sqlite"
    path.unlink()
    if rest == "empty":
        path.touch()
    before = sorted((kept / "store/segments").iterdir())
    for use in (mend, verify, House):
        with pytest.raises(StoreUnavailable, match="there is mail in"):
            use(kept)
    assert sorted((kept / "store/segments").iterdir()) == before


def test_a_full_disk_is_not_taken_for_damage(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    execute(kept, "UPDATE accounts SET messages = 9")

    def full(connection: sqlite3.Connection) -> int:
        del connection
        error = sqlite3.OperationalError("database or disk is full")
        error.sqlite_errorname = "SQLITE_FULL"
        raise error

    monkeypatch.setattr(repair_module, "migrate", full)
    with pytest.raises(StoreUnavailable, match=r"disk is full.*can be run again"):
        mend(kept)


def test_octets_that_nobody_claims_are_kept(kept: Path) -> None:
    execute(kept, "DELETE FROM messages WHERE size_octets = 5")
    assert mend(kept).report.sound
    (aside,) = put_aside(kept, "unclaimed-*.eml")
    assert aside.read_bytes() == b"three"


def test_a_message_whose_mailbox_is_gone_is_kept(kept: Path) -> None:
    execute(kept, "DELETE FROM mailboxes WHERE name = 'Sent'")
    assert mend(kept).report.sound
    assert [path.read_bytes() for path in put_aside(kept, "mailbox-*.eml")] == [b"one", b"three"]


def test_D8_files_that_nothing_points_to_are_kept_for_a_while(kept: Path) -> None:
    stray = kept / "store/segments/0000000099.seg"
    stray.write_bytes(b"somebody's")
    assert verify(kept).strays == (str(stray),)
    assert mend(kept).report.strays == ()
    (aside,) = put_aside(kept, "*-segments-0000000099.seg")
    assert aside.read_bytes() == b"somebody's"


def test_a_missing_disk_is_not_taken_for_damage(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        house.append("INBOX", *[b"%d" % number for number in range(150)])
    away = tmp_path / "away"
    (tmp_path / "store/segments").rename(away)
    (tmp_path / "store/segments").mkdir()
    with pytest.raises(StoreUnavailable, match="150 of 150 messages nothing is there"):
        mend(tmp_path)
    (tmp_path / "store/segments").rmdir()
    away.rename(tmp_path / "store/segments")
    assert mend(tmp_path).done == ()
    next((tmp_path / "store/segments").iterdir()).unlink()
    assert len(mend(tmp_path, accept_loss=True).lost) == 150


def test_a_store_in_use_is_refused(kept: Path) -> None:
    with House(kept), pytest.raises(StoreUnavailable, match="in use"):
        mend(kept)


def test_a_damaged_index_is_beyond_repair_and_says_what_to_do(kept: Path) -> None:
    index = kept / "store/index.sqlite"
    octets = bytearray(index.read_bytes())
    for page in range(3, len(octets) // 4096):
        octets[page * 4096 : page * 4096 + 50] = b"?" * 50
    index.write_bytes(octets)
    with pytest.raises(StoreUnavailable, match="gateway restore --force"):
        mend(kept)


def test_every_rule_has_a_name_and_a_repair() -> None:
    assert len({rule.name for rule in RULES}) == len(RULES)
    unrepaired = {rule.name for rule in RULES} - set(REPAIRS)
    assert unrepaired == {"octets in each other"}, "their checksums tell which of them is whole"
    assert set(REPAIRS) <= {rule.name for rule in RULES}
