"""What a look at something has found: one line for an administrator, and what to do about it.

Values only; shared by the commands that look. Texts are escaped by whoever makes them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Outcome(Enum):
    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    SKIPPED = "skipped"
    """Nobody could look, as something before it has failed or is not there."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Args:
    area: what was looked at: ``directory``, ``tls``.
    found: in words.
    advice: what to do; empty where nothing is to be done.
    """

    area: str
    outcome: Outcome
    found: str
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Findings:
    """Makes them for one area."""

    area: str

    def ok(self, found: str) -> Finding:
        return Finding(self.area, Outcome.OK, found)

    def warning(self, found: str, advice: str) -> Finding:
        return Finding(self.area, Outcome.WARNING, found, advice)

    def failed(self, found: str, advice: str) -> Finding:
        return Finding(self.area, Outcome.FAILED, found, advice)
