"""What a person offers to prove who they are, as twisted.cred credentials.

Owns one interface and one class for each kind of proof, and the way from an offer to them. Never
shows a password or a token: repr and log fields leave them out.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from cryptography import x509
from twisted.cred.credentials import ICredentials
from zope.interface import Interface, implementer

from gateway.auth.sasl import (
    CertificateOffer,
    Offer,
    PasswordOffer,
    Proof,
    ProofOffer,
    TokenOffer,
)
from gateway.core.account import Account


class IPasswordLogin(ICredentials):
    """A login name with a password, and where it came from."""


class IProofLogin(ICredentials):
    """A person with a proof that they know their secret (CRAM-MD5, SCRAM)."""


class ITokenLogin(ICredentials):
    """A token of an issuer, and perhaps a name to go with it (OAUTHBEARER, XOAUTH2)."""


class ICertificateLogin(ICredentials):
    """A client certificate that TLS has verified (EXTERNAL)."""


@implementer(IPasswordLogin)
@dataclass(frozen=True, slots=True)
class PasswordLogin:
    """A login name and password as typed.

    Args:
        login: as typed, decoded from UTF-8, not normalised.
        password: octets as typed (SECURITY L14: passed on as they are).
        protocol: ``submission``, ``pop3`` or ``imap``.
        peer_ip: textual address of the client.
        over_tls: whether the connection was encrypted.
    """

    login: str
    password: bytes = field(repr=False)
    protocol: str
    peer_ip: str
    over_tls: bool


@implementer(IProofLogin)
@dataclass(frozen=True, slots=True)
class ProofLogin:
    """The person whose secret was looked up, None for somebody without one, and the proof."""

    login: str
    account: Account | None
    proof: Proof = field(repr=False)
    protocol: str
    peer_ip: str
    over_tls: bool


@implementer(ITokenLogin)
@dataclass(frozen=True, slots=True)
class TokenLogin:
    """A token, and who the client says it is for (may be empty)."""

    login: str
    token: str = field(repr=False)
    protocol: str
    peer_ip: str
    over_tls: bool


@implementer(ICertificateLogin)
@dataclass(frozen=True, slots=True)
class CertificateLogin:
    """A verified certificate, and who the client says it is (may be empty)."""

    login: str
    certificate: x509.Certificate = field(repr=False)
    protocol: str
    peer_ip: str
    over_tls: bool


def credentials_for(offer: Offer, *, protocol: str, peer_ip: str, over_tls: bool) -> Any:
    """The credentials that this offer makes; Any, as mypy does not see zope's interfaces."""
    match offer:
        case PasswordOffer(login, password):
            return PasswordLogin(login, password, protocol, peer_ip, over_tls)
        case ProofOffer(login, account, proof):
            return ProofLogin(login, account, proof, protocol, peer_ip, over_tls)
        case TokenOffer(login, token):
            return TokenLogin(login, token, protocol, peer_ip, over_tls)
        case CertificateOffer(login, certificate):
            return CertificateLogin(login, certificate, protocol, peer_ip, over_tls)


class ISubmission(Interface):
    """Avatar interface: a person who may submit mail (has ``account``)."""


class IMaildrop(Interface):
    """Avatar interface: a person's POP3 maildrop (has ``account`` and ``store``)."""


class IMailAccount(Interface):
    """Avatar interface: a person's mailboxes over IMAP (has ``account`` and ``store``)."""
