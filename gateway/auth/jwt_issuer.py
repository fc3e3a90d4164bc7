"""Tokens that the issuer has signed (RFC 7519, RFC 9068), checked with its keys from a file.

Owns the current keys and when the file is looked at again: at most once in CHECK_INTERVAL_S, when
somebody logs in. A version that cannot be used is logged once and the keys before it stay. What a
token's header says is never followed anywhere: ``jku``, ``x5u``, ``jwk`` and ``x5c`` mean nothing
here, ``kid`` only chooses among the keys of the file. What the issuer has signed for
another end than to be shown by its bearer is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import jwt
from jwt.exceptions import PyJWTError
from twisted.logger import Logger

from gateway.auth.jwks import BadKeySet, VerificationKey, key_set
from gateway.auth.tokens import TokenRules, refused
from gateway.core.errors import DirectoryUnavailable, SettingsError, SettingsProblem
from gateway.core.log_text import escaped
from gateway.core.ports.clock import WallClock
from gateway.directory.threads import WorkerThreads

CHECK_INTERVAL_S = 1.0
MAX_FILE_OCTETS = 1024 * 1024

_TYPES = frozenset(("", "jwt", "at+jwt"))
"""RFC 7519 section 5.1, RFC 9068 section 2.1. Logout tokens, proofs and security events are other
ones (RFC 8725 section 3.11), also where issuer and audience are right."""

_UNCHECKED = {
    f"verify_{claim}": False for claim in ("exp", "nbf", "iat", "aud", "iss", "sub", "jti")
}
"""Claims are TokenRules' affair, so that they mean the same wherever they come from."""


class JwtIssuer:
    """Verifies signed tokens. The constructor reads the file and is blocking.

    Args:
        path: a JWK Set.
        algorithms: of ``jwks.ALGORITHMS``; others are refused whatever the keys allow.
        monotonic: seconds that never jump.

    Raises:
        SettingsError: the file cannot be used.
    """

    log = Logger()

    def __init__(
        self,
        path: Path,
        rules: TokenRules,
        *,
        algorithms: frozenset[str],
        threads: WorkerThreads,
        wall_clock: WallClock,
        monotonic: Callable[[], float],
    ) -> None:
        self._path = path
        self._rules = rules
        self._algorithms = algorithms
        self._threads = threads
        self._wall_clock = wall_clock
        self._monotonic = monotonic
        try:
            self._content = _read(path)
            self._keys = key_set(self._content)
        except (OSError, BadKeySet) as error:
            found = getattr(error, "strerror", None) or str(error)
            expected = "a JWK Set with the issuer's public keys, as its jwks_uri has it"
            problem = SettingsProblem(str(path), "oauth.jwks_file", found, expected)
            raise SettingsError([problem]) from None
        self._next_check = monotonic() + CHECK_INTERVAL_S
        self._complaint = ""

    async def whose(self, token: str) -> str:
        await self._look_again()
        for key in self._candidates(token):
            try:
                claims = jwt.decode(token, key.key, algorithms=[key.algorithm], options=_options())
            except (PyJWTError, ValueError, TypeError, RecursionError):
                continue  # without the error: its text may hold parts of the token (A9)
            return self._rules.person_in(claims, now=self._wall_clock(), issued_by_itself=False)
        raise refused("not signed by a key of the issuer")

    def _candidates(self, token: str) -> list[VerificationKey]:
        """The keys that this token may be signed with."""
        try:
            header = jwt.get_unverified_header(token)
        except (PyJWTError, ValueError, TypeError, RecursionError):
            raise refused("not a signed token") from None
        # Each may be any JSON value.
        algorithm, key_id, kind = str(header.get("alg")), header.get("kid"), header.get("typ", "")
        if algorithm not in self._algorithms:
            raise refused(f"algorithm {algorithm[:20]}")
        if str(kind).lower().removeprefix("application/") not in _TYPES:
            raise refused(f"of type {str(kind)[:20]}")
        return [
            key
            for key in self._keys
            if key.algorithm == algorithm and (key_id is None or key.key_id == key_id)
        ]

    async def _look_again(self) -> None:
        now = self._monotonic()
        if now < self._next_check:
            return
        self._next_check = now + CHECK_INTERVAL_S
        try:
            content: bytes = await self._threads.submit(partial(_read, self._path))
            if content == self._content:
                return
            self._keys = key_set(content)
        except DirectoryUnavailable:
            return  # no thread is free; the next login looks again
        except (OSError, BadKeySet) as error:
            complaint = getattr(error, "strerror", None) or str(error)
            if complaint != self._complaint:
                self.log.error(
                    "{path} cannot be used, the keys of its last good version stay: {why}",
                    path=self._path,
                    why=escaped(complaint),
                )
            self._complaint = complaint
        else:
            self._content, self._complaint = content, ""
            count = len(self._keys)
            self.log.info("{path}: read again, {count} keys", path=self._path, count=count)


def _options() -> Any:
    return {"verify_signature": True, "require": [], **_UNCHECKED}


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        content = file.read(MAX_FILE_OCTETS + 1)
    if len(content) > MAX_FILE_OCTETS:
        raise BadKeySet(f"larger than {MAX_FILE_OCTETS} octets")
    return content
