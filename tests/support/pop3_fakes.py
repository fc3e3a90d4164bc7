"""What a POP3 dialogue needs: one account's INBOX in memory, a portal, and a client on a string.

Tests may hold the store's or the checker's answers back (``hold``), count what was asked, and make
either fail. Never durable.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from twisted.cred.checkers import ICredentialsChecker
from twisted.cred.portal import Portal
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from zope.interface import implementer

from gateway.auth.credentials import IPasswordLogin, PasswordLogin
from gateway.auth.realm import MailRealm
from gateway.core.account import Account
from gateway.core.errors import GatewayError, MaildropInUse, WrongCredentials
from gateway.core.ids import AccountId, BlobId, MailboxId, ModSeq, Uid
from gateway.core.mailboxes import Mailbox, Selection
from gateway.core.messages import MessageRow
from gateway.core.ports.store import MailboxStore
from gateway.core.uids import UidRuns
from gateway.core.uidset import Ranges, contains, from_sorted
from gateway.edge.connection import Door
from gateway.edge.pop3 import Pop3Factory, Pop3Limits, Pop3Services
from tests.support.dialogue import Dialogue, Everybody

ALICE = Account(AccountId("a1"), "alice", "alice@example.test", ("alice@example.test",))


class FakeStore:
    """One account's INBOX. UIDs are 10, 11, 12…: never the message numbers."""

    def __init__(self, *messages: bytes) -> None:
        self.messages = {10 + index: message for index, message in enumerate(messages)}
        self.fails: GatewayError | Exception | None = None
        self.held: Deferred[None] | None = None
        self.locked = False
        self.old_names: dict[Uid, str] = {}
        self.reads: list[tuple[int, int]] = []
        self.largest_batch = 0

    def hold(self) -> Deferred[None]:
        """Let every answer wait until this fires."""
        self.held = Deferred()
        return self.held

    async def _answer(self) -> None:
        if self.held is not None:
            held, self.held = self.held, None
            await held
        if self.fails is not None:
            raise self.fails

    async def ensure_account(self, account_id: AccountId) -> None:
        await self._answer()

    async def select(self, account_id: AccountId, name: str, *, claim_recent: bool) -> Selection:
        assert (account_id, name, claim_recent) == (ALICE.account_id, "INBOX", False)
        await self._answer()
        mailbox = Mailbox(MailboxId(1), account_id, name, 777, Uid(10_000_000), ModSeq(1))
        return Selection(mailbox, UidRuns(from_sorted(tuple(self.messages))), Uid(1), 0, ())

    async def rows(self, mailbox_id: MailboxId, uids: Ranges) -> Sequence[MessageRow]:
        await self._answer()
        found = [
            MessageRow(Uid(uid), ModSeq(1), frozenset(), 0, len(message), BlobId(uid))
            for uid, message in self.messages.items()
            if contains(uids, uid)
        ]
        self.largest_batch = max(self.largest_batch, len(found))
        return found

    async def uidls(self, mailbox_id: MailboxId) -> Mapping[Uid, str]:
        await self._answer()
        return self.old_names

    async def read(self, blob_id: BlobId, offset: int, length: int) -> bytes:
        self.reads.append((offset, length))
        await self._answer()
        return self.messages[blob_id][offset : offset + length]

    async def expunge(
        self, mailbox_id: MailboxId, uids: Ranges | None, *, only_deleted: bool
    ) -> tuple[Uid, ...]:
        assert uids and not only_deleted
        await self._answer()
        gone = tuple(Uid(uid) for uid in self.messages if contains(uids, uid))
        for uid in gone:
            del self.messages[uid]
        return gone

    def lock_maildrop(self, account_id: AccountId) -> Callable[[], None]:
        if self.locked:
            raise MaildropInUse
        self.locked = True
        released: list[bool] = []

        def release() -> None:
            assert not released, "released twice"
            released.append(True)
            self.locked = False

        return release


@implementer(ICredentialsChecker)
class FakeChecker:
    """Knows alice with the password ``secret``; remembers what it was asked."""

    credentialInterfaces = (IPasswordLogin,)

    def __init__(self) -> None:
        self.asked: list[PasswordLogin] = []
        self.fails: GatewayError | Exception | None = None
        self.held: Deferred[None] | None = None

    def requestAvatarId(self, credentials: PasswordLogin) -> Deferred[Account]:
        self.asked.append(credentials)
        return Deferred.fromCoroutine(self._check(credentials))

    async def _check(self, credentials: PasswordLogin) -> Account:
        if self.held is not None:
            await self.held
        if self.fails is not None:
            raise self.fails
        if (credentials.login, credentials.password) != ("alice", b"secret"):
            raise WrongCredentials
        return ALICE


class Wire(StringTransport):
    """A transport that notes STLS."""

    tls: object = None

    def startTLS(self, context: object) -> None:
        self.tls = context


class Pop3Bench:
    """One door with its fakes; ``connect`` gives clients."""

    def __init__(
        self,
        *messages: bytes,
        tls: bool = True,
        implicit_tls: bool = False,
        clear_text_login: bool = True,
        limits: Pop3Limits | None = None,
        real_store: MailboxStore | None = None,
    ) -> None:
        self.store = FakeStore(*messages)
        self.checker = FakeChecker()
        self.clock = Clock()
        self.sessions = Everybody()
        portal = Portal(
            cast(Any, MailRealm(real_store or cast(MailboxStore, self.store))),
            (cast(Any, self.checker),),
        )
        door = Door(
            protocol="pop3",
            hostname="mail.example.test",
            timers=cast(Any, self.clock),
            sessions=self.sessions,
            tls=cast(Any, object()) if tls else None,
            implicit_tls=implicit_tls,
            clear_text_login=clear_text_login,
        )
        self.factory = Pop3Factory(door, Pop3Services(portal, limits or Pop3Limits()))

    def connect(self, ip: str = "127.0.0.1") -> Client:
        client = Client(self, ip)
        assert client.read() if not self.sessions.reason else True
        return client

    def login(self) -> Client:
        client = self.connect()
        assert client.say(b"USER alice") == b"+OK send the password\r\n"
        assert client.say(b"PASS secret").startswith(b"+OK ")
        return client


class Client(Dialogue):
    """The far end of one connection."""

    def __init__(self, bench: Pop3Bench, ip: str) -> None:
        self.connection = bench.factory.buildProtocol(None)
        super().__init__(self.connection, Wire, ip)

    def start_tls(self) -> None:
        assert self.say(b"STLS") == b"+OK begin TLS\r\n"
        assert self.transport.tls is not None
        self.connection.handshakeCompleted()

    def closed(self) -> bool:
        return bool(self.transport.disconnecting)

    def lose(self) -> None:
        self.connection.connectionLost(Failure(ConnectionDone()))
