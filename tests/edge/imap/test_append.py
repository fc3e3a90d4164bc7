"""APPEND: a message streams in, or is refused before its first octet."""

from __future__ import annotations

from dataclasses import replace

from gateway.core.errors import MailboxLimit, OverQuota, StoreFull, StoreUnavailable
from gateway.core.ids import AccountId
from gateway.core.quota import Quota
from tests.support.imap_client import MESSAGE, Bench
from tests.support.quota_fakes import FakeQuotaStore


def test_a_message_is_stored_as_it_came(bench: Bench) -> None:
    client = bench.log_in()
    client.feed(b'a APPEND Drafts (\\Seen $Work) "05-Jan-2020 10:00:00 +0100" {45}\r\n')
    assert client.lines() == [b"+ OK"]
    client.feed(MESSAGE + b"\r\n")
    assert client.lines() == [b"a OK [APPENDUID 1002 1] Message stored"]
    client.say(b"SELECT Drafts")
    assert client.say(b"FETCH 1 (FLAGS INTERNALDATE RFC822.SIZE)")[0] == (
        b"* 1 FETCH (FLAGS (\\Seen $Work \\Recent)"
        b' INTERNALDATE " 5-Jan-2020 09:00:00 +0000" RFC822.SIZE 45)'
    )
    client.feed(b"b FETCH 1 BODY.PEEK[]\r\n")
    assert MESSAGE in client.take()


def test_without_a_date_it_is_now(bench: Bench) -> None:
    client = bench.log_in()
    client.feed(b"a APPEND INBOX {3+}\r\nx\r\n\r\n")
    client.say(b"SELECT INBOX")
    assert b'"14-Nov-2023 22:13:20 +0000"' in client.say(b"FETCH 1 INTERNALDATE")[0]


def test_the_selected_mailbox_shows_it_to_everybody(bench: Bench) -> None:
    one, two = bench.select(), bench.select()
    one.feed(b"a APPEND INBOX {3+}\r\nx\r\n\r\n")
    assert one.lines() == [
        b"* 1 EXISTS",
        b"* 1 RECENT",
        b"a OK [APPENDUID 1001 1] Message stored",
    ]
    assert two.say(b"NOOP")[0] == b"* 1 EXISTS"


def test_I12_no_go_ahead_for_what_will_be_refused(bench: Bench) -> None:
    bench.services = replace(
        bench.services, limits=replace(bench.services.limits, message_octets=1_000)
    )
    client = bench.log_in()
    assert client.say(b"APPEND INBOX {1001}") == [
        b"T NO [TOOBIG] The message is larger than allowed here"
    ]
    assert client.say(b"APPEND Nowhere {10}") == [b"T NO [TRYCREATE] There is no such mailbox"]
    assert client.last(b"APPEND INBOX {0}").startswith(b"T BAD")
    assert client.last(b'APPEND INBOX "32-Foo-2020 00:00:00 +0000" {10}').startswith(b"T BAD")
    bench.store.fail("find_mailbox", StoreUnavailable())
    assert client.last(b"APPEND INBOX {10}").startswith(b"T NO [UNAVAILABLE]")
    assert bench.store.bodies == []
    assert client.say(b"NOOP") == [b"T OK Done"]


def test_I4_the_octets_of_a_refused_message_are_no_command(bench: Bench) -> None:
    client = bench.log_in()
    client.feed(b"a APPEND Nowhere {8+}\r\nx LOGOUT\r\nb NOOP\r\n")
    assert client.lines() == [b"a NO [TRYCREATE] There is no such mailbox", b"b OK Done"]


def test_a_stranger_cannot_send_a_message(bench: Bench) -> None:
    client = bench.connect()
    client.take()
    assert client.say(b"APPEND INBOX {10}") == [
        b"T BAD APPEND is not possible when not authenticated"
    ]
    assert bench.store.bodies == []


def test_I12_a_connection_lost_in_the_message_leaves_nothing(bench: Bench) -> None:
    client = bench.log_in()
    client.feed(b"a APPEND INBOX {100}\r\n" + b"x" * 50)
    client.lose()
    (body,) = bench.store.bodies
    assert body.discarded
    assert "append" not in bench.store.calls


def test_I12_nul_and_trailing_text_are_bad_and_leave_nothing(bench: Bench) -> None:
    client = bench.log_in()
    client.feed(b"a APPEND INBOX {5}\r\nab\0cd\r\n")
    assert client.lines()[-1].startswith(b"a BAD")
    client.feed(b"b APPEND INBOX {2}\r\nab x\r\n")
    assert client.lines()[-1].startswith(b"b BAD")
    assert all(body.discarded for body in bench.store.bodies)
    assert "append" not in bench.store.calls
    assert client.say(b"NOOP") == [b"T OK Done"]


def test_I12_disk_full_and_too_many_keywords(bench: Bench) -> None:
    client = bench.log_in()
    for error, code in ((StoreFull(), b"[LIMIT]"), (MailboxLimit(), b"[LIMIT]")):
        bench.store.fail("append", error)
        client.feed(b"a APPEND INBOX {2}\r\nab\r\n")
        assert client.lines()[-1].startswith(b"a NO " + code)
        assert bench.store.bodies[-1].discarded


def test_the_mailbox_vanishes_while_the_message_comes(bench: Bench) -> None:
    one, two = bench.log_in(), bench.log_in()
    one.feed(b"a APPEND Archive {2}\r\na")
    two.say(b"DELETE Archive")
    one.feed(b"b\r\n")
    assert one.lines()[-1].startswith(b"a NO [TRYCREATE]")


def test_N1_a_message_that_stops_coming(bench: Bench) -> None:
    client = bench.log_in()
    client.feed(b"a APPEND INBOX {1000000}\r\n" + b"x" * 50)
    client.take()
    bench.clock.advance(299)
    client.feed(b"x")
    bench.clock.advance(299)
    assert not client.closed
    bench.clock.advance(2)
    assert client.take().startswith(b"* BYE")


def test_N1_a_message_that_comes_too_slowly(bench: Bench) -> None:
    client = bench.log_in()
    client.feed(b"a APPEND INBOX {100}\r\n")
    client.take()
    for _ in range(10):
        bench.clock.advance(40)
        client.feed(b"x")
    assert client.closed
    client.lose()
    assert bench.store.bodies[0].discarded


def test_after_the_message_the_usual_time_counts_again(bench: Bench) -> None:
    client = bench.log_in()
    client.feed(b"a APPEND INBOX {1}\r\nx\r\n")
    client.take()
    bench.clock.advance(1_700)
    assert client.say(b"NOOP") == [b"T OK Done"]


def test_a_large_message_passes_in_pieces(bench: Bench) -> None:
    bench.bytewise = False
    client = bench.log_in()
    client.feed(b"a APPEND INBOX {1000000}\r\n")
    for _ in range(100):
        client.feed(b"y" * 10_000)
    client.feed(b"\r\nb NOOP\r\n")
    assert [line[:4] for line in client.lines()] == [b"+ OK", b"a OK", b"b OK"]
    assert bench.store.bodies[0].size_octets == 1_000_000


def test_a_full_mailbox_is_told_before_the_first_octet_or_after_the_last(bench: Bench) -> None:
    """RFC 9208 section 4.3.1, RFC 5530 section 3: NO [OVERQUOTA]."""
    client = bench.log_in()
    bench.store.fail("append", OverQuota((AccountId("alice"),)))
    client.feed(b"a APPEND INBOX {3+}\r\nx\r\n\r\n")
    assert client.lines() == [b"a NO [OVERQUOTA] The mailbox is full"]
    quota = FakeQuotaStore()
    quota.quotas[AccountId("alice")] = Quota(octets=100)
    quota.kept[AccountId("alice")] = (98, 1)
    bench.services = replace(bench.services, quota=quota)
    client = bench.log_in()
    client.feed(b"a APPEND INBOX {3}\r\n")
    assert client.lines() == [b"a NO [OVERQUOTA] The mailbox is full"]
    client.feed(b"b APPEND INBOX {2}\r\n")
    assert client.lines() == [b"+ OK"]
