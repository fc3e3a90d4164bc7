"""verify finds each kind of damage, and nothing in a store that is in use."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from gateway.core.errors import StoreUnavailable
from gateway.store.verify import verify
from tests.store.house import ALICE, BOB, CAROL, LARGE, House


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    with House(tmp_path) as house:
        house.deliver("1", ALICE, BOB)
        house.deliver("2", ALICE, octets=LARGE, remote=[CAROL])
        house.append("Sent", b"x", flags=["\\Seen"])
        house.wait(house.store.expunge(house.box(name="Sent"), None, only_deleted=False))
        report = house.verify()
        assert (report.messages, report.queued, report.blobs) == (3, 1, 2)
    assert verify(tmp_path).sound
    return tmp_path


@pytest.mark.parametrize(
    ("statement", "finding"),
    [
        ("UPDATE mailboxes SET messages = messages + 1 WHERE messages = 2", "counts 3 messages"),
        ("UPDATE mailboxes SET unseen = 7 WHERE messages = 2", "7 unseen"),
        ("UPDATE mailboxes SET size_octets = 1 WHERE messages = 2", "1 octets"),
        ("UPDATE mailboxes SET uid_next = 2 WHERE messages = 2", "not below the next UID 2"),
        ("UPDATE mailboxes SET highest_modseq = 2 WHERE messages = 2", "above the mailbox's 2"),
        (
            "UPDATE messages SET modseq = 3, created_modseq = 4 - uid WHERE mailbox_id = 1",
            "older by MODSEQ",
        ),
        ("INSERT INTO expunged SELECT mailbox_id, 1, uid, uid FROM messages", "was expunged"),
        ("DELETE FROM mailboxes WHERE messages = 1", "does not exist"),
        ("DELETE FROM blobs", "do not exist"),
        ("UPDATE blobs SET refs = 9 WHERE file_name = ''", "count 9 references; there are 2"),
        ("UPDATE segments SET live_blobs = 5", "counts 5 live"),
        ("UPDATE blobs SET size_octets = size_octets + 1", "are stored"),
        ("DELETE FROM queue_recipients", "no recipients"),
        ("DELETE FROM queue", "belongs to no message"),
        ("UPDATE accounts SET inbox_id = 999", "no INBOX"),
        ("UPDATE blobs SET checksums = x'00000000' WHERE file_name = ''", "cannot be read"),
        ("UPDATE blobs SET segment_offset = 5 WHERE file_name = ''", "cannot be read"),
    ],
)
def test_verify_finds(statement: str, finding: str, kept: Path) -> None:
    connection = sqlite3.connect(kept / "store/index.sqlite")
    with connection:
        connection.execute(statement)
    connection.close()
    report = verify(kept)
    assert not report.sound
    assert any(finding in problem for problem in report.problems), report.problems


@pytest.mark.parametrize("folder", ["segments", "large"])
@pytest.mark.parametrize("damage", ["change", "cut", "remove"])
def test_verify_reads_every_octet(folder: str, damage: str, kept: Path) -> None:
    path = next(one for one in (kept / "store" / folder).iterdir() if one.stat().st_size > 60)
    if damage == "remove":
        path.unlink()
    else:
        octets = path.read_bytes()
        path.write_bytes(octets[:-1] + (b"\x00" if damage == "change" else b""))
        if folder == "segments":
            path.write_bytes(
                octets[:30] + b"\x00" + octets[31:] if damage == "change" else octets[:50]
            )
    assert any("cannot be read" in problem for problem in verify(kept).problems)


def test_there_must_be_a_store(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="no mail store"):
        verify(tmp_path)
    (tmp_path / "store").mkdir()
    (tmp_path / "store/index.sqlite").write_bytes(b"this is not an index" * 100)
    with pytest.raises(StoreUnavailable, match="cannot be read"):
        verify(tmp_path)
