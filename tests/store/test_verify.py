"""verify finds each kind of damage, and nothing in a store that is in use."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import pytest

from gateway.core.errors import StoreUnavailable
from gateway.store.verify import verify
from tests.store.house import ALICE, BOB, CAROL, LARGE, House


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    state_dir = tmp_path_factory.mktemp("template")
    with House(state_dir) as house:
        house.deliver("1", ALICE, BOB)
        house.deliver("2", ALICE, octets=LARGE, remote=[CAROL])
        house.append("Sent", b"one", b"two", b"three", flags=["\\Seen"])
        house.wait(house.store.expunge(house.box(name="Sent"), ((2, 2),), only_deleted=False))
        report = house.verify()
        assert (report.messages, report.queued, report.blobs) == (5, 1, 4)
        assert report.dead_octets > 0
    assert verify(state_dir).sound
    return state_dir


@pytest.fixture
def kept(template: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(template, tmp_path / "state"))


def execute(state_dir: Path, statement: str) -> None:
    """Damage the index of a store that nobody uses."""
    connection = sqlite3.connect(state_dir / "store/index.sqlite")
    with connection:
        connection.execute(statement)
    connection.close()


# A statement for each rule, and what is said of it.
DAMAGE = [
    ("UPDATE mailboxes SET messages = messages + 1 WHERE messages = 2", "counts 3 messages"),
    ("UPDATE mailboxes SET unseen = 7 WHERE messages = 2", "7 unseen"),
    ("UPDATE mailboxes SET size_octets = 1 WHERE messages = 2", "1 octets"),
    ("UPDATE mailboxes SET old_messages = 9 WHERE messages = 2", "9 not recent"),
    ("UPDATE mailboxes SET uid_next = 2 WHERE messages = 2", "is not below the next UID 2"),
    (
        "UPDATE mailboxes SET highest_modseq = 1 WHERE messages = 2",
        "above the mailbox's 1 or below its own first",
    ),
    ("UPDATE messages SET created_modseq = modseq + 1", "above the mailbox's"),
    (
        "UPDATE messages SET modseq = 3, created_modseq = 4 - uid WHERE mailbox_id = 1",
        "is older by MODSEQ than one before it",
    ),
    (
        "UPDATE expunged SET first_uid = 1, last_uid = 9",
        "is there although it was expunged (UIDs 1 to 9)",
    ),
    (
        "UPDATE expunged SET last_uid = 2000000",
        "are no stretch of their own below the next UID",
    ),
    (
        "INSERT INTO expunged SELECT mailbox_id, modseq, 3, 3 FROM expunged",
        "are no stretch of their own below the next UID",
    ),
    ("UPDATE expunged SET modseq = 99", "or their MODSEQ 99 is above the mailbox's"),
    ("DELETE FROM expunged", "messages and 0 expunged UIDs are known"),
    ("DELETE FROM mailboxes WHERE messages = 2", "which does not exist"),
    ("DELETE FROM accounts WHERE account_id = 'b0b'", "belongs to account b0b"),
    ("DELETE FROM blobs", "points to octets 1, which do not exist"),
    ("DELETE FROM blobs WHERE file_name <> ''", "queued message 1 points to octets"),
    (
        "INSERT INTO vault VALUES (1, 'b0b', 'Sent', 4, 0, '', 5, 6, 7777, 8)",
        "deleted message 1 points to octets 7777",
    ),
    ("UPDATE blobs SET refs = 9 WHERE size_octets > 5 AND file_name = ''", "count 9 references"),
    ("UPDATE segments SET live_blobs = 5", "counts 5 live messages of"),
    ("DELETE FROM segments", "messages, but is not listed"),
    ("UPDATE messages SET size_octets = size_octets + 1", "are stored"),
    ("DELETE FROM queue_recipients", "queued message 1 has no recipients"),
    ("DELETE FROM queue", "belongs to no message"),
    ("UPDATE counters SET value = 8 WHERE name = 'queued_messages'", "counts 8; there are"),
    ("UPDATE counters SET value = 0 WHERE name = 'blob'", "the next id of the kind blob is 0"),
    ("UPDATE counters SET value = 0 WHERE name = 'segment'", "the next id of the kind segment"),
    ("UPDATE accounts SET inbox_id = 999", "has no INBOX"),
    ("UPDATE accounts SET messages = 9", "; its mailboxes hold"),
    ("UPDATE accounts SET size_octets = 9", "messages of 9 octets"),
    ("INSERT INTO summaries VALUES (777, x'00')", "the summary of octets 777"),
    ("INSERT INTO expunged VALUES (777, 1, 1, 1)", "expunged UIDs from 1 are those of mailbox 777"),
    ("INSERT INTO keywords VALUES (777, 'a', 'a')", "is one of mailbox 777"),
    ("INSERT INTO uidls VALUES (777, 7, 'a')", "a POP3 UIDL of message 7 is one of mailbox 777"),
    ("INSERT INTO kept_uids VALUES (777, 'a', 'b', 1)", "imported UIDs are kept for mailbox 777"),
    ("INSERT INTO subscriptions VALUES ('nobody', 'Box')", "is subscribed to Box"),
    ("DELETE FROM counters WHERE name = 'queue'", "the counter queue is missing"),
    ("UPDATE counters SET value = 9223372036854775807", "the counter blob is missing, or has"),
    ("UPDATE accounts SET size_octets = 9223372036854775807", "has a number that cannot be"),
    ("UPDATE mailboxes SET size_octets = 9223372036854775807", "counts a number that cannot be"),
    ("UPDATE mailboxes SET uid_next = 5000000000", "has a UIDVALIDITY, next UID or MODSEQ that"),
    ("UPDATE mailboxes SET highest_modseq = 9223372036854775807", "next UID or MODSEQ that cannot"),
    ("UPDATE messages SET modseq = 9223372036854775807", "has a number that cannot be"),
    ("UPDATE messages SET uid = -uid", "has the UID -1, which cannot be"),
    ("UPDATE messages SET uid = uid + 5000000000", "a message has the UID 5000000001"),
    ("UPDATE messages SET internal_date = 9223372036854775807", "message 1 has a number that"),
    ("UPDATE expunged SET last_uid = 9223372036854775807", "expunged UIDs from 2 have a number"),
    ("UPDATE queue SET held_until = 'soon'", "queued message 1 has a number that cannot be"),
    ("UPDATE queue_parts SET due_at = 'soon'", "message 1 for example.org has a number that"),
    ("UPDATE queue_destinations SET look_at = 'x'", "destination example.org of the queue has"),
    ("DELETE FROM queue_parts", "recipient 1 of queued message 1 is in no part for example.org"),
    ("UPDATE queue_parts SET last_number = 0", "is in no part for example.org"),
    ("UPDATE queue_parts SET queue_id = 7", "belongs to no queued message 7"),
    ("UPDATE queue_recipients SET destination = 'z'", "queued message 1 has no recipients for ex"),
    ("UPDATE queue_parts SET state = 3", "waits otherwise than its recipients"),
    ("UPDATE queue_parts SET state = 1, due_at = 9", "waits otherwise than its recipients"),
    ("DELETE FROM queue_destinations", "the destination does not stand in line"),
    ("UPDATE segments SET segment_id = 0", "segment 0 has a number that cannot be"),
    ("UPDATE blobs SET checksums = 7 WHERE file_name = ''", "octets 1 have a row that cannot be"),
    (
        "INSERT INTO vault SELECT 1, 'b0b', 'Sent', 4, 0, '', 1 << 62, 6, max(blob_id), 8"
        " FROM blobs",
        "deleted message 1 has a number that cannot be",
    ),
    ("INSERT INTO imports VALUES ('nobody', 'a', 'b', 'c')", "what was imported from a belongs"),
]


@pytest.mark.parametrize(
    ("statement", "finding"),
    [
        *DAMAGE,
        ("UPDATE blobs SET size_octets = size_octets + 1", "begin inside the ones before them"),
        ("UPDATE blobs SET checksums = x'00000000' WHERE file_name = ''", "cannot be read"),
        ("UPDATE blobs SET segment_offset = 5 WHERE size_octets > 5", "cannot be read"),
    ],
)
def test_verify_finds(statement: str, finding: str, kept: Path) -> None:
    execute(kept, statement)
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


@pytest.mark.parametrize("column", ["size_octets", "segment_offset", "segment_id"])
@pytest.mark.parametrize("value", [0, -1, 2**62, -(2**63), "'x'"])
def test_a_place_that_cannot_be_is_damage(column: str, value: object, kept: Path) -> None:
    execute(kept, f"UPDATE blobs SET {column} = {value} WHERE size_octets = 5")
    assert not verify(kept).sound


def test_there_must_be_a_store(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="no mail store"):
        verify(tmp_path)
    (tmp_path / "store").mkdir()
    (tmp_path / "store/index.sqlite").write_bytes(b"this is not an index" * 100)
    with pytest.raises(StoreUnavailable, match="cannot be read"):
        verify(tmp_path)
