"""The runner over the real store: what the fake queue promises, the durable one keeps."""

from __future__ import annotations

from pathlib import Path
from random import Random

from twisted.internet.task import Clock

from gateway.core.address import Address
from gateway.core.ids import AccountId
from gateway.core.messages import NewMessage, QueuedRecipient
from gateway.core.queue import Verdict
from gateway.queue.paces import Paces
from gateway.queue.runner import QueueRunner
from gateway.store.store import Store
from tests.support.pump import Pump
from tests.support.queue_fakes import FakeDelivery, FakeRouter
from tests.support.queue_world import EXACT

NOW = 1_700_000_000


def test_D5_outcomes_and_the_report_are_durable(tmp_path: Path) -> None:
    pump, clock = Pump(), Clock()

    def wall() -> float:
        return NOW + clock.seconds()

    def open_store() -> Store:
        return Store.open(tmp_path, call_from_thread=pump.call_from_thread, wall_clock=wall)

    def new_runner(store: Store) -> QueueRunner:
        return QueueRunner(
            store,
            delivery,
            FakeRouter(),
            hostname="mail.x.example",
            timers=clock,
            wall_clock=wall,
            random=Random(1),
            paces=Paces(EXACT),
        )

    store = open_store()
    delivery = FakeDelivery(
        answers={"bad@y.example": Verdict.FAILED, "later@z.example": Verdict.DEFERRED}
    )
    runner = new_runner(store)
    runner.start()
    body = store.open_body()
    body.write(b"Subject: hello\r\n\r\ntext\r\n")
    remote = ("good@y.example", "bad@y.example", "later@z.example")
    message = NewMessage(
        ingest_id="i1",
        sender=Address("alice", "x.example"),
        local_header=b"Return-Path: <alice@x.example>\r\n",
        trace_header=b"Received: here\r\n",
        body=body,
        local=(),
        remote=tuple(QueuedRecipient(Address(*address.split("@"))) for address in remote),
        received_at=NOW,
    )
    pump.wait(store.accept(message))
    pump.until(lambda: pump.wait(store.depth()).recipients == 1)
    pump.wait(runner.stop())
    pump.wait(store.close())

    store = open_store()
    alice = AccountId("id-alice@x.example")
    inbox = pump.wait(store.find_mailbox(alice, "INBOX"))
    (row,) = pump.wait(store.rows(inbox.mailbox_id, ((1, 100),)))
    report = pump.wait(store.read(row.blob_id, 0, row.size_octets))
    assert report.startswith(b"Return-Path: <>\r\n")
    assert b"bad@y.example" in report and b"Subject: hello" in report
    assert b"Received: here" in report and b"alice@x.example>\r\nReceived" not in report

    delivery.answers.clear()
    runner = new_runner(store)
    runner.start()
    tried_before = len(delivery.attempts)

    def empty() -> bool:
        clock.advance(5)
        return pump.wait(store.depth()).messages == 0

    pump.until(empty)
    assert clock.seconds() >= 60, "tried before it was due"
    assert len(delivery.attempts) == tried_before + 1
    assert delivery.attempts[-1][1] == ("later@z.example",)
    pump.wait(runner.stop())
    pump.wait(store.close())
