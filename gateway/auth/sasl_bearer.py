"""OAUTHBEARER (RFC 7628) and XOAUTH2 (Google's and Microsoft's older form): a token of an issuer.

Owns the shape of their messages and the JSON that tells a client that its token is no good. Never
looks into a token: ``tokens`` does. A message that is no such message is a wrong token.

Limits: the line's bound is the token's (MAX_LINE_OCTETS in base64: about 9,000 octets).
"""

from __future__ import annotations

import json
import re

from gateway.auth.sasl import IMPOSSIBLE, Challenge, OneMessage, Step, TokenOffer

# RFC 6750 section 2.1: b64token; RFC 7628 section 4 has the scheme compared ignoring case.
_BEARER = re.compile(r"(?i:bearer) +([A-Za-z0-9._~+/-]+=*)\Z")
# RFC 7628 section 3.1: client-resp = (gs2-header kvsep *kvpair kvsep), kvsep = %x01. No channel
# binding is possible, so its flag is "n" or "y".
_HEADER = re.compile(r"[ny],(?:a=([^,\0]+))?,\Z")
_KEY = re.compile(r"[A-Za-z]+\Z")


class OAuthBearer(OneMessage):
    """``n,a=person,^Ahost=…^Aport=…^Aauth=Bearer token^A^A``.

    Args:
        discovery: the issuer's OpenID configuration, where a client finds out how to get a token;
            empty: not told.
    """

    __slots__ = ("_discovery",)

    def __init__(self, discovery: str = "") -> None:
        self._discovery = discovery

    def next(self, message: bytes) -> Step:
        text, _, rest = _decoded(message).partition("\x01")
        header = _HEADER.match(text)
        pairs = _pairs(rest)
        if header is None or pairs is None:
            return IMPOSSIBLE
        login = _unescaped(header[1] or "")
        return _offer(login, pairs.get("auth", "")) if login is not None else IMPOSSIBLE

    def refused(self) -> Challenge | None:
        # RFC 7628 section 3.2.2
        details = {"status": "invalid_token"}
        if self._discovery:
            details["openid-configuration"] = self._discovery
        return Challenge(json.dumps(details, separators=(",", ":")).encode("ascii"))


class XOAuth2(OneMessage):
    """``user=person^Aauth=Bearer token^A^A``."""

    def next(self, message: bytes) -> Step:
        pairs = _pairs(_decoded(message))
        if pairs is None or not pairs.get("user") or "\0" in pairs["user"]:
            return IMPOSSIBLE
        return _offer(pairs["user"], pairs.get("auth", ""))

    def refused(self) -> Challenge | None:
        return Challenge(b'{"status":"401","schemes":"bearer","scope":"mail"}')


def _decoded(message: bytes) -> str:
    try:
        return message.decode("utf-8")
    except UnicodeDecodeError:
        return ""


def _pairs(text: str) -> dict[str, str] | None:
    """``key=value^A`` any number of times, then another ^A; None for anything else."""
    if not text.endswith("\x01\x01"):
        return None
    pairs: dict[str, str] = {}
    for pair in text[:-2].split("\x01"):
        key, equals, value = pair.partition("=")
        # Twice the same key is a trick on whoever reads the other one.
        if not equals or not _KEY.match(key) or key.lower() in pairs:
            return None
        pairs[key.lower()] = value
    return pairs


def _offer(login: str, auth: str) -> Step:
    found = _BEARER.match(auth)
    return TokenOffer(login, found[1]) if found is not None else IMPOSSIBLE


def _unescaped(name: str) -> str | None:
    """A saslname (RFC 5801 section 4): ``=2C`` and ``=3D``, and no other ``=``."""
    if "=" in name.replace("=2C", "").replace("=3D", ""):
        return None
    return name.replace("=2C", ",").replace("=3D", "=")
