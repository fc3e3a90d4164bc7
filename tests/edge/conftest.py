"""Fixtures for the doors' dialogues."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from twisted.logger import ILogObserver, LogEvent, globalLogPublisher
from zope.interface import directlyProvides


@pytest.fixture
def recorded_failures() -> Iterator[list[object]]:
    """Failures that were logged during the test."""
    failures: list[object] = []

    def observe(event: LogEvent) -> None:
        if event.get("log_failure") is not None:
            failures.append(event["log_failure"])

    directlyProvides(observe, ILogObserver)
    observer: Any = observe
    globalLogPublisher.addObserver(observer)
    try:
        yield failures
    finally:
        globalLogPublisher.removeObserver(observer)


@pytest.fixture
def logged() -> Iterator[list[str]]:
    """Everything in the log, as text."""
    lines: list[str] = []

    def note(event: LogEvent) -> None:
        lines.append(" ".join(f"{key}={value}" for key, value in event.items()))

    observer: Any = note
    globalLogPublisher.addObserver(observer)
    yield lines
    globalLogPublisher.removeObserver(observer)
