"""A step of the doctor as an administrator reads it. Owns the form only."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gateway.directory.doctor.step import Step

_NAME_WIDTH = 14


def as_lines(step: Step) -> Iterator[str]:
    """The step, what belongs to it, and what to do."""
    lead = f"{step.outcome.value:<8}{step.name:<{_NAME_WIDTH}} "
    margin = " " * (8 + _NAME_WIDTH + 1)
    about = f"{step.about}: " if step.about else ""
    took = f"  ({step.took_ms:g} ms)" if step.took_ms is not None and step.took_ms >= 0.1 else ""
    yield f"{lead}{about}{step.found}{took}"
    for line in step.more:
        yield f"{margin}{line}"
    if step.advice:
        yield f"{margin}-> {step.advice}"
