"""What an SMTP dialogue needs: router, intake and portal in memory, and a client on a string.

Tests may hold the router's, the intake's or the checker's answers back (``hold``) and make each
fail. Never durable.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

from twisted.cred.portal import Portal
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from gateway.auth.realm import MailRealm
from gateway.core.account import Account
from gateway.core.address import Address
from gateway.core.errors import GatewayError, RelayDenied, UnknownRecipient
from gateway.core.ids import AccountId, QueueId
from gateway.core.messages import Accepted, NewMessage
from gateway.core.ports.routing import Router
from gateway.core.ports.store import MailboxStore
from gateway.core.queue import Start
from gateway.core.route import LocalMailbox, Outbound, Route
from gateway.edge.connection import Door
from gateway.edge.smtp.door import SmtpFactory
from gateway.edge.smtp.services import Auth, SmtpServices, SubmissionServices, nobody
from gateway.policy.engine import NO_POLICY, Policy
from gateway.policy.posting import JudgesPosting
from gateway.policy.quota import QuotaPolicy
from gateway.policy.senders import Senders
from gateway.wire.smtp_extensions import EXTENSIONS, DoorOffer
from gateway.wire.smtp_limits import SmtpLimits
from tests.support.dialogue import Dialogue, Everybody
from tests.support.pop3_fakes import ALICE as ALICE
from tests.support.pop3_fakes import FakeChecker
from tests.support.pop3_fakes import Wire as StringWire
from tests.support.trace_fakes import FakeTrace

BOB = Account(AccountId("b1"), "bob", "bob@example.test", ("bob@example.test", "b@example.test"))

NOW = 1_700_000_000.0  # Tue, 14 Nov 2023 22:13:20 UTC

ENABLED = frozenset(row.keyword for row in EXTENSIONS) - {"AUTH"}
"""Every extension there is, whatever the real doors show (``edge.smtp.extensions``)."""

HOLD_S = 30 * 86_400

AT_ONCE = SmtpLimits(greet_pause_s=0.0, failed_login_s=0.0, error_delay_s=0.0)
"""For dialogues that are not about time."""


class FakeBody:
    """Octets in memory; knows whether they were discarded."""

    def __init__(self) -> None:
        self.octets = bytearray()
        self.discarded = False

    @property
    def size_octets(self) -> int:
        return len(self.octets)

    def write(self, data: bytes) -> None:
        assert not self.discarded
        self.octets += data

    async def read(self, offset: int, length: int) -> bytes:
        return bytes(self.octets[offset : offset + length])

    def discard(self) -> None:
        self.discarded = True


class Held:
    """Answers that wait until a test lets them go."""

    def __init__(self) -> None:
        self.waiting: list[Deferred[None]] = []
        self.holding = False
        self.fails: GatewayError | Exception | None = None

    def hold(self) -> None:
        self.holding = True

    def release(self) -> None:
        """Let the oldest waiting answer go."""
        self.waiting.pop(0).callback(None)

    async def answer(self) -> None:
        if self.holding:
            waiting: Deferred[None] = Deferred()
            self.waiting.append(waiting)
            await waiting
        if self.fails is not None:
            raise self.fails


class FakeIntake(Held):
    """Keeps what it accepted, and every body it gave out."""

    def __init__(self) -> None:
        super().__init__()
        self.accepted: list[NewMessage] = []
        self.bodies: list[FakeBody] = []
        self.open_fails: GatewayError | None = None

    def open_body(self) -> FakeBody:
        if self.open_fails is not None:
            raise self.open_fails
        self.bodies.append(FakeBody())
        return self.bodies[-1]

    async def accept(self, message: NewMessage) -> Accepted:
        await self.answer()
        self.accepted.append(message)
        return Accepted(message.ingest_id, QueueId("q" if message.remote else ""))

    def content(self, index: int = -1) -> bytes:
        """The octets of an accepted message, as the client sent them."""
        return bytes(cast(FakeBody, self.accepted[index].body).octets)


class FakeRouter(Held):
    """alice and bob live in example.test; everything else is outside."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[Address] = []
        self.aliases: dict[str, str] = {}

    async def route(self, recipient: Address, *, may_relay: bool) -> Route:
        self.asked.append(recipient)
        await self.answer()
        domain = self.aliases.get(recipient.domain, recipient.domain)
        recipient = replace(recipient, domain=domain)
        if recipient.domain == "example.test":
            for account in (ALICE, BOB):
                if recipient.key in account.addresses:
                    return LocalMailbox(account)
            raise UnknownRecipient
        if not may_relay:
            raise RelayDenied
        return Outbound()


class FakeStarter(Held):
    """The queue's side of ETRN."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []
        self.says = Start.STARTED

    async def start(self, name: str) -> Start:
        self.asked.append(name)
        await self.answer()
        return self.says


_IDS = re.compile(rb" \[([0-9a-f]{8}(?:-[0-9]+)?)\]\r\n")


class SmtpBench:
    """One door with its fakes; ``connect`` gives clients."""

    def __init__(
        self,
        protocol: str = "smtp",
        *,
        tls: bool = True,
        implicit_tls: bool = False,
        clear_text_login: bool = False,
        limits: SmtpLimits = AT_ONCE,
        router: Router | None = None,
        quota: QuotaPolicy | None = None,
        auth: Auth | None = None,
        policy: Policy = NO_POLICY,
        may_xclient: Callable[[str], bool] = nobody,
        may_relay: Callable[[str], bool] = nobody,
        may_etrn: Callable[[str], bool] = nobody,
        no_soliciting: tuple[str, ...] = (),
        submission: Callable[[SmtpBench], SubmissionServices] | None = None,
        posting: JudgesPosting | None = None,
    ) -> None:
        self.intake = FakeIntake()
        self.router = FakeRouter()
        self.checker = FakeChecker()
        self.clock = Clock()
        self.sessions = Everybody()
        self.trace = FakeTrace()
        portal = Portal(
            cast(Any, MailRealm(cast(MailboxStore, object()))), (cast(Any, self.checker),)
        )
        door = Door(
            protocol=protocol,
            hostname="mail.example.test",
            timers=cast(Any, self.clock),
            sessions=self.sessions,
            tls=cast(Any, object()) if tls else None,
            implicit_tls=implicit_tls,
            clear_text_login=clear_text_login,
        )
        auth = auth or ("required" if protocol == "submission" else "no")
        self.has_room = True
        self.people = {person.login: person for person in (ALICE, BOB)}
        self.starter = FakeStarter()
        services = SmtpServices(
            intake=self.intake,
            router=router or self.router,
            portal=portal,
            wall_clock=lambda: NOW,
            offer=DoorOffer(
                door.hostname,
                limits.size_octets,
                ENABLED | (frozenset() if auth == "no" else {"AUTH"}),
                lmtp=protocol == "lmtp",
                starttls=tls and not implicit_tls,
                recipients=limits.recipients,
                hold_s=HOLD_S,
                no_soliciting=no_soliciting,
            ),
            limits=limits,
            quota=quota,
            policy=policy,
            posting=posting,
            trace=self.trace,
            auth=auth,
            has_room=lambda: self.has_room,
            may_xclient=may_xclient,
            find_person=self._find_person,
            may_relay=may_relay,
            may_etrn=may_etrn,
            queue_starter=self.starter,
            submission=(
                submission(self)
                if submission is not None
                else SubmissionServices(Senders(router or self.router))
            ),
        )
        self.factory = SmtpFactory(door, services)

    async def _find_person(self, login: str) -> Account | None:
        return self.people.get(login)

    def connect(self, ip: str = "192.0.2.9") -> Client:
        """A client that has read the greeting."""
        client = Client(self, ip)
        assert client.read().startswith(b"220 mail.example.test ")
        return client

    def ready(self, ip: str = "192.0.2.9") -> Client:
        """A client that has said EHLO."""
        client = self.connect(ip)
        assert client.say(b"EHLO client.test").startswith(b"250-")
        return client

    def submitter(self) -> Client:
        """A client of submission, logged in as alice inside TLS."""
        client = self.ready()
        if not client.connection.is_tls:
            client.start_tls()
            assert client.say(b"EHLO client.test").startswith(b"250-")
        assert client.say(b"AUTH PLAIN " + plain(b"alice", b"secret")).startswith(b"235 2.7.0 ")
        return client


def plain(login: bytes, password: bytes, authzid: bytes = b"") -> bytes:
    """The one message of SASL PLAIN, in base64."""
    return base64.b64encode(authzid + b"\0" + login + b"\0" + password)


class Wire(StringWire):
    """A transport that notes STARTTLS, an abort, and whether reading is paused."""

    aborted = False
    paused = False

    def abortConnection(self) -> None:
        self.aborted = True

    def pauseProducing(self) -> None:
        self.paused = True

    def resumeProducing(self) -> None:
        self.paused = False


class Client(Dialogue):
    """The far end of one connection. The ids at the end of refusals are kept apart in ``ids``, so
    that tests which are not about them read as people do."""

    def __init__(self, bench: SmtpBench, ip: str) -> None:
        self.connection = bench.factory.buildProtocol(None)
        self.ids: list[str] = []
        self.refusals: list[bytes] = []
        super().__init__(self.connection, Wire, ip)

    def read(self) -> bytes:
        replies = super().read()
        self.refusals += [each for each in replies.split(b"\r\n") if each[:1] in (b"4", b"5")]
        self.ids += [each.decode() for each in _IDS.findall(replies)]
        return _IDS.sub(b"\r\n", replies)

    def open_content(self, *recipients: bytes, sender: bytes = b"<a@far.test>") -> None:
        """As far as 354."""
        assert self.say(b"MAIL FROM:" + sender).startswith(b"250 2.1.0 ")
        for recipient in recipients or (b"<alice@example.test>",):
            assert self.say(b"RCPT TO:" + recipient).startswith(b"250 2.1.5 ")
        assert self.say(b"DATA").startswith(b"354 ")

    def deliver(self, content: bytes, *recipients: bytes, sender: bytes = b"<a@far.test>") -> bytes:
        """One transaction; ``content`` is sent as it is, the ending behind it."""
        self.open_content(*recipients, sender=sender)
        return self.send(content + b".\r\n")

    def start_tls(self) -> None:
        assert self.say(b"STARTTLS").startswith(b"220 2.0.0 ")
        assert self.transport.tls is not None
        self.connection.handshakeCompleted()

    def closed(self) -> bool:
        return bool(self.transport.disconnecting)

    def aborted(self) -> bool:
        return bool(self.transport.aborted)

    def lose(self) -> None:
        self.connection.connectionLost(Failure(ConnectionDone()))


def codes(replies: bytes) -> list[int]:
    """The code of every reply (the last lines of multi-line ones)."""
    assert replies == b"" or replies.endswith(b"\r\n")
    lines = replies.split(b"\r\n")[:-1]
    return [int(line[:3]) for line in lines if line[3:4] == b" "]
