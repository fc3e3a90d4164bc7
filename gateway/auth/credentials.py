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
from gateway.core.app_passwords import Place


class IPasswordLogin(ICredentials):
    """A login name with a password, and where it came from."""


class IProofLogin(ICredentials):
    """A person with a proof that they know their secret (CRAM-MD5, SCRAM)."""


class ITokenLogin(ICredentials):
    """A token of an issuer, and perhaps a name to go with it (OAUTHBEARER, XOAUTH2)."""


class ICertificateLogin(ICredentials):
    """A client certificate that TLS has verified (EXTERNAL)."""


@dataclass(slots=True)
class Trail:
    """What a checker found besides the account.

    Args:
        app_password: the number of the one that was used; 0: none was.
    """

    app_password: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """Who comes, and from where.

    Args:
        login: as typed, decoded from UTF-8, not normalised; may be empty where the proof names its
            owner itself.
        protocol: ``submission``, ``pop3`` or ``imap``.
        peer_ip: textual address of the client.
        over_tls: whether the connection was encrypted.
        trail: for what the checker finds.
    """

    login: str
    protocol: str
    peer_ip: str
    over_tls: bool
    trail: Trail = field(default_factory=Trail, compare=False)

    @property
    def place(self) -> Place:
        return Place(self.protocol, self.peer_ip)


@implementer(IPasswordLogin)
@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordLogin(Attempt):
    """A password as typed, any octets (SECURITY L14: passed on as they are)."""

    password: bytes = field(repr=False)


@implementer(IProofLogin)
@dataclass(frozen=True, slots=True, kw_only=True)
class ProofLogin(Attempt):
    """The person whose secret was looked up, None for somebody without one, and the proof."""

    account: Account | None
    proof: Proof = field(repr=False)


@implementer(ITokenLogin)
@dataclass(frozen=True, slots=True, kw_only=True)
class TokenLogin(Attempt):
    """A token; ``login`` is who the client says it is for."""

    token: str = field(repr=False)


@implementer(ICertificateLogin)
@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateLogin(Attempt):
    """A verified certificate; ``login`` is who the client says it is."""

    certificate: x509.Certificate = field(repr=False)


def credentials_for(offer: Offer, *, protocol: str, peer_ip: str, over_tls: bool) -> Any:
    """The credentials that this offer makes; Any, as mypy does not see zope's interfaces."""
    came: Any = {
        "login": offer.login,
        "protocol": protocol,
        "peer_ip": peer_ip,
        "over_tls": over_tls,
    }
    match offer:
        case PasswordOffer():
            return PasswordLogin(password=offer.password, **came)
        case ProofOffer():
            return ProofLogin(account=offer.account, proof=offer.proof, **came)
        case TokenOffer():
            return TokenLogin(token=offer.token, **came)
        case CertificateOffer():
            return CertificateLogin(certificate=offer.certificate, **came)


class ISubmission(Interface):
    """Avatar interface: a person who may submit mail (has ``account``)."""


class IMaildrop(Interface):
    """Avatar interface: a person's POP3 maildrop (has ``account`` and ``store``)."""


class IMailAccount(Interface):
    """Avatar interface: a person's mailboxes over IMAP (has ``account`` and ``store``)."""
