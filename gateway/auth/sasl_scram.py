"""SCRAM-SHA-256 and SCRAM-SHA-256-PLUS (RFC 5802, RFC 7677): both ends prove that they know a key.

Owns the server's side: messages, the channel binding and its protection against downgrades, and
what the proof means; its arithmetic is ``core.scram``'s. Never derives a key from a password
(``core.login_secret`` does, in a thread) and never looks anybody up.

None of the three protocols can carry our last message with its success, so it goes as a challenge
that the client answers with nothing (RFC 4954 section 4, RFC 5034 section 4; RFC 3501 section
6.2.2).

Limits: a client's nonce has at most MAX_NONCE octets; extensions are refused where they are
mandatory (``m=``) and skipped elsewhere (RFC 5802 section 5.1).
"""

from __future__ import annotations

import base64
import hmac
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from gateway.auth.sasl import (
    IMPOSSIBLE,
    Challenge,
    Found,
    ProofOffer,
    SaslMalformed,
    SecretWanted,
    Step,
    decode_base64,
)
from gateway.core.account import Account
from gateway.core.login_secret import ScramVerifier, SecretKind
from gateway.core.scram import from_saslname, proves, server_signature

MAX_NONCE = 512

Binding = Callable[[], bytes | None]
"""Makes a channel's binding data when a client names its kind; None: this channel has none."""

# RFC 5802 section 7:
#   gs2-cbind-flag = ("p=" cb-name) / "n" / "y"          cb-name = 1*(ALPHA / DIGIT / "." / "-")
#   gs2-header     = gs2-cbind-flag "," [ "a=" saslname ] ","
#   client-first-message-bare = [reserved-mext ","] username "," nonce ["," extensions]
# A reserved-mext ("m=…") does not match: RFC 5802 section 5.1 has it refused.
_CLIENT_FIRST = re.compile(
    rb"((n|y|p=([A-Za-z0-9.-]{1,64})),(?:a=([^,\0]+))?,)"
    rb"(n=([^,\0]+),r=([\x21-\x2b\x2d-\x7e]{1,%d})(?:,[A-Za-z]=[^,\0]+)*)\Z" % MAX_NONCE
)
#   client-final-message-without-proof = channel-binding "," nonce ["," extensions]
#   client-final-message = client-final-message-without-proof "," proof
_CLIENT_FINAL = re.compile(
    rb"(c=([A-Za-z0-9+/=]+),r=([\x21-\x2b\x2d-\x7e]+)(?:,[A-Za-z]=[^,\0]+)*)"
    rb",p=([A-Za-z0-9+/=]+)\Z"
)


@dataclass(frozen=True, slots=True)
class ScramProof:
    """The client's proof beside what checks it (RFC 5802 section 3).

    Args:
        verifiers: of all passwords that the person has, which is never none.
    """

    verifiers: tuple[ScramVerifier, ...]
    auth_message: bytes = field(repr=False)
    proof: bytes = field(repr=False)

    def holds(self) -> bool:
        proven = self._proven()
        return proven is not None and not proven.barred

    def app_password(self) -> int:
        proven = self._proven()
        return proven.app_password if proven is not None else 0

    def barred(self) -> str:
        proven = self._proven()
        return proven.barred if proven is not None else ""

    def server_signature(self) -> bytes:
        proven = self._proven()
        assert proven is not None, "only a proof that holds is answered"
        return server_signature(proven.server_key, self.auth_message)

    def _proven(self) -> ScramVerifier | None:
        found = None
        for verifier in self.verifiers:  # all of them: the time tells nothing of which it is
            if proves(self.proof, verifier.stored_key, self.auth_message):
                found = verifier
        return found


class Scram:
    """One exchange.

    Args:
        nonce: ours; printable, without commas.
        bindings: what this connection's TLS can be bound to, by name; empty: nothing.
        plus: whether the client chose the variant with channel binding.
    """

    __slots__ = (
        "_account",
        "_bindings",
        "_client_bare",
        "_expected_binding",
        "_login",
        "_nonce",
        "_plus",
        "_proof",
        "_server_first",
        "_verifiers",
    )

    def __init__(self, nonce: bytes, bindings: Mapping[str, Binding], *, plus: bool) -> None:
        self._nonce = nonce
        self._bindings = bindings
        self._plus = plus
        self._login = ""
        self._client_bare = b""
        self._expected_binding = b""
        self._server_first = b""
        self._account: Account | None = None
        self._verifiers: tuple[ScramVerifier, ...] = ()
        self._proof: ScramProof | None = None

    def first(self, message: bytes | None) -> Step:
        return Challenge(b"") if message is None else self.next(message)

    def next(self, message: bytes) -> Step:
        if self._proof is not None:
            # RFC 5802 section 5: nothing follows our signature.
            return self._offer(self._proof) if not message else IMPOSSIBLE
        if self._verifiers:
            return self._client_final(message)
        return self._client_first(message)

    def refused(self) -> Challenge | None:
        return None

    # -- the client's first message and our answer

    def _client_first(self, message: bytes) -> Step:
        found = _CLIENT_FIRST.match(message)
        if found is None:
            return IMPOSSIBLE
        header, flag, binding_name, authzid, bare, name, nonce = found.groups()
        login, acts_for = from_saslname(name), from_saslname(authzid or name)
        # Nobody may act for somebody else here (SECURITY A3).
        if login is None or acts_for != login:
            return IMPOSSIBLE
        binding = self._bound_to(flag, binding_name)
        if binding is None:
            return IMPOSSIBLE
        self._login = login
        self._client_bare = bare
        self._nonce = nonce + self._nonce
        self._expected_binding = header + binding
        return SecretWanted(login, SecretKind.SCRAM)

    def _bound_to(self, flag: bytes, name: bytes | None) -> bytes | None:
        """The channel binding data of this exchange; None: it must fail (RFC 5802 section 6)."""
        if name is not None:
            make = self._bindings.get(name.decode("ascii")) if self._plus else None
            return make() if make is not None else None
        if self._plus:
            return None  # the variant's name promises a binding
        if flag == b"y" and self._bindings:
            # "The client thinks that we do not support it", and we have said that we do: somebody
            # in between has taken -PLUS out of our list.
            return None
        return b""

    def told(self, found: Found) -> Step:
        assert found.verifier is not None, "a verifier is there for everybody, invented or not"
        self._verifiers = (found.verifier, *found.others)
        self._account = found.secret.account if found.secret is not None else None
        self._server_first = b"r=%b,s=%b,i=%d" % (
            self._nonce,
            base64.b64encode(found.verifier.salt),
            found.verifier.iterations,
        )
        return Challenge(self._server_first)

    # -- its last message and our signature

    def _client_final(self, message: bytes) -> Step:
        found = _CLIENT_FINAL.match(message)
        if found is None:
            return IMPOSSIBLE
        without_proof, binding, nonce, coded = found.groups()
        try:
            bound, answer = decode_base64(binding), decode_base64(coded)
        except SaslMalformed:
            return IMPOSSIBLE
        auth_message = b",".join((self._client_bare, self._server_first, without_proof))
        proof = ScramProof(self._verifiers, auth_message, answer)
        bound_right = hmac.compare_digest(bound, self._expected_binding)
        if nonce != self._nonce or not bound_right:
            return IMPOSSIBLE
        account = self._account
        # Nobody hears from our signature that the password of somebody who may not log in was
        # right (A6).
        if account is None or not account.enabled or account.locked or not proof.holds():
            return self._offer(proof)
        self._proof = proof
        return Challenge(b"v=" + base64.b64encode(proof.server_signature()))

    def _offer(self, proof: ScramProof) -> ProofOffer:
        return ProofOffer(self._login, self._account, proof)
