"""What the claims of a bearer token must say before we believe it, and whom they name.

Owns the rules that hold wherever the claims come from: a signed token (``jwt_issuer``) or the
issuer's own answer (``introspection``). Never checks a signature and never asks anybody. Why a
token is refused goes to the log; the client hears one text for all reasons (SECURITY A6).

A token is a bearer's: whoever has it may use it until it expires, as often as they like (RFC 6750
section 5.3 has TLS and short lives against that), so nothing here remembers which were seen.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from twisted.logger import Logger

from gateway.core.errors import WrongCredentials
from gateway.core.log_text import escaped

Claims = Mapping[str, Any]

MAX_NAME_CHARACTERS = 256

_log = Logger()


class TokenIssuer(Protocol):
    """Knows whose a token is."""

    async def whose(self, token: str) -> str:
        """The login or address that the token was issued for.

        Raises:
            WrongCredentials: not a token of the issuer for us, or not any more.
            IssuerUnavailable: nobody can say at the moment.
        """
        ...


@dataclass(frozen=True, slots=True)
class TokenRules:
    """What the administrator has set.

    Args:
        issuer: what ``iss`` must be (RFC 7519 section 4.1.1), letter by letter.
        audiences: one of them must be in ``aud`` (section 4.1.3); empty: not looked at.
        login_claims: the first of these that a token has names the person.
        leeway_s: how far the issuer's clock may be from ours.
    """

    issuer: str
    audiences: frozenset[str]
    login_claims: tuple[str, ...]
    leeway_s: float

    def person_in(self, claims: Claims, *, now: float, issued_by_itself: bool) -> str:
        """The person that good claims name.

        Args:
            now: Unix time.
            issued_by_itself: the issuer vouches for the answer as such (RFC 7662 section 2.2), so
                that ``iss`` and ``exp`` need not be in it; what is there counts all the same.

        Raises:
            WrongCredentials: they are not good; the log says why.
        """
        if not (issued_by_itself and "iss" not in claims) and claims.get("iss") != self.issuer:
            raise refused("another issuer's")
        if self.audiences and not self.audiences & _audiences(claims.get("aud")):
            raise refused("for another audience")
        if "cnf" in claims:
            # RFC 7800 section 3.1: its bearer would have to prove that they have the key as well
            # (DPoP, mutual TLS), which no mechanism here can carry.
            raise refused("bound to a key (cnf)")
        self._check_times(claims, now, needs_end=not issued_by_itself)
        return self._name(claims)

    def _check_times(self, claims: Claims, now: float, *, needs_end: bool) -> None:
        end = _moment(claims, "exp")
        if end is None and needs_end:
            raise refused("without an end (exp)")
        if end is not None and now >= end + self.leeway_s:
            raise refused("expired")
        for name in ("nbf", "iat"):
            begin = _moment(claims, name)
            if begin is not None and now < begin - self.leeway_s:
                raise refused(f"not valid yet ({name})")

    def _name(self, claims: Claims) -> str:
        for claim in self.login_claims:
            if claim not in claims:
                continue
            if claim == "email" and claims.get("email_verified", True) not in (True, "true"):
                continue  # whoever typed it there need not have it (OpenID Connect Core 5.7)
            name = claims[claim]
            if not isinstance(name, str) or not 0 < len(name) <= MAX_NAME_CHARACTERS:
                raise refused(f"without a usable {claim}")
            return name
        raise refused(f"without {', '.join(self.login_claims)}")


def refused(why: str) -> WrongCredentials:
    """The error for a token that is not taken; only the log hears why."""
    _log.info("token refused: {why}", why=escaped(why))
    return WrongCredentials()


def _audiences(claim: object) -> frozenset[str]:
    """RFC 7519 section 4.1.3: one string or a list of them."""
    if isinstance(claim, str):
        return frozenset((claim,))
    if isinstance(claim, list):
        return frozenset(each for each in claim if isinstance(each, str))
    return frozenset()


def _moment(claims: Claims, name: str) -> float | None:
    """A NumericDate (RFC 7519 section 2), None when the claim is absent."""
    if name not in claims:
        return None
    value = claims[name]
    # Neither NaN nor infinity, with which no comparison ends as it should.
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e15:
        raise refused(f"{name} is no time")
    return float(value)
