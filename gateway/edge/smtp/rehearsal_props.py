"""What a rehearsed session has in the place of things that keep, count or send.

Owns the stand-ins, and taking down what the real checks and the real router answered. Each of them
changes nothing in the store, in memory that others see, or on the network.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

from twisted.internet.defer import Deferred

from gateway.core.account import Account
from gateway.core.address import Address
from gateway.core.errors import DirectoryUnavailable, ExpansionFailed
from gateway.core.ids import AccountId, QueueId
from gateway.core.messages import Accepted, NewMessage
from gateway.core.ports.body import IncomingBody
from gateway.core.ports.routing import ExplainingRouter
from gateway.core.ports.store import QuotaStore
from gateway.core.quota import Quota, Usage
from gateway.core.route import Expansion, LocalMailbox, Route, ends_of
from gateway.edge.connection import MailConnection
from gateway.edge.smtp.rehearsal_groups import shown_expansion
from gateway.policy.checks import Answer, Check
from gateway.policy.engine import Policy
from gateway.policy.facts import Facts
from gateway.policy.senders import Names, Senders, Standing
from gateway.policy.verdicts import Stage, Verdict


class Notes:
    """What was asked and answered since the last step."""

    def __init__(self) -> None:
        self.checks: list[dict[str, Any]] = []
        self.routing: list[str] = []
        self.logins: dict[AccountId, str] = {}
        self.expansion: dict[str, Any] | None = None

    def add(self, text: str) -> None:
        """One more step of the router (``core.ports.routing.Steps``)."""
        self.routing.append(text)

    def posting(self, verdict: Verdict, logged_in: bool) -> None:
        """The word of one of the groups that a recipient is."""
        note = {"check": verdict.check, "stage": Stage.RECIPIENT.value} | in_words(verdict)
        if logged_in:
            note["reason"] = f"after a login: {note['reason']}"
        self.checks.append(note)

    def take(self) -> tuple[list[dict[str, Any]], list[str]]:
        taken = self.checks, self.routing
        self.checks, self.routing = [], []
        return taken


class ObservedCheck:
    """A check of the policy, whose answers are taken down, also when it has nothing to say."""

    def __init__(self, check: Check, notes: Notes) -> None:
        self._check = check
        self._notes = notes

    @property
    def name(self) -> str:
        return self._check.name

    @property
    def stages(self) -> frozenset[Stage]:
        return self._check.stages

    @property
    def defers_on_trouble(self) -> bool:
        return self._check.defers_on_trouble

    def judge(self, stage: Stage, facts: Facts) -> Answer | Deferred[Answer]:
        note: dict[str, Any] = {"check": self.name, "stage": stage.value, "action": "failed"}
        self._notes.checks.append(note)
        answer = self._check.judge(stage, facts)
        if isinstance(answer, Deferred):
            return answer.addCallback(self._noted, note)
        return self._noted(answer, note)

    @staticmethod
    def _noted(answer: Answer, note: dict[str, Any]) -> Answer:
        note.update(in_words(answer))
        return answer


def in_words(answer: Answer) -> dict[str, Any]:
    """A verdict as ``gateway explain`` shows it."""
    if answer is None:
        return {"action": "pass", "reason": "nothing to say", "inputs": {}}
    shown: dict[str, Any] = {
        "action": answer.action.value,
        "reason": answer.reason,
        "inputs": dict(answer.inputs),
    }
    return shown | ({"tag": answer.tag} if answer.tag else {})


def observed(policy: Policy, notes: Notes) -> Policy:
    """The same checks in the same order. None of them hears of the end of the connection, as none
    has counted it."""
    watched = Policy(policy.name, ())
    watched.by_stage = {
        stage: tuple(ObservedCheck(check, notes) for check in checks)
        for stage, checks in policy.by_stage.items()
    }
    return watched


class ObservedRouter:
    """The router, whose steps are taken down.

    Args:
        tells: where a recipient leads is to be told as well.
    """

    def __init__(self, router: ExplainingRouter, notes: Notes, *, tells: bool = False) -> None:
        self._router = router
        self._notes = notes
        self._tells = tells

    async def route(self, recipient: Address, *, may_relay: bool) -> Route:
        try:
            route = await self._router.route(recipient, may_relay=may_relay, steps=self._notes)
        except (DirectoryUnavailable, ExpansionFailed) as error:
            self._notes.add(str(error))
            raise
        if self._tells and isinstance(route, Expansion):
            self._notes.expansion = shown_expansion(route)
        for end in ends_of(recipient, route):
            if isinstance(end.route, LocalMailbox):
                account = end.route.account
                self._notes.logins[account.account_id] = account.login
        return route


class ObservedSenders(Senders):
    """As whom somebody may send, with how that was found out."""

    def __init__(self, senders: Senders, notes: Notes) -> None:
        router = ObservedRouter(senders.router, notes)  # type: ignore[arg-type]  # the real one explains
        super().__init__(
            router,
            groups=senders.groups,
            send_as=senders.send_as,
            rules=senders.rules,
            meaning=senders.meaning,
            members_may=senders.members_may,
        )
        self._notes = notes

    def of(self, account: Account) -> Names:
        return ObservedNames(self, account, self._notes)


class ObservedNames(Names):
    """What one person may send as; each answer is taken down."""

    __slots__ = ("_notes",)

    def __init__(self, senders: Senders, account: Account, notes: Notes) -> None:
        super().__init__(senders, account)
        self._notes = notes

    def known(self, address: Address) -> Standing | None:
        standing = super().known(address)
        if standing is not None:
            self._note(address, standing)
        return standing

    async def find(self, address: Address) -> Standing | None:
        standing = await super().find(address)
        self._note(address, standing)
        return standing

    def _note(self, address: Address, standing: Standing | None) -> None:
        login = self.account.login
        why = {
            Standing.OWN: f"{login} may send as {address}, their own address",
            Standing.SHARED: f"{login} may send as {address}, by a group or a rule for them",
            None: f"{login} may not send as {address}",
        }
        self._notes.add(why[standing])


class QuotaLookedAt:
    """What is kept of people's mail, with the bounds that would be told now; nothing is told."""

    def __init__(self, store: QuotaStore) -> None:
        self._store = store
        self._bounds: dict[AccountId, Quota] = {}

    async def set_quota(self, account_id: AccountId, quota: Quota) -> None:
        self._bounds[account_id] = quota

    async def usage(self, account_id: AccountId) -> Usage:
        usage = await self._store.usage(account_id)
        return replace(usage, quota=self._bounds.get(account_id, usage.quota))

    def watch_filling(self, callback: Callable[[AccountId, Usage], None]) -> Callable[[], None]:
        return _nothing


class BodyInMemory:
    """The octets of the rehearsed message."""

    def __init__(self) -> None:
        self._octets = bytearray()

    @property
    def size_octets(self) -> int:
        return len(self._octets)

    def write(self, data: bytes) -> None:
        self._octets += data

    async def read(self, offset: int, length: int) -> bytes:
        return bytes(self._octets[offset : offset + length])

    def discard(self) -> None:
        return


class KeepsNothing:
    """The port Intake: remembers what it was to keep."""

    def __init__(self) -> None:
        self.accepted: NewMessage | None = None

    def open_body(self) -> IncomingBody:
        return BodyInMemory()

    async def accept(self, message: NewMessage) -> Accepted:
        self.accepted = message
        return Accepted(message.ingest_id, QueueId(""))


class CountsNobody:
    """The registry of connections; the rehearsed one is none.

    Args:
        new_id: of the real registry.
        objection: why a connection from this address would be refused now, or empty text.
    """

    def __init__(self, new_id: Callable[[], str], objection: Callable[[str], str]) -> None:
        self._new_id = new_id
        self._objection = objection

    def new_id(self) -> str:
        """The log has lines of this session as well, which must not be taken for a real one's."""
        return f"rehearsal-{self._new_id()}"

    def add(self, connection: MailConnection) -> str:
        return self._objection(connection.peer_ip)

    def remove(self, connection: MailConnection) -> None:
        return


class Wire:
    """The transport: what the session says goes to ``heard``, what closes it is remembered."""

    def __init__(self, ip: str, heard: Callable[[bytes], None]) -> None:
        self._peer = SimpleNamespace(host=ip)
        self._heard = heard
        self.session: Any = None
        self.closed = False

    def getPeer(self) -> object:
        return self._peer

    def write(self, data: bytes) -> None:
        self._heard(data)

    def loseConnection(self) -> None:
        self.closed = True
        self._heard(b"")

    def abortConnection(self) -> None:
        self.loseConnection()

    def startTLS(self, context: object) -> None:
        """As if the handshake had gone well."""
        self.session.handshakeCompleted()

    def registerProducer(self, producer: object, streaming: bool) -> None:
        return

    def unregisterProducer(self) -> None:
        return

    def pauseProducing(self) -> None:
        return

    def resumeProducing(self) -> None:
        return


def _nothing() -> None:
    return
