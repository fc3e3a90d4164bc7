"""CRAM-MD5 (RFC 2195): a keyed digest of our challenge, for devices that know nothing better.

Owns challenge, answer and their comparison. Works only where the password itself is kept
(SecretKind.PASSWORD). The digest reveals no password, but MD5 and the missing channel binding are
why it is offered inside TLS only, like the others.
"""

from __future__ import annotations

import hmac
import re
from dataclasses import dataclass, field

from gateway.auth.sasl import (
    IMPOSSIBLE,
    Challenge,
    Found,
    ProofOffer,
    SaslMalformed,
    SecretWanted,
    Step,
)
from gateway.core.login_secret import SecretKind

# RFC 2195 section 2: "the user name, a space, and a digest", 32 hex digits in lower case.
_ANSWER = re.compile(rb"(?s)(.+) ([0-9a-f]{32})\Z")


@dataclass(frozen=True, slots=True)
class CramProof:
    """The answer beside what it should be."""

    password: bytes = field(repr=False)
    challenge: bytes
    digest: bytes = field(repr=False)

    def holds(self) -> bool:
        right = hmac.new(self.password, self.challenge, "md5").hexdigest()
        return hmac.compare_digest(right.encode("ascii"), self.digest)

    def app_password(self) -> int:
        return 0  # only their hashes are kept

    def barred(self) -> str:
        return ""


class CramMd5:
    """Challenge, then ``name digest``.

    Args:
        nonce: what makes the challenge unlike any other; printable, without ``<``, ``>`` and ``@``.
        hostname: ours.
    """

    __slots__ = ("_challenge", "_digest", "_login")

    def __init__(self, nonce: bytes, hostname: str) -> None:
        # RFC 2195 section 2: a msg-id of RFC 822.
        self._challenge = b"<%b@%b>" % (nonce, hostname.encode("ascii"))
        self._login = ""
        self._digest = b""

    def first(self, message: bytes | None) -> Step:
        if message is not None:
            # RFC 4954 section 4: 501; the server has the first word.
            raise SaslMalformed("CRAM-MD5 has no initial response")
        return Challenge(self._challenge)

    def next(self, message: bytes) -> Step:
        found = _ANSWER.match(message)
        if found is None or b"\0" in message:
            return IMPOSSIBLE
        try:
            self._login = found[1].decode("utf-8")
        except UnicodeDecodeError:
            return IMPOSSIBLE
        self._digest = found[2]
        return SecretWanted(self._login, SecretKind.PASSWORD)

    def told(self, found: Found) -> Step:
        secret = found.secret
        known = secret is not None and secret.password is not None
        password = secret.password if secret is not None and secret.password is not None else b""
        return ProofOffer(
            self._login,
            secret.account if secret is not None and known else None,
            CramProof(password, self._challenge, self._digest),
        )

    def refused(self) -> Challenge | None:
        return None
