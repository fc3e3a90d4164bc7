"""What all SASL mechanisms share: steps, errors, and base64 as SMTP, POP3 and IMAP all have it.

Owns the envelope of an exchange: strict base64, cancellation, the empty initial response. What is
inside is a mechanism's (``sasl_plain``, ``sasl_cram``, ``sasl_scram``, ``sasl_bearer``,
``sasl_external``), which of them there are is ``mechanisms``'. Never asks a directory, logs, or
knows a protocol's words. A response that is well-formed base64 but no possible login (SECURITY A3)
is no error here: it becomes an offer that ``log_in`` refuses, so that clients see the same as for a
wrong password and the failure is counted like one.

Limits: a line holds at most MAX_LINE_OCTETS (RFC 4954 section 4: 12288); no mechanism keeps more
than two of them.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field
from typing import Protocol

from cryptography import x509

from gateway.core.account import Account
from gateway.core.login_secret import LoginSecret, ScramVerifier, SecretKind

MAX_LINE_OCTETS = 12288


class SaslError(Exception):
    """The exchange ended without an offer."""


class SaslCancelled(SaslError):
    """The client sent ``*`` (RFC 4954 section 4, RFC 3501 section 6.2.2, RFC 5034 section 4)."""


class SaslMalformed(SaslError):
    """Not base64, longer than a line may be, or an initial response where none can be."""


class SaslUnknownMechanism(SaslError):
    """A mechanism that is not offered now."""


# -- what a step may be


@dataclass(frozen=True, slots=True)
class Challenge:
    """What to send to the client; then feed its line to ``respond``."""

    octets: bytes

    @property
    def line(self) -> bytes:
        """In base64, without CRLF."""
        return base64.b64encode(self.octets)


@dataclass(frozen=True, slots=True)
class SecretWanted:
    """Whoever drives the exchange has to look a secret up and call ``told``."""

    login: str
    kind: SecretKind


@dataclass(frozen=True, slots=True)
class Found:
    """What was found for SecretWanted.

    Args:
        secret: None for people who have none; the exchange goes on and fails at its end, as it
            would for a wrong password (SECURITY A6).
        verifier: with SecretKind.SCRAM: the person's, or an invented one.
        others: that are the person's as well, with the same salt and iterations.
    """

    secret: LoginSecret | None
    verifier: ScramVerifier | None = None
    others: tuple[ScramVerifier, ...] = ()


class Proof(Protocol):
    """What a client answered to a challenge, together with what it should have answered."""

    def holds(self) -> bool:
        """Whether it did, compared in constant time."""
        ...

    def app_password(self) -> int:
        """Of a proof that holds: the number of the app password it is of; 0: the person's own."""
        ...

    def barred(self) -> str:
        """Of one that does not: why an app password that it proves is not good here, for the log;
        empty: it proves none."""
        ...


@dataclass(frozen=True, slots=True)
class PasswordOffer:
    """A login name and password as typed."""

    login: str
    password: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class ProofOffer:
    """A login name and the proof that its secret is known; None for somebody without one."""

    login: str
    account: Account | None
    proof: Proof = field(repr=False)


@dataclass(frozen=True, slots=True)
class TokenOffer:
    """A bearer token, and who the client says it is for (empty: whoever the token names)."""

    login: str
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class CertificateOffer:
    """The certificate that TLS has verified, and who the client says it is (may be empty)."""

    login: str
    certificate: x509.Certificate = field(repr=False)


Offer = PasswordOffer | ProofOffer | TokenOffer | CertificateOffer
"""The end of an exchange, for ``log_in``; ``login`` is as typed, decoded from UTF-8."""

Step = Challenge | SecretWanted | Offer

IMPOSSIBLE = PasswordOffer("", b"")
"""Stands for every response that cannot be a login; ``log_in`` refuses it as wrong credentials."""


class Mechanism(Protocol):
    """One exchange on octets; it ends with the first offer."""

    def first(self, message: bytes | None) -> Step:
        """Begin with the initial response, None when the client sent none.

        Raises:
            SaslMalformed: the mechanism has no initial response (RFC 4422 section 5).
        """
        ...

    def next(self, message: bytes) -> Step:
        """Go on with the client's answer to a challenge."""
        ...

    def told(self, found: Found) -> Step:
        """Go on after SecretWanted."""
        ...

    def refused(self) -> Challenge | None:
        """What the client is to be told before it hears that its offer was refused.

        The answer to that, whatever it is, changes nothing.
        """
        ...


class OneMessage:
    """A mechanism whose client speaks first and says everything at once."""

    def first(self, message: bytes | None) -> Step:
        return Challenge(b"") if message is None else self.next(message)

    def next(self, message: bytes) -> Step:
        raise NotImplementedError

    def told(self, found: Found) -> Step:
        raise AssertionError("nothing was asked")

    def refused(self) -> Challenge | None:
        return None


class Exchange:
    """One exchange in base64; ``start`` once, then ``respond`` until an offer or an error comes."""

    __slots__ = ("_mechanism",)

    def __init__(self, mechanism: Mechanism) -> None:
        self._mechanism = mechanism

    def start(self, initial: bytes | None) -> Step:
        """Begin.

        Args:
            initial: initial response in base64 as on the wire (``b"="`` is the empty one, RFC 4954
                section 4), or None when the client sent none.

        Raises:
            SaslMalformed: the initial response cannot be decoded, or there can be none.
        """
        if initial is None or initial == b"=":
            return self._mechanism.first(None if initial is None else b"")
        return self._mechanism.first(decode_base64(initial))

    def respond(self, line: bytes) -> Step:
        """Go on with the client's line (without CRLF).

        Raises:
            SaslCancelled: the line is ``*``.
            SaslMalformed: the line cannot be decoded.
        """
        if line == b"*":
            raise SaslCancelled
        return self._mechanism.next(decode_base64(line))

    def told(self, found: Found) -> Step:
        """Go on after SecretWanted."""
        return self._mechanism.told(found)

    def refused(self) -> Challenge | None:
        """See ``Mechanism.refused``."""
        return self._mechanism.refused()


def decode_base64(text: bytes) -> bytes:
    """Canonical base64 only: no blanks, full padding, no stray bits (SECURITY A2)."""
    if len(text) > MAX_LINE_OCTETS:
        raise SaslMalformed("line too long")
    try:
        octets = binascii.a2b_base64(text, strict_mode=True)
    except binascii.Error:
        # "from None": the cause's traceback would hold the client's octets (SECURITY A9).
        raise SaslMalformed("not base64") from None
    # strict_mode still takes bits behind the last octet (RFC 4648 section 3.5).
    if base64.b64encode(octets) != text:
        raise SaslMalformed("not canonical base64")
    return octets


def offer(username: bytes, password: bytes) -> PasswordOffer:
    """An offer of this user name and password, IMPOSSIBLE if they cannot be anybody's."""
    if not username or not password or b"\0" in username or b"\0" in password:
        return IMPOSSIBLE
    try:
        # RFC 4616 section 2: UTF-8. A password stays as typed, any octets (SECURITY L14).
        return PasswordOffer(username.decode("utf-8"), password)
    except UnicodeDecodeError:
        return IMPOSSIBLE
