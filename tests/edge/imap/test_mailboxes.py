"""Mailboxes: opening, listing, making, naming, removing, subscribing, counting."""

from __future__ import annotations

import pytest

from gateway.core.errors import MailboxLimit
from tests.support.imap_client import Bench


def names(lines: list[bytes]) -> list[bytes]:
    return [line.rpartition(b'"/" ')[2] for line in lines if line.startswith(b"* L")]


def test_select_tells_all_a_client_needs(bench: Bench) -> None:
    bench.deliver(2, flags=frozenset({"\\Seen"}))
    bench.deliver(1, flags=frozenset({"$Work"}))
    flags = b"\\Seen \\Answered \\Flagged \\Deleted \\Draft $Work"
    assert bench.log_in().say(b"SELECT inbox") == [
        b"* FLAGS (" + flags + b")",
        b"* OK [PERMANENTFLAGS (" + flags + b" \\*)] Flags kept",
        b"* 3 EXISTS",
        b"* 3 RECENT",
        b"* OK [UIDVALIDITY 1001] UIDs valid",
        b"* OK [UIDNEXT 4] Next UID",
        b"* OK [UNSEEN 3] First unseen",
        b"T OK [READ-WRITE] Selected",
    ]


def test_examine_offers_no_permanent_flags(bench: Bench) -> None:
    lines = bench.log_in().say(b"EXAMINE INBOX")
    assert b"* OK [PERMANENTFLAGS ()] Read-only mailbox" in lines
    assert lines[-1] == b"T OK [READ-ONLY] Opened for reading only"


def test_a_failed_select_leaves_the_old_mailbox(bench: Bench) -> None:
    client = bench.select()
    assert client.last(b"SELECT Nowhere").startswith(b"T NO [NONEXISTENT]")
    assert client.say(b"CHECK") == [b"T BAD CHECK is not possible when authenticated"]
    assert not any(bench.store.watchers.values())


def test_list_has_special_uses_children_and_missing_parents(bench: Bench) -> None:
    client = bench.log_in()
    for name in (b"Projects/2024/Alpha", b"Projects/2025"):
        assert client.last(b"CREATE " + name) == b"T OK Mailbox created"
    assert client.say(b'LIST "" "*"') == [
        b'* LIST (\\HasNoChildren \\Archive) "/" "Archive"',
        b'* LIST (\\HasNoChildren \\Drafts) "/" "Drafts"',
        b'* LIST (\\HasNoChildren) "/" "INBOX"',
        b'* LIST (\\HasNoChildren \\Junk) "/" "Junk"',
        b'* LIST (\\HasChildren \\Noselect) "/" "Projects"',
        b'* LIST (\\HasChildren \\Noselect) "/" "Projects/2024"',
        b'* LIST (\\HasNoChildren) "/" "Projects/2024/Alpha"',
        b'* LIST (\\HasNoChildren) "/" "Projects/2025"',
        b'* LIST (\\HasNoChildren \\Sent) "/" "Sent"',
        b'* LIST (\\HasNoChildren \\Trash) "/" "Trash"',
        b"T OK Mailboxes listed",
    ]
    assert names(client.say(b'LIST "" %'))[-3:] == [b'"Projects"', b'"Sent"', b'"Trash"']
    assert names(client.say(b'LIST "Projects/" %')) == [b'"Projects/2024"', b'"Projects/2025"']
    assert names(client.say(b'LIST "" (inbox "Pro*/Al*")')) == [
        b'"INBOX"',
        b'"Projects/2024/Alpha"',
    ]


def test_the_separator(bench: Bench) -> None:
    assert bench.log_in().say(b'LIST "" ""') == [
        b'* LIST (\\Noselect) "/" ""',
        b"T OK Separator told",
    ]
    assert bench.log_in().say(b'LSUB "" ""')[0] == b'* LSUB (\\Noselect) "/" ""'


def test_subscriptions(bench: Bench) -> None:
    client = bench.log_in()
    client.say(b"CREATE Lists/python")
    for name in (b"Lists/python", b"Sent"):
        assert client.last(b"SUBSCRIBE " + name) == b"T OK Subscribed"
    assert client.last(b"SUBSCRIBE Nowhere").startswith(b"T NO [NONEXISTENT]")
    assert client.say(b'LSUB "" *')[:-1] == [
        b'* LSUB () "/" "Lists/python"',
        b'* LSUB () "/" "Sent"',
    ]
    # RFC 3501 section 6.3.9: the parent stands in for what "%" cut off.
    assert client.say(b'LSUB "" %')[:-1] == [
        b'* LSUB (\\Noselect) "/" "Lists"',
        b'* LSUB () "/" "Sent"',
    ]
    assert b'* LIST (\\HasNoChildren \\Sent \\Subscribed) "/" "Sent"' in client.say(
        b'LIST "" * RETURN (SUBSCRIBED)'
    )
    client.say(b"DELETE Lists/python")
    assert names(client.say(b'LSUB "" *')) == [b'"Lists/python"', b'"Sent"']
    assert client.last(b"UNSUBSCRIBE Lists/python") == b"T OK Unsubscribed"
    assert names(client.say(b'LSUB "" *')) == [b'"Sent"']


def test_create_delete_and_rename(bench: Bench) -> None:
    client = bench.log_in()
    assert client.last(b"CREATE Work/") == b"T OK Mailbox created"
    assert client.last(b"CREATE Work").startswith(b"T NO [ALREADYEXISTS]")
    assert client.last(b"CREATE inbox").startswith(b"T NO [ALREADYEXISTS]")
    assert client.last(b"RENAME Work Play") == b"T OK Mailbox renamed"
    assert client.last(b"RENAME Work Play").startswith(b"T NO [NONEXISTENT]")
    assert client.last(b"DELETE Play") == b"T OK Mailbox deleted"
    assert client.last(b"DELETE Play").startswith(b"T NO [NONEXISTENT]")
    assert client.last(b"DELETE INBOX").startswith(b"T NO [CANNOT]")
    bench.store.fail("create_mailbox", MailboxLimit())
    assert client.last(b"CREATE Another").startswith(b"T NO [LIMIT]")


@pytest.mark.parametrize(
    "name",
    [
        b'"../../etc/passwd"',
        b"a//b",
        b"..",
        b'"a%b"',
        b"&Jjo",
        b'"#news"',
        b"&AC8-",
        b"{3+}\r\na\x7fb",
    ],
)
def test_I9_impossible_names_are_refused_by_every_command(bench: Bench, name: bytes) -> None:
    client = bench.log_in()
    for verb in (b"CREATE", b"SELECT", b"DELETE", b"SUBSCRIBE"):
        assert client.last(verb + b" " + name)[:4] in (b"T NO", b"T BA")
    assert "create_mailbox" not in bench.store.calls


def test_names_in_other_scripts(bench: Bench) -> None:
    client = bench.log_in()
    assert client.last(b'CREATE "Entw&APw-rfe"') == b"T OK Mailbox created"
    assert b'"Entw&APw-rfe"' in names(client.say(b'LIST "" Entw*'))


def test_I10_hostile_patterns_are_cheap(bench: Bench) -> None:
    client = bench.log_in()
    client.say(b"CREATE " + b"a" * 200)
    assert client.say(b'LIST "" "' + b"*a%" * 300 + b'b"') == [b"T OK Mailboxes listed"]


def test_status(bench: Bench) -> None:
    bench.deliver(2, flags=frozenset({"\\Seen"}))
    bench.deliver(1)
    client = bench.log_in()
    items = b"(MESSAGES RECENT UIDNEXT UIDVALIDITY UNSEEN)"
    assert client.say(b"STATUS inbox " + items) == [
        b'* STATUS "INBOX" (MESSAGES 3 RECENT 3 UIDNEXT 4 UIDVALIDITY 1001 UNSEEN 1)',
        b"T OK Status told",
    ]
    assert client.last(b"STATUS Nowhere (MESSAGES)").startswith(b"T NO [NONEXISTENT]")


def test_namespace(bench: Bench) -> None:
    assert bench.log_in().say(b"NAMESPACE") == [
        b'* NAMESPACE (("" "/")) NIL NIL',
        b"T OK Namespaces told",
    ]


def test_people_do_not_see_each_others_mailboxes(bench: Bench) -> None:
    alice, bob = bench.log_in("alice"), bench.log_in("bob")
    alice.say(b"CREATE Private")
    assert b'"Private"' not in names(bob.say(b'LIST "" *'))
    assert bob.last(b"SELECT Private").startswith(b"T NO [NONEXISTENT]")
