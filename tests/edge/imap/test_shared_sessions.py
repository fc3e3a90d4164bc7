"""Several people in one shared mailbox: what they hear of each other, and when one is out."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from twisted.internet.defer import Deferred

from gateway.core.errors import DirectoryUnavailable, OverQuota
from gateway.core.quota import Quota
from gateway.core.shared_mailboxes import NOTHING, READ, WRITE
from gateway.edge.imap.access import LOOK_EVERY_S
from tests.edge.imap.shared_world import INFO, SharedBench
from tests.support.imap_client import MESSAGE, Client
from tests.support.quota_fakes import FakeQuotaStore

OUT = b"* BYE You do not share the selected mailbox any more"


@pytest.fixture
def bench() -> Iterator[SharedBench]:
    bench = SharedBench(alice=WRITE, bob=WRITE)
    yield bench
    bench.close()


def enter(bench: SharedBench, login: str = "alice") -> Client:
    client = bench.log_in(login)
    assert client.last(b"SELECT Shared/info").startswith(b"T OK")
    assert client.last(b"NOOP") == b"T OK Done"
    return client


def test_flags_are_everybodys_also_seen(bench: SharedBench) -> None:
    bench.mail(2)
    alice, bob = enter(bench), enter(bench, "bob")
    alice.say(b"FETCH 1 BODY[]")
    assert b"* 1 FETCH (FLAGS (\\Seen))" in bob.say(b"STORE 2 +FLAGS (\\Flagged $taken)")
    assert b"* 2 FETCH (FLAGS (\\Flagged $taken \\Recent))" in alice.say(b"NOOP")


def test_what_one_expunges_or_moves_away_goes_for_all(bench: SharedBench) -> None:
    bench.mail(3)
    alice, bob = enter(bench), enter(bench, "bob")
    bob.say(b"STORE 2 +FLAGS.SILENT (\\Deleted)")
    assert b"* 2 EXPUNGE" in bob.say(b"EXPUNGE")
    assert b"* 2 EXPUNGE" in alice.say(b"NOOP")
    told = alice.say(b"MOVE 1 Archive")
    assert told[0].startswith(b"* OK [COPYUID ") and b"* 1 EXPUNGE" in told
    assert b"* 1 EXPUNGE" in bob.say(b"NOOP")
    assert alice.say(b"STATUS Archive (MESSAGES)")[0] == b'* STATUS "Archive" (MESSAGES 1)'
    assert bob.say(b"STATUS Archive (MESSAGES)")[0] == b'* STATUS "Archive" (MESSAGES 0)'


def test_mail_and_others_are_heard_of_while_idling(bench: SharedBench) -> None:
    alice, bob = enter(bench), enter(bench, "bob")
    alice.feed(b"i IDLE\r\n")
    alice.take()
    bench.mail()
    assert alice.lines() == [b"* 1 EXISTS", b"* 1 RECENT"]
    bob.say(b"NOOP")
    bob.say(b"STORE 1 +FLAGS (\\Answered)")
    assert alice.lines() == [b"* 1 FETCH (FLAGS (\\Answered \\Recent))"]
    alice.feed(b"DONE\r\n")
    assert alice.lines() == [b"i OK Idling ended"]


def test_messages_go_both_ways(bench: SharedBench) -> None:
    bench.deliver_to("alice", MESSAGE)
    client = bench.log_in()
    client.say(b"SELECT INBOX")
    assert client.last(b"COPY 1 Shared/info").startswith(b"T OK [COPYUID ")
    assert client.last(b"MOVE 1 Shared/info/Done").startswith(b"T OK")
    client.feed(b"a APPEND Shared/info/Sent {45}\r\n" + MESSAGE + b"\r\n")
    assert client.lines()[-1].startswith(b"a OK [APPENDUID ")
    for name, count in ((b"Shared/info", 1), (b"Shared/info/Done", 1), (b"Shared/info/Sent", 1)):
        assert client.say(b"STATUS %b (MESSAGES)" % name)[0] == (
            b'* STATUS "%b" (MESSAGES %d)' % (name, count)
        )


def test_a_deleted_shared_mailbox_is_gone_for_who_is_in_it(bench: SharedBench) -> None:
    bench.grant(WRITE | {"x"}, "bob")
    alice, bob = bench.log_in(), bench.log_in("bob")
    for client in (alice, bob):
        client.say(b"SELECT Shared/info/Done")
    assert bob.last(b"DELETE Shared/info/Done") == b"T OK Mailbox deleted"
    assert bob.last(b"NOOP") == b"T OK Done"
    assert alice.say(b"NOOP") == [b"* BYE The selected mailbox was deleted"]


# -- who is out


def test_who_has_lost_membership_is_out_within_half_a_minute(bench: SharedBench) -> None:
    bench.mail()
    client, stays = enter(bench), enter(bench, "bob")
    bench.clock.advance(LOOK_EVERY_S)
    assert client.last(b"FETCH 1 FLAGS") == b"T OK Fetched"
    bench.grant(NOTHING)
    bench.clock.advance(LOOK_EVERY_S)
    assert client.lines() == [OUT] and client.closed
    assert stays.last(b"FETCH 1 FLAGS") == b"T OK Fetched"
    again = bench.log_in()
    assert again.last(b"SELECT Shared/info").startswith(b"T NO [NONEXISTENT]")
    assert b'"Shared' not in b"".join(again.say(b'LIST "" *'))


def test_who_idles_is_out_as_well_and_hears_nothing_more(bench: SharedBench) -> None:
    client = enter(bench)
    client.feed(b"i IDLE\r\n")
    client.take()
    bench.grant(NOTHING)
    bench.clock.advance(LOOK_EVERY_S)
    assert client.lines() == [OUT] and client.closed
    bench.mail()
    assert client.lines() == []


def test_a_command_under_way_ends_with_it(bench: SharedBench) -> None:
    bench.mail()
    client = enter(bench)
    bench.store.hold("search")
    client.feed(b"s SEARCH ALL\r\nt FETCH 1 BODY[]\r\n")
    bench.grant(NOTHING)
    bench.clock.advance(LOOK_EVERY_S)
    assert client.lines() == []
    bench.store.release("search")
    assert client.lines() == [b"* SEARCH 1", OUT]


def test_who_may_only_read_from_now_on_is_told(bench: SharedBench) -> None:
    bench.mail()
    client = enter(bench)
    bench.grant(READ)
    bench.clock.advance(LOOK_EVERY_S)
    assert client.lines() == [b"* OK [READ-ONLY] You may only read here by now"]
    assert client.last(b"STORE 1 +FLAGS (\\Seen)").startswith(b"T NO [READ-ONLY]")
    assert client.last(b"FETCH 1 BODY[]") == b"T OK Fetched"
    assert b"* OK [UNSEEN 1] First unseen" in client.say(b"EXAMINE Shared/info")
    bench.clock.advance(LOOK_EVERY_S)
    assert client.lines() == []


def test_an_outage_ends_nobodys_session(bench: SharedBench) -> None:
    """SECURITY L15."""
    bench.mail()
    client = enter(bench)
    bench.shares.trouble = DirectoryUnavailable()
    for _ in range(5):
        bench.clock.advance(LOOK_EVERY_S)
    assert client.last(b"FETCH 1 FLAGS") == b"T OK Fetched"
    bench.shares.trouble = None
    bench.grant(NOTHING)
    bench.clock.advance(LOOK_EVERY_S)
    assert client.lines() == [OUT]


def test_nobody_is_looked_at_who_has_left_the_mailbox(bench: SharedBench) -> None:
    client = enter(bench)
    assert client.last(b"SELECT INBOX").startswith(b"T OK")
    bench.grant(NOTHING)
    asked = bench.shares.asked
    bench.clock.advance(3 * LOOK_EVERY_S)
    assert client.last(b"NOOP") == b"T OK Done"
    assert bench.shares.asked == asked


def test_an_answer_that_comes_after_the_mailbox_was_left_changes_nothing(
    bench: SharedBench,
) -> None:
    client = enter(bench)
    waiting: Deferred[None] = Deferred()
    finds = bench.shares.find

    async def slow(*arguments: object) -> object:
        await waiting
        return await finds(*arguments)  # type: ignore[arg-type]

    bench.shares.find = slow  # type: ignore[assignment, method-assign]
    bench.clock.advance(LOOK_EVERY_S)
    assert client.last(b"SELECT INBOX").startswith(b"T OK")
    bench.grant(NOTHING)
    waiting.callback(None)
    assert client.last(b"NOOP") == b"T OK Done" and not client.closed


# -- room


def test_the_groups_own_bounds_count(bench: SharedBench) -> None:
    quota = FakeQuotaStore()
    bench.use_quota(quota)
    quota.kept[INFO] = (100, 1)
    quota.quotas[INFO] = Quota(octets=120)
    client = bench.log_in()
    client.feed(b"a APPEND Shared/info {45}\r\n")
    assert client.lines()[0].startswith(b"a NO [OVERQUOTA] ")
    bench.store.fail("copy", OverQuota((INFO,)))
    bench.deliver_to("alice", MESSAGE)
    client.say(b"SELECT INBOX")
    assert client.last(b"COPY 1 Shared/info").startswith(b"T NO [OVERQUOTA] ")
    bench.store.fail("copy", None)
