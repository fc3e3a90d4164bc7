"""POP3: the maildrop, message numbers, long replies, order, and the end of a session."""

from __future__ import annotations

import pytest
from twisted.internet.defer import Deferred

from gateway.core.errors import MessageGone, StoreDamaged, StoreUnavailable
from gateway.core.ids import Uid
from gateway.edge.pop3_transaction import CHUNK_OCTETS
from gateway.wire.pop3 import COMMANDS, State, parse
from tests.support.pop3_fakes import Pop3Bench

ONE = b"Subject: one\r\n\r\nfirst\r\n.dot\r\n"
TWO = b"Subject: two\r\n\r\nsecond"


def test_every_registered_command_is_answered() -> None:
    arguments = {"USER": b" a", "AUTH": b"", "TOP": b" 1 0", "RETR": b" 1", "DELE": b" 1"}
    for row in COMMANDS.values():
        line = row.keyword.encode() + arguments.get(row.keyword, b"")
        bench = Pop3Bench(ONE)
        client = bench.login() if State.TRANSACTION in row.states else bench.connect()
        assert client.say(line)[:4] in (b"+OK ", b"+OK\r", b"-ERR")
        parse(line, next(iter(row.states)))


def test_rfc1939_session() -> None:
    client = Pop3Bench(ONE, TWO).login()
    assert client.say(b"STAT") == b"+OK 2 51\r\n"
    assert client.say(b"LIST") == b"+OK 2 messages (51 octets)\r\n1 29\r\n2 22\r\n.\r\n"
    assert client.say(b"LIST 2") == b"+OK 2 22\r\n"
    assert client.say(b"UIDL 2") == b"+OK 2 777.11\r\n"
    assert client.say(b"RETR 1") == (
        b"+OK 29 octets\r\nSubject: one\r\n\r\nfirst\r\n..dot\r\n.\r\n"
    )
    assert client.say(b"RETR 2") == b"+OK 22 octets\r\nSubject: two\r\n\r\nsecond\r\n.\r\n"
    assert client.say(b"TOP 1 1").endswith(b"\r\nSubject: one\r\n\r\nfirst\r\n.\r\n")
    assert client.say(b"TOP 2 0").endswith(b"\r\nSubject: two\r\n\r\n.\r\n")
    assert client.say(b"NOOP") == b"+OK\r\n"


@pytest.mark.parametrize(
    "argument", [b"", b" 0", b" -1", b" 3", b" 4294967296", b" 1 2", b" x", b" 1"]
)
@pytest.mark.parametrize("verb", [b"RETR", b"DELE", b"LIST", b"UIDL", b"TOP"])
def test_P2_numbers(verb: bytes, argument: bytes) -> None:
    client = Pop3Bench(ONE, TWO).login()
    assert client.say(b"DELE 1") == b"+OK message 1 deleted\r\n"
    reply = client.say(verb + argument + (b" 5" if verb == b"TOP" and argument else b""))
    if verb in (b"LIST", b"UIDL") and not argument:
        assert reply.startswith(b"+OK 1 messages (22 octets)\r\n2 ")
    else:
        assert reply.startswith(b"-ERR ")


def test_P2_dele_rset_dele() -> None:
    bench = Pop3Bench(ONE, TWO)
    client = bench.login()
    client.say(b"DELE 1")
    assert client.say(b"STAT") == b"+OK 1 22\r\n"
    assert client.say(b"RSET") == b"+OK 2 messages (51 octets)\r\n"
    assert client.say(b"RETR 1").startswith(b"+OK")
    assert client.say(b"DELE 2") == b"+OK message 2 deleted\r\n"
    assert client.say(b"QUIT") == b"+OK bye\r\n"
    assert client.closed()
    assert list(bench.store.messages) == [10]


@pytest.mark.parametrize(
    ("message", "octets"),
    [
        (b"", b".\r\n"),
        (b"no header, no end", b"no header, no end\r\n.\r\n"),
        (b"a\n.\nb\r.\rc\r\n", b"a\r\n..\r\nb\r\n..\r\nc\r\n.\r\n"),
        (b"..\r\n.", b"...\r\n..\r\n.\r\n"),
        (b"\0\xff\r\n", b"\0\xff\r\n.\r\n"),
    ],
)
def test_P3_odd_messages(message: bytes, octets: bytes) -> None:
    client = Pop3Bench(message).login()
    assert client.say(b"RETR 1") == b"+OK %d octets\r\n" % len(message) + octets


def test_P3_pipelined_commands_are_answered_in_order() -> None:
    bench = Pop3Bench(ONE, TWO)
    client = bench.login()
    held = bench.store.hold()
    assert client.send(b"RETR 1\r\nSTAT\r\nRETR 2\r\nDELE 1\r\nLIST 1\r\nQUIT\r\n") == b""
    held.callback(None)
    assert client.read() == (
        b"+OK 29 octets\r\n" + ONE.replace(b"\n.", b"\n..") + b".\r\n+OK 2 51\r\n"
        b"+OK 22 octets\r\n" + TWO + b"\r\n.\r\n"
        b"+OK message 1 deleted\r\n-ERR no such message\r\n+OK bye\r\n"
    )


def test_P3_much_pipelined_input_pauses_reading() -> None:
    bench = Pop3Bench(ONE)
    client = bench.login()
    held = bench.store.hold()
    client.send(b"RETR 1\r\n" + b"NOOP\r\n" * 4000)
    assert client.transport.producerState == "paused"
    held.callback(None)
    assert client.transport.producerState == "producing"
    assert client.read().count(b"+OK\r\n") == 4000


def test_P3_large_message_is_streamed_with_back_pressure() -> None:
    line = b".".ljust(78, b"x") + b"\r\n"
    message = b"Subject: large\r\n\r\n" + line * 20_000
    bench = Pop3Bench(message)
    client = bench.login()
    client.connection.pauseProducing()  # the peer takes nothing more
    first = client.send(b"RETR 1\r\nSTAT\r\n")
    assert bench.store.reads == [(0, CHUNK_OCTETS)]
    client.connection.resumeProducing()
    reply = first + client.read()
    assert all(length <= CHUNK_OCTETS for _, length in bench.store.reads)
    status, _, text = reply.partition(b"\r\n")
    assert status == b"+OK %d octets" % len(message)
    wanted = message.replace(b"\r\n.", b"\r\n..")
    assert text == wanted + b".\r\n+OK 1 %d\r\n" % len(message)


def test_N1_a_reader_that_does_not_read_is_dropped() -> None:
    bench = Pop3Bench(b"x" * 1_000_000)
    client = bench.login()
    client.connection.pauseProducing()
    client.say(b"RETR 1")
    bench.clock.advance(299)
    assert not client.closed()
    bench.clock.advance(2)
    assert client.transport.disconnected
    client.lose()
    assert not bench.store.locked


def test_N1_replies_to_pipelined_commands_wait_for_the_reader() -> None:
    bench = Pop3Bench(*[b"x\r\n"] * 900)
    client = bench.login()
    client.connection.pauseProducing()
    held_back = client.send(b"UIDL\r\n" * 1000)
    assert len(held_back) < 200_000
    client.connection.resumeProducing()
    assert (held_back + client.read()).count(b"\r\n.\r\n") == 1000


def test_top_reads_no_more_than_it_needs() -> None:
    bench = Pop3Bench(b"Subject: x\r\n\r\n" + b"line\r\n" * 100_000)
    client = bench.login()
    assert client.say(b"TOP 1 2").endswith(b"Subject: x\r\n\r\nline\r\nline\r\n.\r\n")
    assert len(bench.store.reads) == 1
    assert client.say(b"TOP 1 50000").count(b"line\r\n") == 50_000


def test_P4_messages_from_elsewhere_keep_the_names_clients_know() -> None:
    bench = Pop3Bench(b"1", b"2", b"3", b"4", b"5")
    bench.store.old_names = {
        Uid(10): "!old~name",
        Uid(11): "777.14",  # would be that of the fifth message, or of one to come
        Uid(12): "two words",  # RFC 1939 section 7: 1 to 70 printable characters
        Uid(13): "x" * 71,
    }
    lines = [b"1 !old~name", b"2 777.11", b"3 777.12", b"4 777.13", b"5 777.14", b".", b""]
    client = bench.login()
    assert client.say(b"UIDL").split(b"\r\n")[1:] == lines
    assert client.say(b"UIDL 1") == b"+OK 1 !old~name\r\n"


def test_P4_unique_ids() -> None:
    bench = Pop3Bench(ONE, TWO)
    lines = b"1 777.10\r\n2 777.11\r\n.\r\n"
    assert bench.login().say(b"UIDL").endswith(lines)
    bench.store.locked = False  # as after a restart
    client = bench.login()
    assert client.say(b"UIDL").endswith(lines)
    client.send(b"DELE 1\r\nQUIT\r\n")
    assert bench.login().say(b"UIDL").endswith(b"octets)\r\n1 777.11\r\n.\r\n")


def test_P5_second_session_is_told_in_use() -> None:
    bench = Pop3Bench(ONE)
    first = bench.login()
    second = bench.connect()
    for _ in range(5):  # never counted as a failed login
        second.say(b"USER alice")
        assert second.say(b"PASS secret").startswith(b"-ERR [IN-USE] ")
    first.say(b"QUIT")
    second.say(b"USER alice")
    assert second.say(b"PASS secret").startswith(b"+OK 1 messages")
    second.lose()
    assert not bench.store.locked


def test_P5_a_drop_without_quit_deletes_nothing() -> None:
    bench = Pop3Bench(ONE, TWO)
    client = bench.login()
    client.say(b"DELE 1")
    client.lose()
    assert len(bench.store.messages) == 2
    assert not bench.store.locked
    assert not bench.clock.getDelayedCalls()


def test_P5_idle_ten_minutes_never_enter_update() -> None:
    bench = Pop3Bench(ONE)
    client = bench.login()
    client.say(b"DELE 1")
    bench.clock.advance(590)
    client.say(b"NOOP")
    bench.clock.advance(590)
    assert not client.closed()
    bench.clock.advance(11)
    assert client.closed()
    assert client.read() == b""  # RFC 1939 section 3: without any response
    client.send(b"QUIT\r\n")
    client.lose()
    assert len(bench.store.messages) == 1


def test_P5_quit_that_cannot_delete_says_so() -> None:
    bench = Pop3Bench(ONE)
    client = bench.login()
    client.say(b"DELE 1")
    bench.store.fails = StoreUnavailable()
    reply = client.say(b"QUIT")
    assert reply == b"-ERR [SYS/TEMP] some deleted messages were not removed\r\n"
    assert client.closed() and not bench.store.locked


def test_P5_the_lock_goes_when_the_client_leaves_during_login() -> None:
    bench = Pop3Bench(ONE)
    client = bench.connect()
    client.say(b"USER alice")
    held: Deferred[None] = Deferred()
    bench.checker.held = held
    client.say(b"PASS secret")
    snapshot = bench.store.hold()
    bench.checker.held = None
    held.callback(None)
    client.lose()
    assert not bench.store.locked
    assert snapshot.called


def test_P5_quit_before_login_and_messages_that_came_later() -> None:
    bench = Pop3Bench(ONE)
    assert bench.connect().say(b"QUIT") == b"+OK bye\r\n"
    client = bench.login()
    bench.store.messages[99] = TWO  # delivered meanwhile
    assert client.say(b"STAT") == b"+OK 1 29\r\n"
    client.send(b"DELE 1\r\nQUIT\r\n")
    assert list(bench.store.messages) == [99]


def test_P6_a_large_maildrop_is_looked_at_in_batches() -> None:
    bench = Pop3Bench(*[b"x"] * 2500)
    client = bench.login()
    assert bench.store.largest_batch == 1000
    assert client.say(b"STAT") == b"+OK 2500 2500\r\n"
    assert client.say(b"LIST").count(b"\r\n") == 2502
    assert client.say(b"LIST 2500") == b"+OK 2500 1\r\n"


def test_a_message_that_went_or_broke() -> None:
    bench = Pop3Bench(ONE)
    client = bench.login()
    bench.store.fails = MessageGone()
    assert client.say(b"RETR 1") == b"-ERR some of the messages no longer exist\r\n"
    bench.store.fails = StoreDamaged()
    assert client.say(b"RETR 1").startswith(b"-ERR [SYS/PERM] ")
    bench.store.fails = None
    bench.store.messages[10] = b"short"  # fewer octets than the index says
    assert client.say(b"RETR 1").startswith(b"-ERR [SYS/PERM] ")
    assert client.say(b"STAT") == b"+OK 1 29\r\n"


def test_P3_an_error_inside_a_message_is_never_its_end() -> None:
    bench = Pop3Bench(b"x" * 1_000_000)
    client = bench.login()
    client.connection.pauseProducing()
    reply = client.say(b"RETR 1")
    bench.store.fails = StoreUnavailable()
    client.connection.resumeProducing()
    reply += client.read()
    assert client.transport.disconnected
    assert reply.startswith(b"+OK 1000000 octets\r\n")
    assert b"\r\n.\r\n" not in reply and b"-ERR" not in reply


def test_whoever_is_dismissed_is_told_to_log_in_again() -> None:
    client = Pop3Bench(ONE).login()
    client.connection.dismiss()
    told = b"-ERR [AUTH] this login is not valid any more, log in again\r\n"
    assert client.read() == told and client.closed()


def test_drain_lets_a_command_end_and_then_says_goodbye() -> None:
    bench = Pop3Bench(ONE)
    idle, busy = bench.connect(), bench.login()
    held = bench.store.hold()
    busy.send(b"RETR 1\r\nDELE 1\r\nQUIT\r\n")
    for client in (idle, busy):
        client.connection.drain()
    goodbye = b"-ERR [SYS/TEMP] shutting down, come back later\r\n"
    assert idle.read() == goodbye and idle.closed()
    held.callback(None)
    assert busy.read().endswith(b"\r\n.\r\n" + goodbye)
    assert busy.closed() and len(bench.store.messages) == 1
