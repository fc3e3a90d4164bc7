"""Addresses that other servers refuse again and again: what is known of each. Values only."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Suppression:
    """One recipient address elsewhere, refused for good at least once, or put here by hand.

    Args:
        address: ``Address.key``.
        failures: messages in a row that were refused.
        first_at, last_at: Unix time of the first and the last of them.
        suppressed_at: since when nothing is sent to it; 0: it is only counted so far.
        status, reply, remote: the last refusal: its code, its words, the server that said it.
        made_by: the administrator who put it here; empty: the refusals did.
        reason: theirs.
        turned_away: messages that came back from here without an attempt.
    """

    address: str
    failures: int = 0
    first_at: int = 0
    last_at: int = 0
    suppressed_at: int = 0
    status: str = ""
    reply: str = ""
    remote: str = ""
    made_by: str = ""
    reason: str = ""
    turned_away: int = 0
