"""What the statements of the store look at: none goes through a whole table that grows with mail.

Every statement that a store runs while it does all it can is explained by the engine afterwards.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.core.ids import ModSeq
from gateway.core.messages import SYSTEM_FLAGS, Flags
from gateway.core.queue import QueueFilter, QueueState, Recorded
from gateway.core.quota import Quota
from gateway.core.search import And, HasFlag, Not, Or, SizeIs, TextHas, UidIn
from gateway.core.transfer import ImportedMessage, ImportSource
from gateway.store import engine
from tests.store.house import ALICE, BOB, CAROL, EVERY, LARGE, MESSAGE, NOW, House
from tests.store.migrating import counted, migration_steps

SCAN = re.compile(r"SCAN (\w+)(?: USING (?:COVERING )?INDEX (\w+))?")
GROWING = {
    "accounts", "blobs", "expunged", "imports", "ingests", "keywords", "kept_uids", "mailboxes",
    "messages", "queue", "queue_destinations", "queue_parts", "queue_recipients",
    "segments", "subscriptions", "summaries", "uidls", "vault",
}  # fmt: skip
HOLDS_LITTLE = {"blobs_dead", "segments_dead"}  # partial indexes: what is about to be removed
BOUNDED = (
    "AS first_queued",
    "ORDER BY due_at LIMIT 1",
    "ORDER BY held_until LIMIT 1",
)  # by their LIMIT
UNSEEN, MARKED = Not(HasFlag("\\Seen")), HasFlag("\\Deleted")


def flags(*names: str) -> Flags:
    return frozenset(names)


def use_everything(house: House) -> None:
    store, wait = house.store, house.wait
    for number in range(4):
        house.deliver(str(number), ALICE, BOB, remote=[CAROL])
    house.append("INBOX", MESSAGE, LARGE, MESSAGE, flags=["\\Seen", "Work"])
    inbox = house.box()
    wait(store.quota.set_quota(ALICE, Quota(10**9, 10**6)))
    wait(store.quota.usage(ALICE))
    for mode in ("set", "add", "remove"):
        wait(store.store_flags(inbox, ((1, 2), (4, 4)), mode, flags("\\Flagged", "x")))
    wait(store.copy(inbox, ((1, 3),), ALICE, "Archive", move=False))
    wait(store.copy(inbox, ((2, 2),), ALICE, "Trash", move=True))
    wait(store.store_flags(inbox, ((1, 1), (7, 7)), "add", flags("\\Deleted")))
    for key in (
        UNSEEN, HasFlag("\\Seen"), MARKED, And((UidIn(EVERY), UNSEEN)), Or(UNSEEN, MARKED),
        And((MARKED, UNSEEN, SizeIs("<", 9_999))), And((UNSEEN, TextHas("x", True))),
        Not(And((UNSEEN, MARKED))), TextHas("text", False),
    ):  # fmt: skip
        wait(store.search(inbox, key))
    wait(store.expunge(inbox, None, only_deleted=True))
    wait(store.expunge(inbox, tuple((uid, uid) for uid in range(3, 30, 2)), only_deleted=False))
    for claim in (False, True, True):
        wait(store.select(ALICE, "INBOX", claim_recent=claim))
        house.deliver(f"then {claim}", ALICE)
    wait(store.changes(inbox, ModSeq(1)))
    wait(store.status(ALICE, "INBOX"))
    wait(store.list_mailboxes(ALICE))
    wait(store.uidls(inbox))
    rows = house.rows()
    wait(store.summaries([row.blob_id for row in rows]))
    wait(store.read_many([(row.blob_id, 0, 9) for row in rows]))
    source = ImportSource("maildir:/old", "INBOX")
    one = ImportedMessage("1", house.body(MESSAGE), flags(), NOW, 7, "old-name")
    wait(store.imports.import_messages(ALICE, "Old", source, [one], uid_validity=9, uid_next=20))
    wait(store.imports.imported_keys(ALICE, source))
    deleted = wait(store.vault.deleted(ALICE, mailbox="INBOX"))
    wait(store.vault.undelete(ALICE, [deleted[0].vault_id]))
    wait(store.create_mailbox(ALICE, "a/b/c"))
    wait(store.set_subscribed(ALICE, "a/b", True))
    wait(store.set_subscribed(ALICE, "a/b", False))
    wait(store.rename_mailbox(ALICE, "a", "z"))
    wait(store.rename_mailbox(ALICE, "INBOX", "old"))
    wait(store.delete_mailbox(ALICE, "old"))
    wait(store.next_due_at())
    wait(store.next_release_at())
    wait(store.depth())
    queue = store.queue
    everything = QueueFilter(False, "@example.test", "carol@example.org", "example.org", NOW + 9)
    (first, *_) = wait(queue.listed(everything, after=None, limit=9))
    wait(queue.entry(first.queue_id))
    for change in (queue.hasten, queue.release, queue.remove):
        wait(queue.hold([first.queue_id], "why"))
        wait(change([first.queue_id]))
    wait(queue.start("@example.org"))
    for which in (QueueFilter(state=QueueState.WAITING), QueueFilter(message_id="0")):
        wait(queue.listed(which, after=None, limit=9))
    for item in house.lease():
        later = [Recorded(each.number, 1, NOW + 5, "451 later") for each in item.recipients]
        wait(store.record(item.queue_id, later, None))
    (rerouted, *_) = wait(queue.listed(QueueFilter(), after=None, limit=9))
    wait(queue.reroute([rerouted.queue_id], "smtp://other:25", QueueFilter()))
    for item in house.lease(NOW + 9, 2):
        done = [Recorded(number.number, 1, None, "250 ok") for number in item.recipients]
        wait(store.record(item.queue_id, done[:1], None))
    house.now += 90 * 86_400  # housekeeping is due, and what it prunes is old
    house.deliver("last", ALICE)
    house.deliver("after housekeeping", ALICE)


def test_I7_no_statement_goes_through_all_there_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: set[str] = set()

    def traced(open_it: Callable[[Path], sqlite3.Connection]) -> Callable[[Path], object]:
        def opened(path: Path) -> sqlite3.Connection:
            connection = open_it(path)
            connection.set_trace_callback(seen.add)
            return connection

        return opened

    for name in ("open_writer", "open_reader"):
        monkeypatch.setattr(engine, name, traced(getattr(engine, name)))
    with House(tmp_path, keep_deleted_s=86_400) as house:
        seen.clear()  # what opening a store looks at is another matter
        use_everything(house)
    connection = engine.open_reader(tmp_path / "store/index.sqlite")
    questionable = []
    explained = 0
    for statement in tuple(seen):
        if not statement.startswith(("SELECT", "INSERT", "UPDATE", "DELETE")):
            continue
        explained += 1
        for *_, step in connection.execute(f"EXPLAIN QUERY PLAN {statement}").fetchall():
            scan = SCAN.match(step)
            if scan is None or scan[1] not in GROWING or scan[2] in HOLDS_LITTLE:
                continue
            if not any(bounded in statement for bounded in BOUNDED):
                questionable.append(f"{step}: {statement}")
    connection.close()
    assert not questionable, "\n".join(questionable)
    assert explained > 100  # it is not the trace that found nothing


@pytest.mark.parametrize(
    ("index", "condition", "flag"),
    [
        ("messages_unseen", "(flags & 1) = 0", "\\Seen"),
        ("messages_deleted", "(flags & 8) <> 0", "\\Deleted"),
    ],
)
def test_the_partial_indexes_are_those_of_their_flags(
    index: str, condition: str, flag: str, tmp_path: Path
) -> None:
    """The bits are spelled out in schema and statements; here is what they mean."""
    assert f"& {1 << SYSTEM_FLAGS.index(flag)})" in condition
    with House(tmp_path):
        connection = engine.open_reader(tmp_path / "store/index.sqlite")
        ((*_, step),) = connection.execute(
            f"EXPLAIN QUERY PLAN SELECT uid FROM messages{engine.by_index(index)}"
            f" WHERE mailbox_id = ? AND {condition}",
            (1,),
        ).fetchall()
        connection.close()
    assert f"INDEX {index} (mailbox_id=?)" in step


def _version_3_steps(folder: Path, messages: int) -> int:
    def fill(connection: sqlite3.Connection) -> None:
        connection.execute(
            "INSERT INTO mailboxes VALUES (1, 'a11ce', 'INBOX', '', 7, ?, ?, 1, ?, 0, 0)",
            (2 * messages + 1, 4 * messages, messages),
        )
        connection.execute(
            "INSERT INTO messages (mailbox_id, uid, modseq, created_modseq, flags, keywords,"
            f" internal_date, size_octets, blob_id) {counted(messages)}"
            " SELECT 1, 2 * i, i + 1, i + 1, 1, '', 0, 0, 1 FROM n"
        )
        connection.execute(
            "INSERT INTO expunged (mailbox_id, modseq, uid)"
            f" {counted(messages)} SELECT 1, {2 * messages} + i, 2 * i - 1 FROM n"
        )

    return migration_steps(folder, 2, fill)


def test_bringing_an_old_store_up_to_date_costs_what_it_holds(tmp_path: Path) -> None:
    """A mailbox from which every second message went: each gap has a row in the old table."""
    few, many = (_version_3_steps(tmp_path / str(n), n) for n in (2_000, 8_000))
    assert few > 0
    assert many < 6 * few
