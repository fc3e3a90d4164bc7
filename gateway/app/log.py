"""The log as lines on standard output: time, level, where, what.

Owns the format and the last guard against injected lines: nothing unprintable passes (SECURITY A9).
Replaces twistd's own text format where that would go to standard output, because with a line a
message that one took a sixth of the server's time. Log files and syslog stay twistd's.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Protocol

from twisted.logger import ILogObserver, LogEvent, eventAsText, formatEvent
from zope.interface import implementer

_OURS = "gateway."


class Output(Protocol):
    """A text stream."""

    def write(self, text: str, /) -> object: ...

    def flush(self) -> object: ...


@implementer(ILogObserver)
class LineLog:
    """Writes events to a text stream.

    Args:
        wall_clock: for events that carry no time.
    """

    def __init__(self, output: Output, wall_clock: Callable[[], float] = time.time) -> None:
        self._output = output
        self._wall_clock = wall_clock
        self._second = -1
        self._stamp = ""

    def __call__(self, event: LogEvent) -> None:
        now = event.get("log_time") or self._wall_clock()
        level = getattr(event.get("log_level"), "name", "info")
        where = str(event.get("log_namespace", "-")).removeprefix(_OURS)
        try:
            self._output.write(f"{self._time(now)} {level} {where}: {_text(event)}\n")
            self._output.flush()
        except (OSError, ValueError):
            return  # a full disk or a closed pipe must not stop the mail (SECURITY D6)

    def _time(self, now: float) -> str:
        second = int(now)
        if second != self._second:
            self._second = second
            self._stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        return f"{self._stamp}.{int((now - second) * 1000):03d}Z"


def _text(event: LogEvent) -> str:
    if event.get("log_failure") is not None:
        # Several lines, but of our own making: what the failure says is escaped line by line.
        lines = eventAsText(event, includeTimestamp=False, includeSystem=False).splitlines()
        return "\n  ".join(map(printable, lines))
    template = event.get("log_format")
    if isinstance(template, str) and str(event.get("log_namespace")).startswith(_OURS):
        try:
            return printable(template.format_map(event))
        except Exception:
            return printable(formatEvent(event))
    return printable(formatEvent(event))


def printable(text: str) -> str:
    """The text with everything unprintable escaped as in a Python string."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def goes_to_stdout(twistd_options: Any) -> bool:
    """Whether twistd would write its log to standard output."""
    return bool(
        twistd_options["nodaemon"]
        and not twistd_options["syslog"]
        and twistd_options["logfile"] in (None, "-")
        and not twistd_options["logger"]
    )
