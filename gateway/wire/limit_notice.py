"""Rendering of the message that tells a person that their mail waits, as they sent very much.

Owns the words and the form: plain text, 7-bit, no octet that came from outside but addresses. Never
decides when it is due nor where it goes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from email.utils import formatdate

from gateway.wire.notice import is_plain_address, notice

SUBJECT = "Some of the mail you sent has to wait"


@dataclass(frozen=True, slots=True)
class LimitNotice:
    """All that the notice says.

    Args:
        notice_id: unique; becomes the Message-ID.
        to: the person's address; empty if it is not known.
        bound: such as ``more than 100 messages in an hour``.
        ask: an address to turn to; empty: the administrator, whoever that is.
        at, until: Unix time.
    """

    notice_id: str
    hostname: str
    to: str
    bound: str
    ask: str
    at: int
    until: int


def render(what: LimitNotice) -> bytes:
    """The whole message, CRLF line ends."""
    knows = is_plain_address(what.ask) and what.ask != what.to
    ask = what.ask if knows else "your administrator"
    words = [
        "Some of the mail you sent has to wait.",
        "",
        f"You have sent {_printable(what.bound)}.",
        "What is more than one person may send here is not lost: it waits, and goes",
        "out by itself.",
        "",
        f"The first of it goes out at {_clock(what.until)}, {_wait(what.until - what.at)}.",
        "Mail that you send meanwhile may have to wait longer.",
        "",
        "What you can do:",
        "- nothing, if that is soon enough; do not send it again;",
        f"- or ask {ask} to let it go out at once, or to",
        "  raise the bound;",
        "- if you did not send that much, somebody else has your password: change it,",
        f"  and tell {ask}.",
        "",
        "You will be told of this once a day at most.",
    ]
    return notice(what.notice_id, what.hostname, what.to, SUBJECT, what.at, words)


def _printable(text: str) -> str:
    return re.sub(r"[^ -~]", "?", text)


def _clock(at: int) -> str:
    """In UTC, as nobody here knows where the person is."""
    return formatdate(at)[5:22] + " UTC"


def _wait(seconds: int) -> str:
    minutes = max(1, round(seconds / 60))
    if minutes < 90:
        return f"in {minutes} minute{'s' if minutes > 1 else ''}"
    return f"in about {round(minutes / 60)} hours"
