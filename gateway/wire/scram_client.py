"""Proving by SCRAM-SHA-256 that we know a password, to a server that must prove it too.

Owns the client's messages (RFC 5802 section 7, RFC 7677) and the check of the server's. Never
derives keys, which takes its time: it says of what, and is given them. Channels are not bound.

Limits: a server may ask for MAX_ITERATIONS.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
from contextlib import suppress
from dataclasses import dataclass, field

from gateway.core.saslprep import saslprep
from gateway.core.scram import ScramKeys, as_saslname, client_proof, server_signature

MAX_ITERATIONS = 1_000_000
_HEADER = b"n,,"  # RFC 5802 section 6: we bind no channel, and act for nobody else

# server-first-message = [reserved-mext ","] nonce "," salt "," iteration-count ["," extensions]
# A reserved-mext ("m=…") does not match: RFC 5802 section 5.1 has it refused.
_SERVER_FIRST = re.compile(
    rb"r=([\x21-\x2b\x2d-\x7e]+),s=([A-Za-z0-9+/=]+),i=([1-9][0-9]{0,8})(?:,[A-Za-z]=[^,\0]+)*"
)
# server-final-message = (server-error / verifier) ["," extensions]
_SERVER_FINAL = re.compile(rb"v=([A-Za-z0-9+/=]+)(?:,[A-Za-z]=[^,\0]+)*")


class ScramRefused(Exception):
    """The server's message is none of SCRAM's, or asks for too much; says why."""


@dataclass(frozen=True, slots=True)
class KeysWanted:
    """Derive ``core.scram.scram_keys`` of these."""

    password: bytes = field(repr=False)
    salt: bytes
    iterations: int


class ScramClient:
    """One exchange.

    Args:
        nonce: printable, without commas; nobody can guess it.
    """

    __slots__ = ("_bare", "_message", "_nonce", "_password", "_server_first", "_server_key")

    def __init__(self, user: str, password: bytes, nonce: bytes) -> None:
        with suppress(ValueError):  # then as it is, as the other mechanisms have it
            user = saslprep(user)
        self._password = password
        self._nonce = nonce
        self._bare = b"n=%b,r=%b" % (as_saslname(user), nonce)
        self._server_first = b""
        self._message = b""
        self._server_key = b""

    @property
    def first(self) -> bytes:
        return _HEADER + self._bare

    @property
    def is_answered(self) -> bool:
        """The server's challenge has been."""
        return bool(self._server_first)

    def challenged(self, message: bytes) -> KeysWanted:
        """The server's first message. Raises: ScramRefused."""
        found = _SERVER_FIRST.fullmatch(message)
        if found is None:
            raise ScramRefused("no challenge of SCRAM")
        nonce, coded, iterations = found[1], found[2], int(found[3])
        # RFC 5802 section 5.1: it begins with ours, and must not end there.
        if not nonce.startswith(self._nonce) or nonce == self._nonce:
            raise ScramRefused("a challenge that answers another exchange")
        if iterations > MAX_ITERATIONS:
            raise ScramRefused(f"{iterations} iterations; {MAX_ITERATIONS} are taken")
        salt = _octets(coded)
        self._nonce = nonce
        self._server_first = message
        return KeysWanted(self._password, salt, iterations)

    def final(self, keys: ScramKeys) -> bytes:
        bare = b"c=%b,r=%b" % (base64.b64encode(_HEADER), self._nonce)
        self._message = b",".join((self._bare, self._server_first, bare))
        self._server_key = keys.server_key
        return bare + b",p=" + base64.b64encode(client_proof(keys, self._message))

    def is_proven(self, message: bytes) -> bool:
        """Whether the server's last message shows that it knows the password (RFC 5802 section 3).

        Raises:
            ScramRefused: it is an error, or none of SCRAM's.
        """
        found = _SERVER_FINAL.fullmatch(message)
        if found is None:
            raise ScramRefused("no last message of SCRAM")
        ours = server_signature(self._server_key, self._message)
        return hmac.compare_digest(_octets(found[1]), ours)


def _octets(coded: bytes) -> bytes:
    try:
        return base64.b64decode(coded, validate=True)
    except binascii.Error:
        raise ScramRefused("a value that is not base64") from None
