"""What a command tells a running gateway: all of it once, in few requests, never in its way."""

from __future__ import annotations

import threading
from collections.abc import Mapping

from gateway.cli.control_client import GatewayNotRunning
from gateway.cli.hints import EVENTS_PER_REQUEST, Hints
from gateway.core.ids import AccountId, MailboxId, ModSeq
from gateway.core.mailboxes import MailboxEvent


def event(mailbox: int, modseq: int) -> MailboxEvent:
    return MailboxEvent(AccountId("alice"), MailboxId(mailbox), ModSeq(modseq))


class Gateway:
    """Takes requests; holds the first one back until it is let go."""

    def __init__(self, error: Exception | None = None) -> None:
        self.bodies: list[Mapping[str, object]] = []
        self.asked, self.go_on = threading.Event(), threading.Event()
        self._error = error

    def post(self, body: Mapping[str, object]) -> None:
        self.bodies.append(body)
        self.asked.set()
        assert self.go_on.wait(30)
        if self._error is not None:
            raise self._error


def test_commits_in_quick_succession_are_one_request() -> None:
    gateway = Gateway()
    hints = Hints(gateway.post)
    hints.tell([event(1, 5)], False)
    assert gateway.asked.wait(30)
    for modseq in (6, 7):
        hints.tell([event(1, modseq), event(2, 90 + modseq)], modseq == 6)
    gateway.go_on.set()
    hints.close()
    assert gateway.bodies == [
        {"events": [["alice", 1, 5]], "queue_grew": False},
        {"events": [["alice", 1, 7], ["alice", 2, 97]], "queue_grew": True},
    ]


def test_the_last_ones_are_sent_at_the_end_in_bounded_requests() -> None:
    gateway = Gateway()
    gateway.go_on.set()
    hints = Hints(gateway.post, every_s=3600)
    hints.tell([], True)
    assert gateway.asked.wait(30)
    hints.tell([event(number, 1) for number in range(EVENTS_PER_REQUEST + 1)], False)
    hints.close()
    sizes = [len(body["events"]) for body in gateway.bodies]  # type: ignore[arg-type]
    assert sizes == [0, EVENTS_PER_REQUEST, 1]


def test_a_gateway_that_has_gone_hinders_nobody() -> None:
    gateway = Gateway(GatewayNotRunning("gone"))
    gateway.go_on.set()
    hints = Hints(gateway.post)
    hints.tell([event(1, 1)], False)
    hints.close()
    assert len(gateway.bodies) == 1


def test_nothing_committed_is_nothing_told() -> None:
    gateway = Gateway()
    Hints(gateway.post).close()
    assert gateway.bodies == []
