"""A store in a test: opens it, hands it messages, looks at what it kept."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Unpack

from twisted.internet.defer import Deferred

from gateway.core.address import Address
from gateway.core.ids import AccountId, MailboxId
from gateway.core.mailboxes import Mailbox
from gateway.core.messages import (
    Accepted,
    AppendMessage,
    AppendResult,
    MessageRow,
    NewMessage,
    QueuedRecipient,
)
from gateway.core.ports.body import IncomingBody
from gateway.core.queue import QueueItem, Wish
from gateway.store.compaction import Pace
from gateway.store.files import Files
from gateway.store.layout import Layout
from gateway.store.machinery import COMPACTION, Options
from gateway.store.segments import ROLL_OCTETS
from gateway.store.store import Store
from gateway.store.verify import Report, verify
from tests.support.pump import Pump

ALICE = AccountId("a11ce")
BOB = AccountId("b0b")
NOW = 1_700_000_000
MESSAGE = b"From: a@example.test\r\nSubject: hello\r\n\r\nThe text.\r\n"
LARGE = b"Subject: large\r\n\r\n" + b"0123456789abcdef" * 70_000  # 1.1 MB: a file of its own
RETURN_PATH = b"Return-Path: <a@example.test>\r\n"
RECEIVED = b"Received: from there\r\n"
SENDER = Address("a", "example.test")
EVERY = ((1, 2**32 - 1),)
CAROL = QueuedRecipient(Address("carol", "example.org"))
ERIN = QueuedRecipient(Address("erin", "example.org"))
DAVE = QueuedRecipient(Address("dave", "example.net"), "smtp://relay.example.net:25")


class House:
    """One store with its pump. Use as a context manager."""

    def __init__(
        self,
        state_dir: Path,
        *,
        files: Files | None = None,
        roll_octets: int = ROLL_OCTETS,
        reader_threads: int = 2,
        compaction: Pace = COMPACTION,
        keep_deleted_s: int = 0,
    ) -> None:
        self.prepare(state_dir)
        self.store = self.open_store(
            reader_threads=reader_threads,
            files=files,
            roll_octets=roll_octets,
            compaction=compaction,
            keep_deleted_s=keep_deleted_s,
        )

    def open_store(self, **options: Unpack[Options]) -> Store:
        return Store.open(
            self.state_dir,
            call_from_thread=self.pump.call_from_thread,
            wall_clock=lambda: self.now,
            **options,
        )

    def prepare(self, state_dir: Path) -> None:
        self.state_dir = state_dir
        self.layout = Layout(state_dir)
        self.pump = Pump()
        self.now = float(NOW)
        self.wait = self.pump.wait

    def __enter__(self) -> House:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.wait(self.store.close())

    def body(self, octets: bytes) -> IncomingBody:
        body = self.store.open_body()
        for start in range(0, len(octets), 65536):
            body.write(octets[start : start + 65536])
        return body

    def message(
        self,
        ingest_id: str,
        *local: AccountId,
        octets: bytes = MESSAGE,
        remote: Sequence[QueuedRecipient] = (),
        sender: Address | None = SENDER,
    ) -> NewMessage:
        return NewMessage(
            ingest_id, sender, RETURN_PATH, RECEIVED, self.body(octets), local, tuple(remote), NOW
        )

    def start(
        self,
        ingest_id: str,
        *local: AccountId,
        octets: bytes = MESSAGE,
        remote: Sequence[QueuedRecipient] = (),
    ) -> Deferred[Accepted]:
        message = self.message(ingest_id, *local, octets=octets, remote=remote)
        return self.pump.start(self.store.accept(message))

    def deliver(
        self,
        ingest_id: str,
        *local: AccountId,
        octets: bytes = MESSAGE,
        remote: Sequence[QueuedRecipient] = (),
    ) -> Accepted:
        return self.pump.wait_for(self.start(ingest_id, *local, octets=octets, remote=remote))

    def lease(
        self, now: int = NOW, limit: int = 10, owner: str = "me", lease_s: int = 60
    ) -> list[QueueItem]:
        """Take what is due, wherever it goes."""
        items: list[QueueItem] = []
        for name in self.wait(self.store.ready(now, 100)):
            wish = Wish(name, limit - len(items), now)
            items += self.wait(self.store.lease([wish], now, owner, lease_s)).items
        return items

    def append(
        self,
        name: str = "INBOX",
        *octets: bytes,
        flags: Sequence[str] = (),
        account: AccountId = ALICE,
        date: int = NOW,
    ) -> AppendResult:
        self.wait(self.store.ensure_account(account))
        messages = [
            AppendMessage(self.body(one), frozenset(flags), date) for one in octets or (MESSAGE,)
        ]
        return self.wait(self.store.append(account, name, messages))

    def find(self, account: AccountId = ALICE, name: str = "INBOX") -> Mailbox:
        return self.wait(self.store.find_mailbox(account, name))

    def box(self, account: AccountId = ALICE, name: str = "INBOX") -> MailboxId:
        return self.find(account, name).mailbox_id

    def rows(self, account: AccountId = ALICE, name: str = "INBOX") -> Sequence[MessageRow]:
        return self.wait(self.store.rows(self.box(account, name), EVERY))

    def uids(self, account: AccountId = ALICE, name: str = "INBOX") -> list[int]:
        return [row.uid for row in self.rows(account, name)]

    def octets(self, row: MessageRow) -> bytes:
        return self.wait(self.store.read(row.blob_id, 0, row.size_octets))

    def contents(self, account: AccountId = ALICE, name: str = "INBOX") -> list[bytes]:
        return [self.octets(row) for row in self.rows(account, name)]

    def verify(self) -> Report:
        report = verify(self.state_dir)
        assert report.sound, report.problems
        return report


def delivered(octets: bytes = MESSAGE) -> bytes:
    """What a local copy of a delivered message holds."""
    return RETURN_PATH + RECEIVED + octets
