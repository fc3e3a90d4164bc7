"""Rendering of the message that tells a person that their mailbox is nearly full.

Owns the words and the form: plain text, 7-bit, no octet that came from outside but the address.
Never decides when it is due nor where it goes.
"""

from __future__ import annotations

from dataclasses import dataclass

from gateway.core.quota import CALM_PERCENT, Usage
from gateway.wire.notice import notice


@dataclass(frozen=True, slots=True)
class QuotaWarning:
    """All that the warning says.

    Args:
        warning_id: unique; becomes the Message-ID.
        to: the person's address; empty if it is not known.
        at: Unix time.
    """

    warning_id: str
    hostname: str
    to: str
    usage: Usage
    at: int


def render(warning: QuotaWarning) -> bytes:
    """The whole message, CRLF line ends."""
    state = "full" if warning.usage.percent >= 100 else "nearly full"
    return notice(
        warning.warning_id,
        warning.hostname,
        warning.to,
        f"Your mailbox is {state} ({warning.usage.percent} percent)",
        warning.at,
        [f"Your mailbox is {state}.", "", *_words(warning.usage)],
    )


def _words(usage: Usage) -> list[str]:
    quota = usage.quota
    lines: list[str] = []
    if quota.octets:
        lines.append(f"  kept: {size(usage.octets)} of the {size(quota.octets)} that you may keep")
    if quota.messages:
        lines.append(f"  kept: {usage.messages:,} of the {quota.messages:,} messages that you may")
    lines += [
        "",
        "When it is full, new mail for you waits with its sender or goes back, and",
        "your mail program cannot keep drafts and copies of what you send.",
        "Reading, moving and deleting go on working.",
        "",
        "What you can do:",
        "- delete messages that you no longer need, those with large attachments first,",
        "  and then empty the trash, as what lies there counts as well;",
        "- or ask your administrator for more room.",
        "",
        f"You will not be told again before less than {CALM_PERCENT} percent was in use.",
    ]
    return lines


def size(octets: int) -> str:
    """As people say it, in units of 1,024: ``640 KB``, ``4.6 GB``."""
    if octets < 1024:
        return f"{octets} octets"
    value, units = float(octets), iter("KMGTPE")
    unit = ""
    while value >= 1024:
        value /= 1024
        unit = next(units)
    return f"{value:.0f} {unit}B" if value >= 100 else f"{value:.1f} {unit}B"
