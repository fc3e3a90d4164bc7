"""From an offer to an avatar, with the three errors that doors must know."""

from __future__ import annotations

import base64
import traceback
from pathlib import Path
from typing import Any, cast

import pytest
from twisted.cred.checkers import ICredentialsChecker
from twisted.cred.error import UnauthorizedLogin
from twisted.cred.portal import IRealm, Portal
from twisted.internet.defer import Deferred
from zope.interface import Interface
from zope.interface.verify import verifyObject

from gateway.auth.avatars import MailAccount, Maildrop, Submitter
from gateway.auth.credentials import (
    IMailAccount,
    IMaildrop,
    IPasswordLogin,
    ISubmission,
    PasswordLogin,
)
from gateway.auth.login import LoggedIn, log_in
from gateway.auth.realm import MailRealm
from gateway.auth.sasl import IMPOSSIBLE, PasswordOffer
from gateway.core.account import Account
from gateway.core.errors import DirectoryUnavailable, StoreUnavailable, WrongCredentials
from gateway.core.ids import AccountId
from gateway.core.login_reasons import LoginReason
from gateway.core.ports.directory import Directory
from gateway.core.ports.store import MailboxStore
from gateway.directory.ldif.directory import LdifDirectory
from tests.auth.worlds import exchange
from tests.support.plain_checker import DirectoryChecker
from tests.support.pump import Pump

DEMO = Path(__file__).parents[2] / "etc" / "demo.ldif"
ALICE = Account(AccountId("id-1"), "alice", "alice@example.test", ("alice@example.test",))
OFFER = PasswordOffer("Alice", b"wonderland")


class FakeDirectory:
    """Answers every login the same way."""

    def __init__(self, answer: Account | Exception) -> None:
        self.answer = answer
        self.asked: list[tuple[str, bytes]] = []

    async def authenticate(self, login: str, password: bytes) -> Account:
        self.asked.append((login, password))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


class FakeStore:
    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.ensured: list[str] = []

    async def ensure_account(self, account_id: AccountId) -> None:
        if self.error is not None:
            raise self.error
        self.ensured.append(account_id)


class Bench:
    def __init__(self, answer: Account | Exception = ALICE, store: FakeStore | None = None) -> None:
        self.directory = FakeDirectory(answer)
        self.store = store or FakeStore()
        self.realm = MailRealm(cast(MailboxStore, self.store))
        self.checker = DirectoryChecker(cast(Directory, self.directory))
        self.portal = Portal(cast(Any, self.realm), [cast(Any, self.checker)])

    def log_in(self, interface: Any = ISubmission, offer: PasswordOffer = OFFER) -> LoggedIn:
        return Pump().wait(
            log_in(
                self.portal,
                offer,
                interface,
                protocol="imap",
                peer_ip="192.0.2.1",
                over_tls=True,
            )
        )


def test_each_door_gets_its_avatar() -> None:
    bench = Bench()
    assert bench.log_in(ISubmission).avatar == Submitter(ALICE)
    assert bench.store.ensured == []
    assert bench.log_in(IMaildrop).avatar == Maildrop(ALICE, cast(MailboxStore, bench.store))
    assert bench.log_in(IMailAccount).avatar == MailAccount(ALICE, cast(MailboxStore, bench.store))
    assert bench.store.ensured == ["id-1", "id-1"]
    for interface in (ISubmission, IMaildrop, IMailAccount):
        logged_in = bench.log_in(interface)
        assert interface.providedBy(logged_in.avatar)
        logged_in.logout()


def test_the_offer_reaches_the_directory_as_typed() -> None:
    bench = Bench()
    bench.log_in(offer=PasswordOffer("ALICE", b" p\xc3\xa4ss "))
    assert bench.directory.asked == [("ALICE", b" p\xc3\xa4ss ")]


def test_cred_finds_what_it_needs() -> None:
    bench = Bench()
    assert verifyObject(ICredentialsChecker, bench.checker)
    assert verifyObject(IRealm, bench.realm)
    assert IPasswordLogin.providedBy(
        PasswordLogin(login="a", password=b"b", protocol="imap", peer_ip="::1", over_tls=True)
    )


@pytest.mark.parametrize(
    "answer",
    [
        WrongCredentials(LoginReason.DISABLED, proven=True),
        UnauthorizedLogin("something telling"),
        Account(AccountId("id-2"), "dave", "", (), enabled=False),
    ],
    ids=["wrong", "unauthorized", "disabled"],
)
def test_A6_every_refusal_is_the_same(answer: Account | Exception) -> None:
    with pytest.raises(WrongCredentials) as refusal:
        Bench(answer).log_in()
    assert refusal.value.safe_text == "authentication failed"
    assert refusal.value.fields == {}


def test_A5_directory_trouble_is_not_a_wrong_password() -> None:
    with pytest.raises(DirectoryUnavailable):
        Bench(DirectoryUnavailable(reason="down")).log_in()


def test_a_store_that_cannot_open_the_mailbox_is_told_apart() -> None:
    bench = Bench(store=FakeStore(StoreUnavailable()))
    with pytest.raises(StoreUnavailable):
        bench.log_in(IMailAccount)
    assert bench.log_in(ISubmission).avatar.account == ALICE


def test_an_interface_nobody_serves_is_a_mistake_of_ours() -> None:
    class IOther(Interface):
        pass

    with pytest.raises(NotImplementedError):
        Bench().log_in(IOther)


def test_A9_the_password_is_in_no_repr_or_traceback() -> None:
    secret = PasswordOffer("alice", b"s3cret-0815")
    assert "s3cret" not in repr(
        PasswordLogin(login="a", password=b"s3cret", protocol="imap", peer_ip="::1", over_tls=True)
    )
    for answer in (WrongCredentials(), DirectoryUnavailable(), RuntimeError("bug")):
        with pytest.raises(type(answer)) as error:
            Bench(answer).log_in(offer=secret)
        assert "s3cret-0815" not in "".join(traceback.format_exception(error.value))


def test_a_caller_that_goes_away_cancels_the_login() -> None:
    waiting: Deferred[Account] = Deferred()

    class Slow(FakeDirectory):
        async def authenticate(self, login: str, password: bytes) -> Account:
            return await waiting

    portal = Portal(
        cast(Any, MailRealm(cast(MailboxStore, FakeStore()))),
        [cast(Any, DirectoryChecker(cast(Directory, Slow(ALICE))))],
    )
    running = Deferred.fromCoroutine(
        log_in(portal, OFFER, ISubmission, protocol="imap", peer_ip="::1", over_tls=True)
    )
    failures: list[Any] = []
    running.addErrback(failures.append)
    running.cancel()
    assert waiting.called
    assert failures


def test_sasl_to_avatar_on_the_demos_people(pump: Pump) -> None:
    directory = LdifDirectory(DEMO, call_from_thread=pump.call_from_thread)
    realm: Any = MailRealm(cast(MailboxStore, FakeStore()))
    checker: Any = DirectoryChecker(directory)
    portal = Portal(realm, [checker])

    def login(offer: PasswordOffer) -> LoggedIn:
        return pump.wait(
            log_in(portal, offer, IMaildrop, protocol="pop3", peer_ip="::1", over_tls=True)
        )

    offer = exchange("PLAIN").start(base64.b64encode(b"\0bob@example.test\0builder"))
    assert isinstance(offer, PasswordOffer)
    assert login(offer).avatar.account.login == "bob"
    # SECURITY A3: what cannot be a login ends like a wrong password.
    for wrong in (IMPOSSIBLE, PasswordOffer("bob", b"wonderland")):
        with pytest.raises(WrongCredentials):
            login(wrong)
    pump.wait(directory.close())


@pytest.fixture
def pump() -> Pump:
    return Pump()
