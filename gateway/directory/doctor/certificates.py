"""Certificates that a server has shown, in lines for an administrator, and what to do about them.

Owns the words. What a certificate has to prove is ``ldap.tls``'s.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, field

from gateway.core.log_text import escaped
from gateway.core.settings.directory import DirectorySettings
from gateway.directory.ldap.expiry import SOON
from gateway.directory.ldap.opening import Place, Security
from gateway.directory.ldap.tls import Protection, Shown

MOST_SHOWN = 6


@dataclass(frozen=True, slots=True)
class ShownChain:
    """Args:
    ends: when the first of them ends, in words.
    lines: one for each.
    """

    ends: str = "no certificate was shown"
    ends_soon: bool = False
    lines: tuple[str, ...] = ()
    facts: Mapping[str, object] = field(default_factory=dict)


def shown_by(protection: Protection, now: datetime.datetime) -> ShownChain:
    chain = protection.chain
    if not chain:
        return ShownChain()
    first = min(chain, key=lambda each: each.not_after)
    left = first.not_after - now
    return ShownChain(
        f"the first of {len(chain)} {_ends(left)}" if len(chain) > 1 else f"it {_ends(left)}",
        left < SOON,
        tuple(_line(each, now) for each in chain[:MOST_SHOWN]),
        {
            "chain": [
                {
                    "subject": each.subject,
                    "issuer": each.issuer,
                    "names": list(each.names),
                    "not_after": each.not_after.isoformat(),
                }
                for each in chain[:MOST_SHOWN]
            ],
            "days_left": left.days,
        },
    )


def advice_for(
    reason: str, protection: Protection, place: Place, section: DirectorySettings
) -> str:
    """What to do about TLS that did not come about."""
    chain = protection.chain
    if f"is not for {place.server_name}" in protection.problem and chain:
        names = ", ".join(chain[0].names[:5])
        if not names:
            return f"give the server a certificate with {place.server_name} as subjectAltName"
        return (
            f"name the server in directory.uri as one of {names}, or set directory.tls_server_name"
            f" to one of them, or give it a certificate for {place.server_name}"
        )
    if "expired" in protection.problem or "not valid yet" in protection.problem:
        return "renew the server's certificate; if it is right, look at this host's clock"
    if protection.problem:
        issuer = chain[-1].issuer if chain else "the authority that issued it"
        where = section.ca_file or "a file, and name it in directory.ca_file"
        return f"put the certificate of {escaped(issuer, 100)} into {escaped(where)}"
    if "StartTLS was refused" in reason:
        return "set up TLS at the server, or use ldaps:// in directory.uri"
    if "no TLS settings" in reason or "lost" in reason or "handshake" in reason:
        how = "ldaps:// is for ports where TLS comes first (636), ldap:// for others (389)"
        if place.security is Security.START_TLS:
            how = "the server must offer StartTLS there; else use ldaps:// and its port (636)"
        return f"look at directory.uri: {how}"
    return "look at the server's log"


def _line(shown: Shown, now: datetime.datetime) -> str:
    named = f" for {', '.join(shown.names[:10])}" if shown.names else ""
    return (
        f"certificate {shown.subject}{named}, issued by {shown.issuer},"
        f" {_ends(shown.not_after - now)} ({shown.not_after:%Y-%m-%d})"
    )


def _ends(left: datetime.timedelta) -> str:
    if left < datetime.timedelta(0):
        return f"ended {-left.days} days ago"
    return "ends within two days" if left.days < 2 else f"ends in {left.days} days"
