"""Tokens that only their issuer can read: it is asked about each (RFC 7662).

Owns the question, what its answer means, and a short memory of good tokens. Never talks HTTP
(``https_post`` does). Trouble of any kind is IssuerUnavailable and never looks like a wrong token;
it is not remembered either.

Limits: MAX_ASKING questions at once; MAX_REMEMBERED good tokens, by their hash, for at most
REMEMBER_S and never beyond their end: so long a token that was revoked meanwhile still works.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from gateway.auth.tokens import Claims, TokenRules, refused
from gateway.core.errors import IssuerUnavailable
from gateway.core.log_text import escaped
from gateway.core.ports.clock import WallClock

REMEMBER_S = 60.0
MAX_REMEMBERED = 10_000
MAX_ASKING = 64


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """What the issuer's server said."""

    status: int
    body: bytes = field(repr=False)


Post = Callable[[bytes], Coroutine[Deferred[Any], Any, HttpAnswer]]
"""Sends a form to the issuer. Raises: IssuerUnavailable."""


class Introspection:
    """Asks the issuer about tokens.

    Args:
        monotonic: seconds that never jump.
    """

    log = Logger()

    def __init__(
        self,
        post: Post,
        rules: TokenRules,
        *,
        wall_clock: WallClock,
        monotonic: Callable[[], float],
    ) -> None:
        self._post = post
        self._rules = rules
        self._wall_clock = wall_clock
        self._monotonic = monotonic
        self._asking = 0
        # Oldest first, so that what is forgotten first comes first.
        self._remembered: dict[bytes, tuple[float, Claims]] = {}

    async def whose(self, token: str) -> str:
        name = hashlib.sha256(token.encode()).digest()
        until, remembered = self._remembered.get(name, (0.0, {}))
        if self._monotonic() < until:
            return self._person_in(remembered)  # looked at again: it may have ended meanwhile
        self._remembered.pop(name, None)
        claims = await self._ask(token)
        person = self._person_in(claims)
        self._remember(name, claims)
        return person

    def _person_in(self, claims: Claims) -> str:
        return self._rules.person_in(claims, now=self._wall_clock(), issued_by_itself=True)

    def _remember(self, name: bytes, claims: Claims) -> None:
        if len(self._remembered) >= MAX_REMEMBERED:
            self._remembered.pop(next(iter(self._remembered)))
        self._remembered[name] = (self._monotonic() + REMEMBER_S, claims)

    async def _ask(self, token: str) -> Claims:
        if self._asking >= MAX_ASKING:
            raise self._trouble("too many questions at once")
        self._asking += 1
        try:
            # RFC 7662 section 2.1
            form = urlencode({"token": token, "token_type_hint": "access_token"})
            answer = await self._post(form.encode("ascii"))
        finally:
            self._asking -= 1
        if answer.status != 200:
            # 401 as well: it is we who were not believed, not the person (section 2.3).
            raise self._trouble(f"HTTP status {answer.status}")
        try:
            claims = json.loads(answer.body)
        except (ValueError, RecursionError):
            claims = None
        active = claims.get("active") if isinstance(claims, dict) else None
        if not isinstance(active, bool):
            raise self._trouble("not an answer of RFC 7662")
        if not active:
            raise refused("not active")
        return dict(claims)

    def _trouble(self, why: str) -> IssuerUnavailable:
        self.log.error("token introspection: {why}", why=escaped(why))
        return IssuerUnavailable(reason=why)
