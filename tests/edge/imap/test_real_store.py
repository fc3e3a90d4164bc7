"""The door on the real store: two clients, every command group, and a large mailbox."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from twisted.cred.portal import Portal

from gateway.core.address import Address
from gateway.core.ids import AccountId
from gateway.core.messages import AppendMessage, NewMessage
from gateway.store.store import Store
from tests.support.imap_client import MESSAGE, Bench, Client, CountingRealm
from tests.support.plain_checker import DirectoryChecker
from tests.support.pump import Pump


class RealBench(Bench):
    """A bench on a store in a directory; answers are waited for."""

    def __init__(self, directory: Path) -> None:
        super().__init__()
        self.pump = Pump()
        self.real = Store.open(
            directory, call_from_thread=self.pump.call_from_thread, wall_clock=time.time
        )
        self.realm = CountingRealm(self.real)
        realm: Any = self.realm
        checker: Any = DirectoryChecker(self.people)
        self.services = replace(self.services, portal=Portal(realm, [checker]), intake=self.real)

    def ask(self, client: Client, command: bytes) -> list[bytes]:
        """Send a command and wait for its tagged answer."""
        client.feed(b"T " + command + b"\r\n")
        self.pump.until(lambda: re.search(rb"(\A|\r\n)(T |\* BYE)", client.transport.value()))
        return client.lines()

    def enter(self, mailbox: bytes = b"INBOX", login: str = "alice") -> Client:
        client = self.connect()
        client.take()
        password = self.people.passwords[login]
        assert self.ask(client, b"LOGIN %b %b" % (login.encode(), password))[-1][:4] == b"T OK"
        assert self.ask(client, b"SELECT " + mailbox)[-1] == b"T OK [READ-WRITE] Selected"
        return client

    def mail(self, data: bytes, ingest_id: str) -> None:
        body = self.real.open_body()
        body.write(data)
        sender = Address("carol", "example.org")
        message = NewMessage(
            ingest_id, sender, b"", b"", body, (AccountId("alice"),), (), 1_700_000_000
        )
        self.pump.wait(self.real.accept(message))


@pytest.fixture
def real(tmp_path: Path) -> Iterator[RealBench]:
    bench = RealBench(tmp_path / "state")
    yield bench
    bench.close()
    bench.pump.wait(bench.real.close())


def test_a_life_of_a_mailbox_with_two_clients(real: RealBench) -> None:
    one, two = real.enter(), real.enter()
    real.mail(MESSAGE, "m1")
    real.mail(b"Subject: two\r\n\r\nsecond\r\n", "m2")
    told = real.ask(one, b"NOOP")
    assert told[0] == b"* 2 EXISTS" and told[-1] == b"T OK Done"
    assert real.ask(one, b"FETCH 1 BODY[TEXT]")[:2] == [
        b"* 1 FETCH (FLAGS (\\Seen \\Recent) BODY[TEXT] {7}",
        b"Hello",
    ]
    assert real.ask(one, b"FETCH 2 (ENVELOPE)")[0].startswith(b'* 2 FETCH (ENVELOPE (NIL "two"')
    lines = real.ask(two, b"NOOP")
    assert b"* 2 EXISTS" in lines
    assert real.ask(two, b"STORE 2 +FLAGS ($Later)")[-2:] == [
        b"* 2 FETCH (FLAGS ($Later \\Recent))",
        b"T OK Flags changed",
    ]
    assert b"* 2 FETCH (FLAGS ($Later \\Recent))" in real.ask(one, b"NOOP")
    assert real.ask(one, b"STORE 1 +FLAGS.SILENT (\\Deleted)") == [b"T OK Flags changed"]
    assert real.ask(one, b"SEARCH SUBJECT two KEYWORD $Later")[0] == b"* SEARCH 2"
    assert re.fullmatch(
        rb"T OK \[COPYUID \d+ 1:2 1:2\] Copied", real.ask(one, b"COPY 1:* Archive")[-1]
    )
    assert real.ask(one, b"EXPUNGE")[0] == b"* 1 EXPUNGE"
    assert b"* 1 EXPUNGE" in real.ask(two, b"NOOP")
    moved = real.ask(two, b"UID MOVE 2 Archive")
    assert moved[0].startswith(b"* OK [COPYUID ") and b"* 1 EXPUNGE" in moved
    assert real.ask(one, b"NOOP")[0] == b"* 1 EXPUNGE"
    assert real.ask(one, b"STATUS Archive (MESSAGES)")[0] == b'* STATUS "Archive" (MESSAGES 3)'


def test_idle_hears_of_a_delivery(real: RealBench) -> None:
    client = real.enter()
    client.feed(b"i IDLE\r\n")
    real.mail(MESSAGE, "m1")
    real.pump.until(lambda: b"* 1 EXISTS" in client.transport.value())
    client.feed(b"DONE\r\n")
    real.pump.until(lambda: b"i OK" in client.transport.value())


def test_append_and_mailbox_names(real: RealBench) -> None:
    client = real.enter()
    client.feed(b"T CREATE Work/2024\r\n")
    real.pump.until(lambda: b"T OK" in client.transport.value())
    client.take()
    client.feed(b"a APPEND Work/2024 (\\Draft) {45}\r\n")
    real.pump.until(lambda: b"+ " in client.transport.value())
    client.feed(MESSAGE + b"\r\n")
    real.pump.until(lambda: b"a OK [APPENDUID" in client.transport.value())
    client.take()
    listed = real.ask(client, b'LIST "" *')
    assert b'* LIST (\\HasNoChildren) "/" "Work/2024"' in listed
    assert real.ask(client, b"CREATE inbox")[-1].startswith(b"T NO [ALREADYEXISTS]")
    assert real.ask(client, b"SELECT Work/2024")[-1] == b"T OK [READ-WRITE] Selected"
    assert b"(\\Draft" in real.ask(client, b"FETCH 1 FLAGS")[0]


def test_I13_the_selected_mailbox_is_deleted(real: RealBench) -> None:
    one, two = real.enter(b"Archive"), real.enter()
    assert real.ask(two, b"DELETE Archive")[-1] == b"T OK Mailbox deleted"
    assert real.ask(one, b"NOOP")[-1] == b"* BYE The selected mailbox was deleted"
    idle = real.enter(b"Trash")
    idle.feed(b"i IDLE\r\n")
    assert real.ask(two, b"DELETE Trash")[-1] == b"T OK Mailbox deleted"
    real.pump.until(lambda: b"* BYE The selected mailbox was deleted" in idle.transport.value())


def test_ten_thousand_messages(real: RealBench) -> None:
    client = real.enter()
    account = AccountId("alice")
    for _ in range(10):
        bodies = [real.real.open_body() for _ in range(1_000)]
        for body in bodies:
            body.write(MESSAGE)
        messages = [AppendMessage(body, frozenset(), 1_700_000_000) for body in bodies]
        real.pump.wait(real.real.append(account, "INBOX", messages))
    assert real.ask(client, b"NOOP")[0] == b"* 10000 EXISTS"
    lines = real.ask(client, b"FETCH 1:* (FLAGS)")
    assert len(lines) == 10_001
    assert lines[9_999] == b"* 10000 FETCH (FLAGS (\\Recent))"
    assert len(real.ask(client, b"UID SEARCH ALL")[0].split()) == 10_002
    assert real.ask(client, b"STORE 1:* +FLAGS.SILENT (\\Deleted)") == [b"T OK Flags changed"]
    assert len(real.ask(client, b"EXPUNGE")) == 10_002
