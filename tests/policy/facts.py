"""Clients, envelopes and recipients for tests of checks."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from gateway.core.account import Account
from gateway.core.address import Address
from gateway.core.ids import AccountId
from gateway.core.route import LocalMailbox
from gateway.policy.checks import Answer
from gateway.policy.facts import Client, Envelope, Facts, Recipient
from gateway.policy.verdicts import Stage

ALICE = Account(AccountId("a1"), "alice", "alice@example.test", ("alice@example.test",))


def address(text: str) -> Address | None:
    local, _, domain = text.rpartition("@")
    return Address(local, domain) if text else None


def client(ip: str = "192.0.2.9", **more: Any) -> Client:
    return Client("c1", "smtp:25", "smtp", ip, **more)


def facts(
    ip: str = "192.0.2.9", sender: str = "a@far.test", account: Account | None = None, **more: Any
) -> Facts:
    """At RCPT, for alice."""
    recipient = Recipient(Address("alice", "example.test"), LocalMailbox(ALICE))
    envelope = Envelope(address(sender))
    return Facts(client(ip, account=account, **more), envelope, recipient)


def now(check: Any, about: Facts, stage: Stage = Stage.RECIPIENT) -> Answer:
    """The answer of a check that needs no waiting, or has not to wait."""
    found: list[Any] = []
    answer: Answer | Deferred[Answer] = check.judge(stage, about)
    if not isinstance(answer, Deferred):
        return answer
    answer.addCallbacks(found.append, lambda failure: failure.raiseException())
    assert found, "still waiting"
    verdict: Answer = found[0]
    return verdict
