"""What each kind of proof must show before somebody is let in, and that every no is the same."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import pytest
from twisted.cred.checkers import ICredentialsChecker
from twisted.cred.portal import Portal
from zope.interface.verify import verifyObject

from gateway.auth.certificate_names import names_by
from gateway.auth.checkers import CertificateChecker, ProofChecker, TokenChecker
from gateway.auth.credentials import ISubmission
from gateway.auth.login import log_in
from gateway.auth.realm import MailRealm
from gateway.auth.sasl import CertificateOffer, Offer, ProofOffer, TokenOffer
from gateway.core.account import Account
from gateway.core.errors import DirectoryUnavailable, IssuerUnavailable, WrongCredentials
from gateway.core.ids import AccountId
from gateway.core.login_reasons import LoginReason
from gateway.core.ports.store import MailboxStore
from tests.auth.worlds import ALICE, CERTIFICATE, certificate
from tests.support.pump import Pump

BOB = Account(AccountId("id-2"), "bob", "bob@example.test", ("bob@example.test",))
PEOPLE = {"alice": ALICE, "alice@example.test": ALICE, "bob@example.test": BOB}


class Directory:
    def __init__(self, people: dict[str, Account] | Exception) -> None:
        self.people = people

    async def find(self, name: str) -> Account | None:
        if isinstance(self.people, Exception):
            raise self.people
        return self.people.get(name)

    find_by_certificate = find


class Issuer:
    def __init__(self, answer: str | Exception) -> None:
        self.answer = answer

    async def whose(self, token: str) -> str:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


class Proof:
    def __init__(self, holds: bool) -> None:
        self._holds = holds
        self.asked = 0

    def holds(self) -> bool:
        self.asked += 1
        return self._holds

    def app_password(self) -> int:
        return 0

    def barred(self) -> str:
        return ""


def enter(
    offer: Offer,
    people: dict[str, Account] | Exception = PEOPLE,
    *,
    issuer: str | Exception = "alice",
    rule: str = "email",
) -> Account:
    directory = Directory(people)
    checkers = [
        ProofChecker(),
        TokenChecker(Issuer(issuer), directory),
        CertificateChecker(directory, names_by(rule)),
    ]
    for checker in checkers:
        assert verifyObject(ICredentialsChecker, checker)
    portal = Portal(cast(Any, MailRealm(cast(MailboxStore, object()))), cast(Any, checkers))
    entry = log_in(portal, offer, ISubmission, protocol="imap", peer_ip="::1", over_tls=True)
    account: Account = Pump().wait(entry).avatar.account
    return account


def refused(offer: Offer, people: dict[str, Account] = PEOPLE, **more: Any) -> None:
    with pytest.raises(WrongCredentials) as error:
        enter(offer, people, **more)
    # SECURITY A6: no reason shows.
    assert error.value.safe_text == "authentication failed" and not error.value.fields


GONE = {"alice": replace(ALICE, enabled=False), "alice@example.test": replace(ALICE, enabled=False)}

LOCKED = {name: replace(ALICE, locked=True) for name in GONE}


def test_a_proof_that_holds() -> None:
    assert enter(ProofOffer("alice", ALICE, Proof(True))) == ALICE


def test_A6_a_proof_that_does_not_or_is_nobodys() -> None:
    refused(ProofOffer("alice", ALICE, Proof(False)))
    refused(ProofOffer("alice", replace(ALICE, enabled=False), Proof(True)))
    nobodys = Proof(True)
    refused(ProofOffer("nobody", None, nobodys))
    assert nobodys.asked == 1, "the same work as for somebody"


@pytest.mark.parametrize("claimed", ["", "alice", "ALICE", "Alice@Example.Test"])
def test_a_token_of_the_person_it_is_used_for(claimed: str) -> None:
    assert enter(TokenOffer(claimed, "t")) == ALICE


def test_A3_a_token_used_as_somebody_else() -> None:
    refused(TokenOffer("bob", "t"))
    refused(TokenOffer("bob@example.test", "t"))
    refused(TokenOffer("alic", "t"))


def test_A6_a_token_that_is_wrong_or_of_nobody_here() -> None:
    refused(TokenOffer("", "t"), issuer=WrongCredentials(LoginReason.DISABLED))
    refused(TokenOffer("", "t"), issuer="nobody")
    refused(TokenOffer("", "t"), people=GONE)
    refused(TokenOffer("", "t"), people=LOCKED)


def test_A5_trouble_is_told_apart() -> None:
    with pytest.raises(IssuerUnavailable):
        enter(TokenOffer("", "t"), issuer=IssuerUnavailable())
    with pytest.raises(DirectoryUnavailable):
        enter(TokenOffer("", "t"), people=DirectoryUnavailable())
    with pytest.raises(DirectoryUnavailable):
        enter(CertificateOffer("", CERTIFICATE), people=DirectoryUnavailable())


@pytest.mark.parametrize("claimed", ["", "alice", "alice@example.test"])
def test_a_certificate_of_the_person(claimed: str) -> None:
    assert enter(CertificateOffer(claimed, CERTIFICATE)) == ALICE


def test_A3_certificates_that_let_nobody_in() -> None:
    refused(CertificateOffer("bob", CERTIFICATE))
    refused(CertificateOffer("", certificate("nobody@example.test")))
    refused(CertificateOffer("", certificate("alice@example.test", "bob@example.test")))
    refused(CertificateOffer("", certificate(common_name="alice")))
    refused(CertificateOffer("", certificate()))
    refused(CertificateOffer("", CERTIFICATE), people=GONE)
    refused(CertificateOffer("", CERTIFICATE), people=LOCKED)
    # The subject's address is looked at only where there is no other (RFC 5280 section 4.1.2.6).
    both = certificate("nobody@example.test", subject_email="alice@example.test")
    refused(CertificateOffer("", both))


def test_what_names_the_owner_is_the_administrators_choice() -> None:
    subject = certificate(subject_email="alice@example.test", common_name="bob@example.test")
    assert enter(CertificateOffer("", subject)) == ALICE
    assert enter(CertificateOffer("", subject), rule="common_name") == BOB
    (print_of,) = names_by("fingerprint")(subject)
    assert len(print_of) == 64
    assert enter(CertificateOffer("", subject), {print_of: BOB}, rule="fingerprint") == BOB


def test_several_names_of_one_person_are_good() -> None:
    one = certificate("alice@example.test", "a.liddell@example.test")
    assert enter(CertificateOffer("", one), {**PEOPLE, "a.liddell@example.test": ALICE}) == ALICE
    crowd = certificate("alice@example.test", *(f"x{n}@example.test" for n in range(10)))
    refused(CertificateOffer("", crowd))
