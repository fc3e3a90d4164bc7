"""Names of shared mailboxes: how they are listed, and that they lead nowhere else."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from twisted.internet.defer import Deferred

from gateway.core.errors import DirectoryUnavailable, ExpansionFailed
from gateway.core.ids import AccountId
from gateway.core.shared_mailboxes import FULL, READ, WRITE
from gateway.edge.imap.places import may_mean_shared
from tests.edge.imap.shared_world import SharedBench
from tests.support.imap_client import Bench, Client


@pytest.fixture
def bench() -> Iterator[SharedBench]:
    """Alice shares info@'s mailbox, bob does not."""
    bench = SharedBench(alice=WRITE)
    yield bench
    bench.close()


def listed(client: Client, command: bytes = b'LIST "" *') -> list[bytes]:
    return [line.rpartition(b'"/" ')[2] for line in client.say(command) if line[:3] == b"* L"]


def test_the_namespace_is_there_where_anything_is_shared(bench: SharedBench) -> None:
    shown = b'* NAMESPACE (("" "/")) NIL (("Shared/" "/"))'
    assert bench.log_in().say(b"NAMESPACE") == [shown, b"T OK Namespaces told"]
    assert bench.shares.asked == 0
    plain = Bench()
    assert plain.log_in().say(b"NAMESPACE")[0] == b'* NAMESPACE (("" "/")) NIL NIL'
    plain.close()


def test_shared_mailboxes_are_listed_without_special_uses(bench: SharedBench) -> None:
    lines = bench.log_in().say(b'LIST "" "Shar*"')
    assert lines[:3] == [
        b'* LIST (\\HasChildren \\Noselect) "/" "Shared"',
        b'* LIST (\\HasChildren) "/" "Shared/info"',
        b'* LIST (\\HasNoChildren) "/" "Shared/info/Archive"',
    ]
    assert b'* LIST (\\HasNoChildren) "/" "Shared/info/Sent"' in lines
    assert b'"Shared"' not in listed(bench.log_in("bob"))


def test_nobody_is_asked_for_names_elsewhere(bench: SharedBench) -> None:
    client = bench.log_in()
    for command in (b"SELECT INBOX", b"STATUS Sent (MESSAGES)", b'LIST "" INBOX', b'LSUB "" *'):
        assert client.last(command).startswith(b"T OK")
    assert bench.shares.asked == 0


@pytest.mark.parametrize(
    ("pattern", "may"),
    [("*", True), ("%", True), ("S%", True), ("Shared", True), ("Shared/x", True), ("Sh", False),
     ("INBOX", False), ("INBOX*", False), ("Sent", False), ("sha*", False), ("", False)],
)  # fmt: skip
def test_which_patterns_could_mean_them(pattern: str, may: bool) -> None:
    assert may_mean_shared(pattern) is may


def test_subscriptions_are_each_persons_own(bench: SharedBench) -> None:
    bench.grant(READ, "bob")
    alice, bob = bench.log_in(), bench.log_in("bob")
    assert alice.last(b"SUBSCRIBE Shared/info/Done") == b"T OK Subscribed"
    assert listed(alice, b'LSUB "" "Shared/*"') == [b'"Shared/info/Done"']
    assert listed(bob, b'LSUB "" "Shared/*"') == []
    told = alice.say(b'LIST "" "Shared/info/D%" RETURN (SUBSCRIBED)')
    assert told[0] == b'* LIST (\\HasNoChildren \\Subscribed) "/" "Shared/info/Done"'
    assert alice.last(b"UNSUBSCRIBE Shared/info/Done") == b"T OK Unsubscribed"
    assert listed(alice, b'LSUB "" "Shared/*"') == []


def test_while_nobody_can_say_own_mailboxes_are_told_and_no_other_seems_gone(
    bench: SharedBench,
) -> None:
    client = bench.log_in()
    bench.shares.trouble = DirectoryUnavailable()
    told = client.say(b'LIST "" *')
    assert b'* LIST (\\HasNoChildren) "/" "INBOX"' in told
    assert told[-1] == b"T NO [UNAVAILABLE] Shared mailboxes cannot be told at the moment"
    assert client.last(b"SELECT Shared/info").startswith(b"T NO [UNAVAILABLE]")
    bench.shares.trouble = ExpansionFailed(name="info", reason="too large")
    assert client.last(b"SELECT Shared/info").startswith(b"T NO [UNAVAILABLE]")
    assert client.last(b"SELECT INBOX").startswith(b"T OK")


def test_I9_names_lead_to_no_mailbox_of_anybody_else(bench: SharedBench) -> None:
    bench.deliver_to("bob", b"Subject: private\r\n\r\n\r\n")
    bench.grant(FULL)
    client = bench.log_in()
    for name in (
        b"Shared/bob", b"Shared/../bob", b"Shared/info/../../bob/INBOX", b"Shared//info",
        b"Shared/group=info", b"Shared/group=info/INBOX", b"Shared/info@example.test",
        b"shared/info", b"Shared/INFO", b"Shared/info/INBOX", b"Shared/info/inbox",
        b"Shared/info/info", b"Shared", b'"Shared/"', b'"Shared/info/"', b"Shared/&AGk-nfo",
        b"Shared/info/bob", b"Shared/./info",
    ):  # fmt: skip
        for verb in (b"SELECT", b"EXAMINE", b"DELETE", b"SUBSCRIBE", b"STATUS"):
            items = b" (MESSAGES)" if verb == b"STATUS" else b""
            assert client.last(verb + b" " + name + items)[:4] in (b"T NO", b"T BA"), name
    assert "delete_mailbox" in bench.store.calls, "asked of alice's own account, in vain"
    assert not any(box.deleted for box in bench.store.boxes.values())


def test_below_a_groups_inbox_there_is_one_name_too(bench: SharedBench) -> None:
    bench.grant(FULL)
    client = bench.log_in()
    assert client.last(b"CREATE Shared/info/inbox/old").startswith(b"T OK")
    assert b'* LIST (\\HasNoChildren) "/" "Shared/info/INBOX/old"' in client.say(b'LIST "" "*"')
    for name in (b"Shared/info/INBOX/old", b"Shared/info/Inbox/old"):
        assert client.last(b"SELECT " + name).startswith(b"T OK")
    assert client.last(b"CREATE Shared/info/INBOX/old").startswith(b"T NO")


def test_own_mailboxes_called_so_stay_and_new_ones_are_not_made(bench: SharedBench) -> None:
    alice, bob = AccountId("alice"), AccountId("bob")
    for who in (alice, bob):
        Deferred.fromCoroutine(bench.store.ensure_account(who))
        for name in ("Shared", "Shared/info", "Shared/old"):
            Deferred.fromCoroutine(bench.store.create_mailbox(who, name))
    bench.deliver(2, account_id="bob", name="Shared/info")
    bench.mail()
    client = bench.log_in("bob")
    assert b"* 2 EXISTS" in client.say(b"SELECT Shared/info"), "not shared with bob: his own"
    client = bench.log_in()
    assert b"* 1 EXISTS" in client.say(b"SELECT Shared/info"), "hidden by what is shared"
    assert client.last(b"SELECT Shared/old").startswith(b"T OK")
    assert b'* LIST (\\HasChildren) "/" "Shared"' in client.say(b'LIST "" Shared')
    for command in (
        b"CREATE Shared/mine",
        b"RENAME Shared/old Shared/new",
        b"CREATE Shared/info/x/",
    ):
        made = client.last(command)
        assert made.startswith(b"T NO [CANNOT]" if b"info" not in command else b"T OK"), made
    assert client.last(b"RENAME Shared/old Mine").startswith(b"T OK")
    assert client.last(b"DELETE Shared").startswith(b"T OK")
