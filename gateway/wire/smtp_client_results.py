"""What replies of an SMTP server mean for recipients, and what its EHLO offers.

Owns the way from a reply to a Result. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from gateway.core.queue import Verdict
from gateway.wire.smtp_client_plan import Result
from gateway.wire.smtp_client_reply import Reply

TAKES_NO_MAIL = 521  # RFC 7504 section 3


_TOO_MANY = re.compile(r"too (?:many|much)|\brate\b|slow down", re.ASCII)


def result_of(reply: Reply) -> Result:
    """A refusal as an outcome; what is neither 4yz nor 5yz makes no sense here and defers."""
    if reply.kind == 5:
        return Result(Verdict.FAILED, reply.status, reply.text, True)
    if reply.kind == 4:
        return Result(Verdict.DEFERRED, reply.status, reply.text, True, _asks_for_less(reply))
    return Result(Verdict.DEFERRED, "4.5.0", f"unexpected answer: {reply.text}", True)


def _asks_for_less(reply: Reply) -> bool:
    """Whether a temporary refusal is about how much comes from here, not about this mail.

    RFC 5321 section 3.8 for 421; 450 and 451 with 4.7.x are how grey lists and rate limits speak;
    452 without a detail, or 4.5.3, with words of too many, how limits of connections do.
    """
    status = reply.status
    if reply.code == 421:
        return True
    if reply.code in (450, 451):
        return status.startswith("4.7.")
    many = status in ("4.5.3", "4.3.2", "4.4.5", "4.0.0")
    return reply.code == 452 and many and _TOO_MANY.search(reply.text.lower()) is not None


def recipient_refused(reply: Reply, *, some_accepted: bool) -> Result:
    """RFC 5321 section 4.5.3.1.10: "too many recipients" is 452, and some say 552 for it. It is no
    word about this recipient, and about the transaction only where others were accepted before."""
    if reply.code == 552:
        return Result(Verdict.DEFERRED, "4.5.3", reply.text, True, again=some_accepted)
    result = result_of(reply)
    if some_accepted and reply.code == 452 and result.status in ("4.5.3", "4.0.0"):
        return replace(result, busy=False, again=True)
    return result


def greeted_by(reply: Reply) -> Result:
    """A refusing greeting speaks of the host or of our address, not of this mail: block lists and
    broken hosts get mended, so it waits. Only "this host takes no mail at all" is for good."""
    result = result_of(reply)
    if result.verdict is Verdict.FAILED and reply.code != TAKES_NO_MAIL:
        return replace(result, verdict=Verdict.DEFERRED, status="4.3.2")
    # RFC 5321 section 3.1 knows no other temporary greeting: who is not served now is too many.
    return replace(result, busy=True) if reply.kind == 4 else result


def defer(status: str, text: str) -> Result:
    return Result(Verdict.DEFERRED, status, text)


def extensions_of(reply: Reply) -> dict[str, str]:
    """EHLO keywords in capitals with their parameters (RFC 5321 section 4.1.1.1).

    Old servers write ``AUTH=LOGIN`` as in a draft before RFC 2554, some beside the other spelling:
    all that is said of AUTH counts.
    """
    extensions: dict[str, str] = {}
    for line in reply.lines[1:]:
        text = line.decode("ascii", "replace").strip()
        if text[:5].upper() == "AUTH=":
            text = f"AUTH {text[5:]}"
        keyword, _, parameters = text.partition(" ")
        keyword, parameters = keyword.upper(), parameters.strip()
        if keyword == "AUTH" and keyword in extensions:
            extensions[keyword] += f" {parameters}"
        else:
            extensions.setdefault(keyword, parameters)
    return extensions


@dataclass(frozen=True, slots=True)
class PeerLimits:
    """What the server takes at once (RFC 9422 section 4); 0: not said.

    Args:
        mail_max: transactions in a connection.
        rcpt_max: recipients in a transaction.
        rcpt_domain_max: different domains among them.
    """

    mail_max: int = 0
    rcpt_max: int = 0
    rcpt_domain_max: int = 0


def limits_of(extensions: Mapping[str, str]) -> PeerLimits:
    """RFC 9422 section 3: what is not understood is ignored."""
    said: dict[str, int] = {}
    for word in extensions.get("LIMITS", "").upper().split():
        name, _, number = word.partition("=")
        if number.isdecimal() and len(number) <= 9:
            said.setdefault(name, int(number))
    return PeerLimits(said.get("MAILMAX", 0), said.get("RCPTMAX", 0), said.get("RCPTDOMAINMAX", 0))
