"""What replies of an SMTP server mean for recipients, and what its EHLO offers.

Owns the way from a reply to a Result. Pure.
"""

from __future__ import annotations

from dataclasses import replace

from gateway.core.queue import Verdict
from gateway.wire.smtp_client_plan import Result
from gateway.wire.smtp_client_reply import Reply

TAKES_NO_MAIL = 521  # RFC 7504 section 3


def result_of(reply: Reply) -> Result:
    """A refusal as an outcome; what is neither 4yz nor 5yz makes no sense here and defers."""
    if reply.kind == 5:
        return Result(Verdict.FAILED, reply.status, reply.text, True)
    if reply.kind == 4:
        return Result(Verdict.DEFERRED, reply.status, reply.text, True)
    return Result(Verdict.DEFERRED, "4.5.0", f"unexpected answer: {reply.text}", True)


def greeted_by(reply: Reply) -> Result:
    """A refusing greeting speaks of the host or of our address, not of this mail: block lists and
    broken hosts get mended, so it waits. Only "this host takes no mail at all" is for good."""
    result = result_of(reply)
    if result.verdict is Verdict.FAILED and reply.code != TAKES_NO_MAIL:
        return replace(result, verdict=Verdict.DEFERRED, status="4.3.2")
    return result


def defer(status: str, text: str) -> Result:
    return Result(Verdict.DEFERRED, status, text)


def extensions_of(reply: Reply) -> dict[str, str]:
    """EHLO keywords in capitals with their parameters (RFC 5321 section 4.1.1.1)."""
    extensions: dict[str, str] = {}
    for line in reply.lines[1:]:
        keyword, _, parameters = line.decode("ascii", "replace").strip().partition(" ")
        extensions.setdefault(keyword.upper(), parameters.strip())
    return extensions
