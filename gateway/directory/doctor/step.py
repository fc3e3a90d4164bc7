"""One look of the doctor: what was looked at, what came of it, how long it took, what to change.

Values, and the stopwatch that makes them. Texts are escaped by whoever makes them; none holds a
secret.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from gateway.core.findings import Finding, Outcome


@dataclass(frozen=True, slots=True)
class Step:
    """Args:
    name: what was looked at: ``tcp``, ``groups``.
    about: whose it is: a server, a file; empty: the person's.
    found: a sentence.
    advice: what to do; empty where nothing is to be done.
    more: further lines.
    took_ms: None: nothing was waited for.
    facts: the same for programs, in shapes that JSON has.
    """

    name: str
    about: str
    outcome: Outcome
    found: str
    advice: str = ""
    more: tuple[str, ...] = ()
    took_ms: float | None = None
    facts: Mapping[str, object] = field(default_factory=dict)

    def as_json(self) -> Mapping[str, object]:
        return {
            "step": self.name,
            "about": self.about,
            "outcome": self.outcome.value,
            "found": self.found,
            "advice": self.advice,
            "more": list(self.more),
            "took_ms": self.took_ms,
            "facts": dict(self.facts),
        }


Tell = Callable[[Step], None]
"""Is told each step when it is done."""


class Look:
    """A step that is under way."""

    def __init__(self, name: str, about: str, seconds: Callable[[], float]) -> None:
        self._name = name
        self._about = about
        self._seconds = seconds
        self._began = seconds()

    def ok(self, found: str, more: Sequence[str] = (), **facts: object) -> Step:
        return self._step(Outcome.OK, found, "", more, facts)

    def warning(self, found: str, advice: str, more: Sequence[str] = (), **facts: object) -> Step:
        return self._step(Outcome.WARNING, found, advice, more, facts)

    def failed(self, found: str, advice: str, more: Sequence[str] = (), **facts: object) -> Step:
        return self._step(Outcome.FAILED, found, advice, more, facts)

    def of(self, finding: Finding) -> Step:
        """What a look of ``gateway check`` has found."""
        found = finding.found.removeprefix(f"{self._about}: ")
        return self._step(finding.outcome, found, finding.advice, (), {})

    def _step(
        self,
        outcome: Outcome,
        found: str,
        advice: str,
        more: Sequence[str],
        facts: Mapping[str, object],
    ) -> Step:
        took_ms = round(1000 * (self._seconds() - self._began), 1)
        return Step(self._name, self._about, outcome, found, advice, tuple(more), took_ms, facts)


def skipped(name: str, about: str, why: str, advice: str = "", **facts: object) -> Step:
    return Step(name, about, Outcome.SKIPPED, why, advice, facts=facts)


def skip(names: Sequence[str], about: str, why: str, tell: Tell) -> None:
    """Each of them."""
    for name in names:
        tell(skipped(name, about, why))


def shortened(lines: Sequence[str], most: int) -> list[str]:
    """The first of them, and how many more there are."""
    left = len(lines) - most
    return list(lines) if left <= 0 else [*lines[:most], f"and {left} more"]
