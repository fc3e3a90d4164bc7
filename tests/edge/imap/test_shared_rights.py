"""What each right lets people do in a shared mailbox (RFC 4314 section 4), command by command."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gateway.core.shared_mailboxes import FULL, READ, WRITE, Rights
from tests.edge.imap.shared_world import SharedBench
from tests.support.imap_client import MESSAGE, Client

OK, NOPERM, READ_ONLY, ABSENT = b"T OK", b"T NO [NOPERM]", b"T NO [READ-ONLY]", b"T NO ["

LITERAL = b"{%d+}\r\n%b" % (len(MESSAGE), MESSAGE)
COMMANDS = [
    # without any mailbox selected: command, nobody's, read, write, full
    (b"STATUS Shared/info (MESSAGES)", ABSENT, OK, OK, OK),
    (b"EXAMINE Shared/info", ABSENT, OK, OK, OK),
    (b"SELECT Shared/info/Done", ABSENT, OK, OK, OK),
    (b"SUBSCRIBE Shared/info", ABSENT, OK, OK, OK),
    (b"UNSUBSCRIBE Shared/info", OK, OK, OK, OK),
    (b"APPEND Shared/info " + LITERAL, ABSENT, NOPERM, OK, OK),
    (b"CREATE Shared/info/New", b"T NO [CANNOT]", NOPERM, OK, OK),
    (b"RENAME Shared/info/Done Shared/info/Old", ABSENT, NOPERM, NOPERM, OK),
    (b"DELETE Shared/info/Done", ABSENT, NOPERM, NOPERM, OK),
]
SELECTED = [
    # with Shared/info selected: read, write
    (b"FETCH 1 (FLAGS BODY[])", OK, OK),
    (b"SEARCH ALL", OK, OK),
    (b"CHECK", OK, OK),
    (b"COPY 1 Archive", OK, OK),
    (b"COPY 1 Shared/info/Done", NOPERM, OK),
    (b"STORE 1 +FLAGS (\\Seen)", READ_ONLY, OK),
    (b"UID STORE 1 FLAGS (\\Deleted $work)", READ_ONLY, OK),
    (b"MOVE 1 Archive", READ_ONLY, OK),
    (b"UID EXPUNGE 1", READ_ONLY, OK),
    (b"EXPUNGE", READ_ONLY, OK),
    (b"CLOSE", OK, OK),
]


@pytest.fixture
def bench() -> Iterator[SharedBench]:
    bench = SharedBench()
    yield bench
    bench.close()


@pytest.mark.parametrize("position", range(4), ids=["none", "read", "write", "full"])
@pytest.mark.parametrize("row", COMMANDS, ids=lambda row: row[0].split(b"\r")[0].decode())
def test_rights_decide_about_names(
    bench: SharedBench, row: tuple[bytes, ...], position: int
) -> None:
    granted: tuple[Rights, ...] = (frozenset(), READ, WRITE, FULL)
    bench.grant(granted[position])
    answer = bench.log_in().last(row[0])
    assert answer.startswith(row[1 + position]), answer


@pytest.mark.parametrize(("position", "rights"), [(1, READ), (2, WRITE)], ids=["read", "write"])
@pytest.mark.parametrize("row", SELECTED, ids=lambda row: row[0].decode())
def test_rights_decide_in_the_selected_mailbox(
    bench: SharedBench, row: tuple[bytes, ...], position: int, rights: Rights
) -> None:
    bench.mail()
    bench.grant(rights)
    client = bench.log_in()
    assert client.last(b"SELECT Shared/info").startswith(OK)
    answer = client.last(row[0])
    assert answer.startswith(row[position]), answer


def test_who_may_only_read_changes_nothing_by_reading(bench: SharedBench) -> None:
    bench.mail()
    bench.grant(READ)
    client = bench.log_in()
    told = client.say(b"SELECT Shared/info")
    assert b"* OK [PERMANENTFLAGS ()] Read-only mailbox" in told
    assert told[-1] == b"T OK [READ-ONLY] Opened for reading only"
    client.say(b"FETCH 1 BODY[]")
    client.say(b"CLOSE")
    # Nor is \Recent taken from those who may write.
    bench.grant(WRITE)
    assert b"* 1 RECENT" in client.say(b"SELECT Shared/info")
    assert client.say(b"FETCH 1 FLAGS")[0] == b"* 1 FETCH (FLAGS (\\Recent))"


def test_appending_without_the_right_is_refused_before_the_message(bench: SharedBench) -> None:
    """SECURITY I12."""
    bench.grant(READ)
    client = bench.log_in()
    client.feed(b"a APPEND Shared/info {45}\r\n")
    assert client.lines() == [b"a NO [NOPERM] You may not do this in this shared mailbox"]
    assert not bench.store.bodies


def test_a_right_that_is_lost_while_a_message_comes_counts(bench: SharedBench) -> None:
    bench.grant(WRITE)
    client = bench.log_in()
    client.feed(b"a APPEND Shared/info {45}\r\n")
    assert client.lines() == [b"+ OK"]
    bench.grant(READ)
    client.feed(MESSAGE + b"\r\n")
    assert client.lines() == [b"a NO [NOPERM] You may not do this in this shared mailbox"]
    assert all(body.discarded for body in bench.store.bodies)


def names(client: Client, command: bytes) -> list[bytes]:
    return [line.rpartition(b'"/" ')[2] for line in client.say(command) if line[:3] == b"* L"]


def test_what_is_made_in_a_shared_mailbox_is_the_groups(bench: SharedBench) -> None:
    bench.grant(FULL)
    bench.grant(READ, "bob")
    alice, bob = bench.log_in(), bench.log_in("bob")
    assert alice.last(b"CREATE Shared/info/Old/2025").startswith(OK)
    assert alice.last(b"RENAME Shared/info/Done Shared/info/Old/2026").startswith(OK)
    assert b'"Shared/info/Old/2026"' in names(bob, b'LIST "" "Shared/info/Old/%"')
    assert alice.last(b"DELETE Shared/info/Old/2026").startswith(OK)
    assert names(bob, b'LIST "" "Shared/info/Old/%"') == [b'"Shared/info/Old/2025"']


@pytest.mark.parametrize(
    "command",
    [
        b"DELETE Shared/info",
        b"RENAME Shared/info Shared/info/Elsewhere",
        b"RENAME Shared/info Mine",
        b"RENAME Shared/info/Done Mine",
        b"RENAME Archive Shared/info/Archive2",
        b"RENAME Archive Shared/Archive",
    ],
)
def test_no_mailbox_changes_its_owner_and_a_group_keeps_its_inbox(
    bench: SharedBench, command: bytes
) -> None:
    bench.grant(FULL)
    assert bench.log_in().last(command).startswith(b"T NO [CANNOT]")
    assert "rename_mailbox" not in bench.store.calls
