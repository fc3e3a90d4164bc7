"""A policy: checks in their configured order, asked stage by stage for one connection.

Owns the order, what ends it (refusal, ACCEPT), the scope of an ACCEPT, and the record of every
verdict with its inputs. Never replies: the door does.
"""

from __future__ import annotations

from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger

from gateway.policy.checks import Answer, Check
from gateway.policy.facts import Client, Content, Envelope, Facts, Recipient
from gateway.policy.verdicts import Action, Stage, Verdict

MAX_RECORDED = 200
"""Verdicts kept for one connection since its last message."""
_ENDS = (Action.DEFER, Action.REJECT, Action.ACCEPT)


class Policy:
    """The checks of one listener; they are shared, so is this."""

    def __init__(self, name: str, checks: Sequence[Check]) -> None:
        self.name = name
        self.by_stage: Mapping[Stage, tuple[Check, ...]] = {
            stage: tuple(check for check in checks if stage in check.stages) for stage in Stage
        }

    def visit(self, client: Client) -> Visit:
        """For a new connection."""
        return Visit(self, client)


NO_POLICY = Policy("none", ())


@dataclass(frozen=True, slots=True)
class Ruling:
    """A verdict in the record."""

    stage: Stage
    verdict: Verdict


class Visit:
    """One connection's way through a policy.

    ``refusal`` questions return a Verdict that refuses (DEFER or REJECT), None to go on, or a
    coroutine that returns one of them.
    """

    log = Logger()

    def __init__(self, policy: Policy, client: Client) -> None:
        self._by_stage = policy.by_stage
        self.facts = Facts(client)
        self.rulings: list[Ruling] = []
        self._client_accepted = False
        self._sender_accepted = False

    # -- questions, in the order of a session

    def connected(self) -> Answer | Coroutine[Deferred[Any], Any, Answer]:
        return self._judge(Stage.CONNECT)

    def greeted(self) -> Answer | Coroutine[Deferred[Any], Any, Answer]:
        """The client has said its name."""
        return self._judge(Stage.HELLO)

    def sender(self, envelope: Envelope) -> Answer | Coroutine[Deferred[Any], Any, Answer]:
        """A transaction begins."""
        self.reset()
        self.facts.envelope = envelope
        return self._judge(Stage.SENDER)

    def recipient(self, recipient: Recipient) -> Answer | Coroutine[Deferred[Any], Any, Answer]:
        self.facts.recipient = recipient
        return self._judge(Stage.RECIPIENT)

    def content(self, content: Content) -> Answer | Coroutine[Deferred[Any], Any, Answer]:
        self.facts.content = content
        return self._judge(Stage.CONTENT)

    def reset(self) -> None:
        """The transaction is over."""
        facts = self.facts
        if facts.envelope is not None:
            facts.envelope = facts.recipient = facts.content = None
            self._sender_accepted = False
            self.rulings = [r for r in self.rulings if r.stage in (Stage.CONNECT, Stage.HELLO)]

    # -- what became of them

    def note(self, stage: Stage, verdict: Verdict) -> None:
        """Record what was judged elsewhere, as the door itself does about early talkers."""
        if len(self.rulings) < MAX_RECORDED:
            self.rulings.append(Ruling(stage, verdict))

    @property
    def tags(self) -> list[str]:
        """For header fields, each once."""
        return list(dict.fromkeys(r.verdict.tag for r in self.rulings if r.verdict.tag))

    @property
    def quarantine(self) -> Verdict | None:
        """The first verdict that wants the message held."""
        for ruling in self.rulings:
            if ruling.verdict.action is Action.QUARANTINE:
                return ruling.verdict
        return None

    # -- asking

    def _judge(self, stage: Stage) -> Answer | Coroutine[Deferred[Any], Any, Answer]:
        checks = self._by_stage[stage]
        if not checks or self._client_accepted or self._sender_accepted:
            return None
        for position, check in enumerate(checks):
            answer = check.judge(stage, self.facts)
            if isinstance(answer, Deferred):
                return self._wait(stage, answer, checks[position:])
            if answer is not None and self._ends(stage, answer):
                return self._refusal(answer)
        return None

    async def _wait(
        self, stage: Stage, answer: Answer | Deferred[Answer], checks: Sequence[Check]
    ) -> Answer:
        """Go on with the checks behind the one whose answer is awaited."""
        for position, check in enumerate(checks):
            if position:
                answer = check.judge(stage, self.facts)
            if isinstance(answer, Deferred):
                try:
                    answer = await answer
                except CancelledError:
                    raise
                except Exception:
                    # A fault in one check must not stop the mail.
                    self.log.failure("check {check} failed", check=check.name)
                    answer = None
            if answer is not None and self._ends(stage, answer):
                return self._refusal(answer)
        return None

    def _ends(self, stage: Stage, verdict: Verdict) -> bool:
        self.note(stage, verdict)
        if verdict.action is Action.ACCEPT:
            if stage in (Stage.CONNECT, Stage.HELLO):
                self._client_accepted = True
            elif stage is Stage.SENDER:
                self._sender_accepted = True
        return verdict.action in _ENDS

    @staticmethod
    def _refusal(verdict: Verdict) -> Answer:
        return None if verdict.action is Action.ACCEPT else verdict
