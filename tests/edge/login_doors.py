"""The three doors with everything that logins can be checked with, and what clients say at them."""

from __future__ import annotations

import base64
import hmac
from dataclasses import dataclass, replace
from typing import Any, cast

from twisted.cred.portal import Portal
from twisted.internet.task import Clock

from gateway.auth.certificate_names import names_by
from gateway.auth.checkers import CertificateChecker, ProofChecker, TokenChecker
from gateway.auth.mechanisms import Means
from gateway.auth.realm import MailRealm
from gateway.core.account import Account
from gateway.core.errors import WrongCredentials
from gateway.core.ports.store import MailboxStore
from gateway.edge.connection import Door, MailConnection
from gateway.edge.imap.door import ImapFactory
from gateway.edge.imap.services import ImapServices
from gateway.edge.pop3 import Pop3Factory, Pop3Services
from gateway.edge.smtp.door import SmtpFactory
from gateway.wire.smtp_limits import SmtpLimits
from tests.auth.worlds import ALICE, FULL, FakeChannel, ScramClient
from tests.support.dialogue import Dialogue, Everybody
from tests.support.pop3_fakes import FakeChecker, FakeStore
from tests.support.smtp_fakes import SmtpBench, Wire

DOORS = ("submission", "pop3", "imap")
GOOD_TOKEN = "good-token"


class Directory:
    """Finds alice, or fails."""

    fails: Exception | None = None

    async def find(self, name: str) -> Account | None:
        if self.fails is not None:
            raise self.fails
        return ALICE if name in ("alice", "alice@example.test") else None

    find_by_certificate = find


class Issuer:
    fails: Exception | None = None

    async def whose(self, token: str) -> str:
        if self.fails is not None:
            raise self.fails
        if token != GOOD_TOKEN:
            raise WrongCredentials
        return "alice@example.test"


class LoginBench:
    """One door; ``connect`` gives clients inside TLS, or outside."""

    def __init__(self, protocol: str, *, means: Means = FULL, tls: bool = True) -> None:
        self.protocol = protocol
        self.clock = Clock()
        self.directory, self.issuer, self.checker = Directory(), Issuer(), FakeChecker()
        store: Any = FakeStore()
        realm: Any = MailRealm(cast(MailboxStore, store))
        checkers: list[Any] = [
            self.checker,
            ProofChecker(),
            TokenChecker(self.issuer, self.directory),
            CertificateChecker(self.directory, names_by("email")),
        ]
        portal = Portal(realm, checkers)
        door = Door(
            protocol=protocol,
            hostname="mail.example.test",
            timers=cast(Any, self.clock),
            sessions=Everybody(),
            tls=cast(Any, object()),
            implicit_tls=tls,
            means=means,
        )
        if protocol == "submission":
            bench = SmtpBench("submission", implicit_tls=tls)
            limits = SmtpLimits(greet_pause_s=0.0, error_delay_s=0.0)
            services = replace(bench.factory.services, portal=portal, limits=limits)
            self.factory: Any = SmtpFactory(door, services)
        elif protocol == "pop3":
            self.factory = Pop3Factory(door, Pop3Services(portal))
        else:
            services_of_imap = ImapServices(portal, store, lambda: 0.0)
            self.factory = ImapFactory(door, services_of_imap)

    def connect(self) -> Client:
        return Client(self)


@dataclass(frozen=True)
class Answer:
    """``kind``: in, more, wrong, later, bad or nothing (yet); ``challenge`` of more."""

    kind: str
    octets: bytes

    @property
    def challenge(self) -> bytes:
        assert self.kind == "more", self.octets
        return base64.b64decode(self.octets.partition(b" ")[2].strip())


_KINDS = (
    (b"334", "more"),
    (b"235 2.7.0", "in"),
    (b"535 5.7.8", "wrong"),
    (b"454 4.7.0", "later"),
    (b"5", "bad"),
    (b"+ ", "more"),
    (b"+OK", "in"),
    (b"-ERR [AUTH]", "wrong"),
    (b"-ERR [SYS/TEMP]", "later"),
    (b"-ERR", "bad"),
    (b"a OK", "in"),
    (b"a NO [AUTHENTICATIONFAILED]", "wrong"),
    (b"a NO [UNAVAILABLE]", "later"),
    (b"a ", "bad"),
)


class Client(Dialogue):
    """One client of one door.

    Args:
        drips: it sends octet by octet.
    """

    drips = False

    def __init__(self, bench: LoginBench) -> None:
        self.bench = bench
        self.connection: MailConnection = bench.factory.buildProtocol(None)
        super().__init__(self.connection, Wire, "192.0.2.9")
        if self.connection.is_tls:
            self.connection.handshakeCompleted()
        self.read()
        if bench.protocol == "submission":
            assert self.say(b"EHLO client.test").startswith(b"250-")

    def send(self, octets: bytes) -> bytes:
        pieces = [octets[i : i + 1] for i in range(len(octets))] if self.drips else [octets]
        return b"".join(super(Client, self).send(piece) for piece in pieces)

    def answer(self, octets: bytes) -> Answer:
        if not octets:
            return Answer("nothing", b"")
        kind = next(kind for start, kind in _KINDS if octets.startswith(start))
        return Answer(kind, octets)

    def auth(self, mechanism: str, initial: bytes | None = None) -> Answer:
        """Begin; ``initial`` as octets."""
        return self.raw_auth(mechanism, None if initial is None else coded(initial) or b"=")

    def raw_auth(self, mechanism: str, initial: bytes | None = None) -> Answer:
        """Begin with an initial response as it is on the wire."""
        command = b"a AUTHENTICATE" if self.bench.protocol == "imap" else b"AUTH"
        line = command + b" " + mechanism.encode()
        return self.answer(self.say(line if initial is None else line + b" " + initial))

    def line(self, octets: bytes) -> Answer:
        """Answer a challenge."""
        return self.answer(self.say(coded(octets)))

    def later(self) -> Answer:
        """What comes once the time that failures cost is over."""
        self.bench.clock.advance(0.9)
        early = self.read()
        assert early == b"", early
        self.bench.clock.advance(0.2)
        return self.answer(self.read())

    def closed(self) -> bool:
        return bool(self.transport.disconnecting)

    def offered(self) -> list[str]:
        """The mechanisms that the door shows, in its order."""
        ask = {"submission": b"EHLO x.test", "pop3": b"CAPA", "imap": b"b CAPABILITY"}
        words = self.say(ask[self.bench.protocol])
        if self.bench.protocol == "imap":
            return [w[5:].decode() for w in words.split() if w.startswith(b"AUTH=")]
        for line in words.splitlines():
            text = line.removeprefix(b"250-").removeprefix(b"250 ").decode()
            if text.startswith(("AUTH ", "SASL")):
                return text.split()[1:]
        return []


def coded(octets: bytes) -> bytes:
    return base64.b64encode(octets)


CHANNEL = FakeChannel()


def log_in(client: Client, mechanism: str, *, right: bool = True) -> Answer:
    """A whole exchange, to the answer of its last message (which a failure delays)."""
    # The door's checker of passwords knows another one than the secrets have; so be it.
    password = b"secret" if right else b"wrong"
    secret = b"wonderland" if right else b"wrong"
    token = GOOD_TOKEN if right else "bad"
    match mechanism:
        case "PLAIN":
            return client.auth(mechanism, b"\0alice\0" + password)
        case "LOGIN":
            assert client.auth(mechanism).challenge == b"Username:"
            assert client.line(b"alice").challenge == b"Password:"
            return client.line(password)
        case "CRAM-MD5":
            challenge = client.auth(mechanism).challenge
            digest = hmac.new(secret, challenge, "md5").hexdigest().encode()
            return client.line(b"alice " + digest)
        case "SCRAM-SHA-256" | "SCRAM-SHA-256-PLUS":
            plus = mechanism.endswith("PLUS")
            scram = ScramClient(
                password=secret,
                header=b"p=tls-exporter,," if plus else b"n,,",
                binding=CHANNEL.data["tls-exporter"] if plus else b"",
            )
            answer = client.line(scram.final(client.auth(mechanism, scram.first).challenge))
            if answer.kind != "more":
                return answer
            assert answer.challenge == scram.server_signature
            return client.line(b"")
        case "OAUTHBEARER":
            return client.auth(mechanism, b"n,,\x01auth=Bearer %b\x01\x01" % token.encode())
        case "XOAUTH2":
            head = b"user=alice@example.test\x01auth=Bearer %b\x01\x01"
            return client.auth(mechanism, head % token.encode())
        case "EXTERNAL":
            return client.auth(mechanism, b"" if right else b"bob")
    raise AssertionError(mechanism)
