"""The SASL mechanisms: one row each, and which of them can work on a connection right now.

Owns the table that SMTP, POP3 and IMAP share, and the choice; the exchanges are the ``sasl_*``
files'. A mechanism that cannot work here and now is not offered and not begun: nobody is led into
an exchange that must fail.

A client chooses before it says who it is, and many choose the strongest. So that nobody with only a
hash is led into SCRAM because a colleague has more, what needs a secret is offered once everybody
has one, or when the administrator names it.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from secrets import token_bytes
from typing import Protocol

from cryptography import x509

from gateway.auth.account_sessions import AccountSessions
from gateway.auth.app_passwords_sessions import AppPasswordSessions
from gateway.auth.sasl import Exchange, Found, Mechanism, SaslUnknownMechanism
from gateway.auth.sasl_bearer import OAuthBearer, XOAuth2
from gateway.auth.sasl_cram import CramMd5
from gateway.auth.sasl_external import External
from gateway.auth.sasl_plain import Login, Plain
from gateway.auth.sasl_scram import Binding, Scram
from gateway.auth.throttle import LoginThrottle
from gateway.core.app_passwords import Place
from gateway.core.login_secret import SecretKind

NONCE_OCTETS = 18


class Needs(Enum):
    """What a mechanism cannot do without."""

    PASSWORD_CHECK = "somebody who checks a password"  # noqa: S105 - a need's name
    KNOWN_PASSWORD = "somebody's password as it is"  # noqa: S105 - a need's name
    VERIFIER = "somebody's password or SCRAM verifier"
    VERIFIER_AND_BINDING = "the same, and TLS that can be bound to"
    TOKEN_ISSUER = "an issuer of tokens"  # noqa: S105 - a need's name
    CLIENT_CERTIFICATE = "a verified client certificate"


class SecretFinder(Protocol):
    """Finds secrets of people; kept by ``secrets``."""

    def kinds(self) -> frozenset[SecretKind]: ...

    def common_kinds(self) -> frozenset[SecretKind]: ...

    async def find(self, login: str, kind: SecretKind, place: Place) -> Found: ...


class Channel(Protocol):
    """What TLS knows of a connection; kept by ``edge.tls``."""

    def bindings(self) -> Mapping[str, Binding]:
        """What can be bound to (RFC 5056), by the names of the IANA registry."""
        ...

    def client_certificate(self) -> x509.Certificate | None:
        """The one that was verified; None also when the client showed another one or none."""
        ...


@dataclass(frozen=True, slots=True)
class Means:
    """What the gateway has to check logins with, the same for all doors.

    Args:
        secrets: finds passwords and verifiers; None: there are none.
        tokens: an issuer is configured, and the portal has a checker for its tokens.
        certificates: the portal has a checker for client certificates.
        allowed: names of mechanisms the administrator wants; empty: all that can work for
            everybody.
        discovery: see ``OAuthBearer``.
        hostname: ours, for challenges.
        random: octets nobody can guess.
        throttle: what guessing costs; None: no more than the time of each failure.
        tell_reasons: whoever had the right password may hear why it lets them in no more.
        app_password_sessions: hears of those that an app password has opened.
        account_sessions: hears of all that somebody has opened.
    """

    secrets: SecretFinder | None = None
    tokens: bool = False
    certificates: bool = False
    allowed: frozenset[str] = frozenset()
    discovery: str = ""
    hostname: str = "localhost"
    random: Callable[[int], bytes] = token_bytes
    throttle: LoginThrottle | None = None
    tell_reasons: bool = False
    app_password_sessions: AppPasswordSessions | None = None
    account_sessions: AccountSessions | None = None

    @property
    def passwords(self) -> bool:
        """Whether IMAP's LOGIN and POP3's PASS are wanted, which send them as PLAIN does."""
        return not self.allowed or not self.allowed.isdisjoint(("PLAIN", "LOGIN"))

    def nonce(self) -> bytes:
        """Printable, without commas and without what a msg-id gives a meaning."""
        return base64.urlsafe_b64encode(self.random(NONCE_OCTETS))


PASSWORDS_ONLY = Means()


@dataclass(frozen=True, slots=True)
class Row:
    """One mechanism.

    Args:
        needs: what has to be there.
        tls: it has no meaning, or no safety anywhere, without TLS; the others follow the door's
            rule for passwords (the demo takes them on loopback).
        make: one exchange.
    """

    name: str
    rfc: str
    needs: Needs
    tls: bool
    make: Callable[[Means, Channel | None], Mechanism]


def _bindings(channel: Channel | None) -> Mapping[str, Binding]:
    return channel.bindings() if channel is not None else {}


def _shown_bindings(means: Means, channel: Channel | None) -> Mapping[str, Binding]:
    """Empty also when -PLUS is not offered, so that a client may say that it has not seen it."""
    allowed = not means.allowed or "SCRAM-SHA-256-PLUS" in means.allowed
    return _bindings(channel) if allowed else {}


def _external(means: Means, channel: Channel | None) -> Mechanism:
    certificate = channel.client_certificate() if channel is not None else None
    assert certificate is not None, "not offered without one"
    return External(certificate)


MECHANISMS: tuple[Row, ...] = (
    # The order in which they are offered: some clients take the first one they know.
    Row(
        "SCRAM-SHA-256-PLUS", "RFC 7677", Needs.VERIFIER_AND_BINDING, True,
        lambda means, channel: Scram(means.nonce(), _bindings(channel), plus=True),
    ),
    Row(
        "SCRAM-SHA-256", "RFC 7677", Needs.VERIFIER, False,
        lambda means, channel: Scram(means.nonce(), _shown_bindings(means, channel), plus=False),
    ),
    Row("EXTERNAL", "RFC 4422 appendix A", Needs.CLIENT_CERTIFICATE, True, _external),
    Row(
        "OAUTHBEARER", "RFC 7628", Needs.TOKEN_ISSUER, True,
        lambda means, _: OAuthBearer(means.discovery),
    ),
    Row(
        "XOAUTH2", "developers.google.com/gmail/imap/xoauth2-protocol", Needs.TOKEN_ISSUER, True,
        lambda means, channel: XOAuth2(),
    ),
    Row("PLAIN", "RFC 4616", Needs.PASSWORD_CHECK, False, lambda means, channel: Plain()),
    Row(
        "LOGIN", "draft-murchison-sasl-login-00", Needs.PASSWORD_CHECK, False,
        lambda means, channel: Login(),
    ),
    Row(
        "CRAM-MD5", "RFC 2195", Needs.KNOWN_PASSWORD, False,
        lambda means, channel: CramMd5(means.nonce(), means.hostname),
    ),
)  # fmt: skip

NAMES = tuple(row.name for row in MECHANISMS)


def offered(means: Means, channel: Channel | None, *, over_tls: bool) -> tuple[str, ...]:
    """The names of the mechanisms that can work now, where the door takes logins at all.

    Args:
        channel: of the connection's TLS; None without TLS.
        over_tls: the connection is encrypted.
    """
    return tuple(row.name for row in MECHANISMS if _works(row, means, channel, over_tls))


def exchange(name: str, means: Means, channel: Channel | None, *, over_tls: bool) -> Exchange:
    """A new exchange; names are compared ignoring case (RFC 4422 section 3.1 has upper case only).

    Raises:
        SaslUnknownMechanism: there is none of this name, or it is not offered now.
    """
    wanted = name.upper()
    for row in MECHANISMS:
        if row.name == wanted and _works(row, means, channel, over_tls):
            return Exchange(row.make(means, channel))
    raise SaslUnknownMechanism(name[:40])


def _works(row: Row, means: Means, channel: Channel | None, over_tls: bool) -> bool:
    if (means.allowed and row.name not in means.allowed) or (row.tls and not over_tls):
        return False
    match row.needs:
        case Needs.PASSWORD_CHECK:
            return True
        case Needs.TOKEN_ISSUER:
            return means.tokens
        case Needs.CLIENT_CERTIFICATE:
            shown = channel.client_certificate() if channel is not None else None
            return means.certificates and shown is not None
    if means.secrets is None:
        return False
    kinds = means.secrets.kinds() if means.allowed else means.secrets.common_kinds()
    if row.needs is Needs.KNOWN_PASSWORD:
        return SecretKind.PASSWORD in kinds
    usable = bool(kinds)  # a password is as good as a verifier
    if row.needs is Needs.VERIFIER:
        return usable
    return usable and bool(_bindings(channel))
