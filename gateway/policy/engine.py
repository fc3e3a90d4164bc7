"""A policy: checks in their configured order, asked stage by stage for one connection.

Owns the order, what ends it (refusal, ACCEPT), the scope of an ACCEPT, the record of every verdict
with its inputs, and that a fault in a check stops no mail. Never replies: the door does.
"""

from __future__ import annotations

from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger

from gateway.policy.checks import Answer, Check, Leaving
from gateway.policy.facts import Client, Content, Envelope, Facts, Recipient
from gateway.policy.verdicts import Action, Stage, Verdict

MAX_RECORDED = 200
"""Verdicts kept for one connection since its last message."""
_REFUSES = (Action.DEFER, Action.REJECT)
_OF_CLIENT = (Stage.CONNECT, Stage.HELLO)


class Policy:
    """The checks of one listener; they are shared, so is this."""

    def __init__(self, name: str, checks: Sequence[Check]) -> None:
        self.name = name
        self.by_stage: Mapping[Stage, tuple[Check, ...]] = {
            stage: tuple(check for check in checks if stage in check.stages) for stage in Stage
        }
        self.leaving = tuple(check for check in checks if isinstance(check, Leaving))

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

    Questions return a Verdict that refuses (DEFER or REJECT), None to go on, or a coroutine that
    returns one of them.
    """

    __slots__ = ("_accepted_at", "_effects", "_policy", "facts", "rulings")

    log = Logger()

    def __init__(self, policy: Policy, client: Client) -> None:
        self._policy = policy
        self.facts = Facts(client)
        self.rulings: list[Ruling] = []
        # TAG and QUARANTINE, which count however long the record has become.
        self._effects: list[Ruling] = []
        self._accepted_at: Stage | None = None

    # -- questions, in the order of a session

    def connected(self) -> Answer | Coroutine[Deferred[Any], Any, Answer]:
        return self._judge(Stage.CONNECT)

    def greeted(self) -> Answer | Coroutine[Deferred[Any], Any, Answer]:
        """The client has said its name, perhaps another one than before."""
        if self.rulings or self._accepted_at is not None:
            self._forget((Stage.CONNECT,))
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
        """The whole message is there, as it would be stored."""
        self.facts.recipient = None
        self.facts.content = content
        return self._judge(Stage.CONTENT)

    def reset(self) -> None:
        """The transaction is over."""
        facts = self.facts
        if facts.envelope is not None:
            facts.envelope = facts.recipient = facts.content = None
            self._forget(_OF_CLIENT)

    def ended(self) -> None:
        """The connection is gone."""
        for check in self._policy.leaving:
            try:
                check.left(self.facts.client)
            except Exception:
                self.log.failure("a check failed at the end of a connection")

    # -- what became of them

    def note(self, stage: Stage, verdict: Verdict) -> None:
        """Record what was judged elsewhere, as the door itself does about early talkers."""
        if len(self.rulings) < MAX_RECORDED:
            self.rulings.append(Ruling(stage, verdict))

    @property
    def tags(self) -> list[str]:
        """For the header field, each once."""
        if not self._effects:
            return []
        return list(dict.fromkeys(r.verdict.tag for r in self._effects if r.verdict.tag))

    @property
    def quarantine(self) -> Verdict | None:
        """The first verdict that wants the message held."""
        for ruling in self._effects:
            if ruling.verdict.action is Action.QUARANTINE:
                return ruling.verdict
        return None

    # -- asking

    def _judge(self, stage: Stage) -> Answer | Coroutine[Deferred[Any], Any, Answer]:
        checks = self._policy.by_stage[stage]
        if not checks or self._accepted_at is not None:
            return None
        effects = len(self._effects)
        for position, check in enumerate(checks):
            answer = self._ask(check, stage)
            if isinstance(answer, Deferred):
                return self._wait(stage, answer, checks[position:], effects)
            if answer is not None and self._ends(stage, answer):
                return self._outcome(stage, answer, effects)
        return None

    async def _wait(
        self,
        stage: Stage,
        answer: Answer | Deferred[Answer],
        checks: Sequence[Check],
        effects: int,
    ) -> Answer:
        """Go on with the checks behind the one whose answer is awaited."""
        for position, check in enumerate(checks):
            if position:
                answer = self._ask(check, stage)
            if isinstance(answer, Deferred):
                try:
                    answer = await answer
                except CancelledError:
                    raise
                except Exception as error:
                    answer = self._trouble(check, error)
            if answer is not None and self._ends(stage, answer):
                return self._outcome(stage, answer, effects)
        return None

    def _ask(self, check: Check, stage: Stage) -> Answer | Deferred[Answer]:
        try:
            return check.judge(stage, self.facts)
        except Exception as error:
            return self._trouble(check, error)

    def _trouble(self, check: Check, error: Exception) -> Verdict:
        """A fault in one check must not stop the mail, unless it is said to."""
        self.log.failure("check {check} failed", check=check.name)
        action = Action.DEFER if check.defers_on_trouble else Action.PASS
        reason = f"the check failed ({type(error).__name__})"
        return Verdict(action, check.name, reason, status="3.0" if check.defers_on_trouble else "")

    def _ends(self, stage: Stage, verdict: Verdict) -> bool:
        """Take a verdict in; whether no further check is to be asked."""
        self.note(stage, verdict)
        action = verdict.action
        if action is Action.PASS:
            return False
        if action in (Action.TAG, Action.QUARANTINE):
            self._effects.append(Ruling(stage, verdict))
            return False
        if action is Action.ACCEPT and stage in (*_OF_CLIENT, Stage.SENDER):
            self._accepted_at = stage
        return True

    def _outcome(self, stage: Stage, verdict: Verdict, effects: int) -> Answer:
        if verdict.action not in _REFUSES:
            return None
        if stage is Stage.RECIPIENT:
            # What was said of a recipient who is refused says nothing of the others' message.
            del self._effects[effects:]
        return verdict

    def _forget(self, kept: tuple[Stage, ...]) -> None:
        """Leave what was said at these stages alone."""
        if self._accepted_at not in kept:
            self._accepted_at = None
        if self.rulings:
            self.rulings = [ruling for ruling in self.rulings if ruling.stage in kept]
            self._effects = [ruling for ruling in self._effects if ruling.stage in kept]
