"""A scripted IMAP client on a string transport, with everything a connection needs around it.

``Bench`` owns the clock, the fake store, the people and the door; ``Client`` one connection. Octets
go in whole or one by one, as the bench says, so that every dialogue can be run both ways.
"""

from __future__ import annotations

import re
from typing import Any

from twisted.cred.portal import Portal
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from gateway.auth.realm import MailRealm
from gateway.core.account import Account
from gateway.core.address import Address
from gateway.core.errors import GatewayError, WrongCredentials
from gateway.core.ids import AccountId
from gateway.edge.connection import Door
from gateway.edge.imap.connection import ImapConnection
from gateway.edge.imap.door import ImapFactory
from gateway.edge.imap.services import ImapLimits, ImapServices
from gateway.wire.mime.summary import summarise
from tests.support.dialogue import Everybody
from tests.support.imap_fakes import FakeStore
from tests.support.plain_checker import DirectoryChecker

MESSAGE = b"From: a@example.test\r\nSubject: one\r\n\r\nHello\r\n"


class People:
    """A directory with alice and bob; may be held or made to fail."""

    def __init__(self) -> None:
        self.passwords = {"alice": b"wonderland", "bob": b"builder"}
        self.trouble: GatewayError | None = None
        self.held: Deferred[None] | None = None
        self.asked: list[str] = []

    async def find_by_address(self, address: Address) -> Account | None:
        raise NotImplementedError

    async def find(self, login_or_address: str) -> Account | None:
        raise NotImplementedError

    async def authenticate(self, login: str, password: bytes) -> Account:
        self.asked.append(login)
        if self.held is not None:
            await self.held
        if self.trouble is not None:
            raise self.trouble
        if not password or self.passwords.get(login) != password:
            raise WrongCredentials
        address = f"{login}@example.test"
        return Account(AccountId(login), login, address, (address,))

    async def probe(self) -> str:
        return "here"

    async def close(self) -> None:
        pass


AT_ONCE = ImapLimits(failed_login_s=0.0)


class CountingRealm(MailRealm):
    """Counts the log-outs that are owed."""

    open_sessions = 0

    async def _avatar(self, account: Account, interfaces: tuple[Any, ...]) -> Any:
        interface, avatar, logout = await super()._avatar(account, interfaces)
        self.open_sessions += 1

        def counted() -> None:
            self.open_sessions -= 1
            logout()

        return interface, avatar, counted


class Transport(StringTransport):
    """Also notes STARTTLS, aborting and how often it was written to."""

    def __init__(self, host: str) -> None:
        super().__init__(peerAddress=IPv4Address("TCP", host, 50_000))
        self.tls_started = 0
        self.aborted = False
        self.writes = 0
        self.full = False

    def setTcpNoDelay(self, enabled: bool) -> None:
        pass

    def startTLS(self, contexts: object) -> None:
        self.tls_started += 1

    def abortConnection(self) -> None:
        self.aborted = self.disconnecting = True

    def write(self, data: bytes) -> None:
        self.writes += 1
        super().write(data)
        if self.full and self.producer is not None:
            self.producer.pauseProducing()


class Client:
    """One connection and what it said."""

    def __init__(self, bench: Bench, host: str) -> None:
        self.bench = bench
        self.transport = Transport(host)
        protocol = ImapFactory(bench.door, bench.services).buildProtocol(None)
        assert isinstance(protocol, ImapConnection)
        self.protocol = protocol
        self.protocol.makeConnection(self.transport)
        if bench.door.implicit_tls and not self.transport.aborted:
            self.protocol.handshakeCompleted()
        self._tags = 0
        self._ended = False

    def feed(self, data: bytes) -> None:
        """Octets from the client."""
        pieces = [data[i : i + 1] for i in range(len(data))] if self.bench.bytewise else [data]
        for piece in pieces:
            if not self.closed:
                self.protocol.dataReceived(piece)

    def take(self) -> bytes:
        """What the server wrote since the last look."""
        data: bytes = self.transport.value()
        self.transport.clear()
        return data

    def lines(self) -> list[bytes]:
        return self.take().split(b"\r\n")[:-1]

    def say(self, command: bytes) -> list[bytes]:
        """Send a command; the answer's lines with the tag as ``T``."""
        self._tags += 1
        tag = b"t%d" % self._tags
        self.feed(tag + b" " + command + b"\r\n")
        return [re.sub(rb"\A" + tag + b" ", b"T ", line) for line in self.lines()]

    def last(self, command: bytes) -> bytes:
        """The answer's last line."""
        return self.say(command)[-1]

    @property
    def closed(self) -> bool:
        return bool(self.transport.disconnecting)

    def lose(self) -> None:
        """The connection is gone."""
        if not self._ended:
            self._ended = True
            self.protocol.connectionLost(Failure(ConnectionDone()))


class Bench:
    """The world of one test."""

    def __init__(self, *, bytewise: bool = False, limits: ImapLimits | None = None) -> None:
        self.bytewise = bytewise
        self.clock = Clock()
        self.store = FakeStore(summarise)
        self.people = People()
        self.realm = CountingRealm(self.store)
        self.sessions = Everybody()
        self.door = self.make_door()
        # Any: mypy does not see what @implementer declares.
        realm: Any = self.realm
        checker: Any = DirectoryChecker(self.people)
        self.services = ImapServices(
            portal=Portal(realm, [checker]),
            intake=self.store,
            wall_clock=lambda: 1_700_000_000.5,
            limits=limits or AT_ONCE,
        )
        self.clients: list[Client] = []

    def make_door(
        self, *, tls: bool = True, implicit_tls: bool = True, clear_text_login: bool = False
    ) -> Door:
        contexts: Any = object() if tls else None
        return Door(
            protocol="imap",
            hostname="mail.example.test",
            timers=self.clock,
            sessions=self.sessions,
            tls=contexts,
            implicit_tls=implicit_tls,
            clear_text_login=clear_text_login,
        )

    def connect(self, host: str = "192.0.2.7") -> Client:
        client = Client(self, host)
        self.clients.append(client)
        return client

    def log_in(self, login: str = "alice") -> Client:
        """A connection whose greeting and login are done with."""
        client = self.connect()
        assert client.last(b"LOGIN %b %b" % (login.encode(), self.people.passwords[login]))[:4] == (
            b"T OK"
        )
        return client

    def select(self, name: bytes = b"INBOX", verb: bytes = b"SELECT") -> Client:
        """A client that looks at a mailbox."""
        client = self.log_in()
        assert client.last(verb + b" " + name).startswith(b"T OK")
        # What came before the watch began is asked for once.
        assert client.say(b"NOOP") == [b"T OK Done"]
        return client

    def deliver(self, count: int, data: bytes = MESSAGE, **kwargs: Any) -> None:
        for _ in range(count):
            self.store.deliver(data, **kwargs)

    def deliver_to(self, login: str, data: bytes) -> None:
        """As ``deliver``, for a person who may not exist yet."""
        Deferred.fromCoroutine(self.store.ensure_account(AccountId(login)))
        self.deliver(1, data, account_id=login)

    def close(self) -> None:
        """Every connection ends, and nothing may be left behind."""
        for client in self.clients:
            client.lose()
        assert self.sessions.open == set()
        assert self.realm.open_sessions == 0
        assert not any(self.store.watchers.values())
        assert self.clock.getDelayedCalls() == []
