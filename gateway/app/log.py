"""The log as lines on standard output: time, level, where, what.

Owns the format and the last guard against injected lines: nothing unprintable passes (SECURITY A9).
Replaces twistd's own text format where that would go to standard output, because with a line a
message that one took a sixth of the server's time. Log files and syslog stay twistd's.

While the reactor runs, lines about the ordinary are gathered for GATHER_S, because a write for each
message is an eighth of the server's time; warnings and worse leave at once, with all before them.

Other processes of the gateway write the same lines into a pipe; the parent puts them into its log,
whole lines only, with the process' name behind the place: ``edge.smtp[worker 2]``. A child never
waits for the parent: lines that find the pipe full are dropped and counted. A child that is killed
takes the calm lines of its last GATHER_S along. Lines of one process are in the order of their
times, those of several are not.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from twisted.logger import (
    ILogObserver,
    LogEvent,
    Logger,
    LogLevel,
    eventAsText,
    formatEvent,
    globalLogBeginner,
)
from twisted.python.threadable import isInIOThread
from zope.interface import implementer

from gateway.core.ports.clock import Timers

GATHER_S = 0.05
MOST_GATHERED = 3800
"""Characters; below the size that a pipe takes whole or not at all."""
_CALM = ("debug", "info")
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
        process: the name of this process, if it is one of several.
    """

    def __init__(
        self, output: Output, wall_clock: Callable[[], float] = time.time, process: str = ""
    ) -> None:
        self._output = output
        self._wall_clock = wall_clock
        self._process = f"[{process}]" if process else ""
        self._second = -1
        self._stamp = ""
        self._gathered: list[str] = []
        self._characters = 0
        self._timers: Timers | None = None
        self._may_wait: Callable[[], bool] = lambda: False

    def gather(self, timers: Timers, may_wait: Callable[[], bool]) -> None:
        """From now on write calm lines together, while ``may_wait`` says that the caller is in the
        reactor's thread and the reactor runs; whoever ends the reactor calls ``flush``."""
        self._timers, self._may_wait = timers, may_wait

    def __call__(self, event: LogEvent) -> None:
        now = event.get("log_time") or self._wall_clock()
        level = getattr(event.get("log_level"), "name", "info")
        where = str(event.get("log_namespace", "-")).removeprefix(_OURS)
        line = f"{self._time(now)} {level} {where}{self._process}: {_text(event)}\n"
        if level not in _CALM or self._timers is None or not self._may_wait():
            self._write(line)
            return
        self._gathered.append(line)
        self._characters += len(line)
        if self._characters > MOST_GATHERED:
            self._write("")
        elif len(self._gathered) == 1:
            self._timers.callLater(GATHER_S, self.flush)

    def relay(self, lines: Sequence[str]) -> None:
        """Write lines that another process has formatted."""
        self._write("".join(f"{printable(line)}\n" for line in lines))

    def flush(self) -> None:
        """Write what was gathered."""
        if self._gathered:
            self._write("")

    def _write(self, text: str) -> None:
        """Write this behind what was gathered."""
        if self._gathered:
            gathered, self._gathered, self._characters = self._gathered, [], 0
            text = "".join(gathered) + text
        try:
            self._output.write(text)
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


_LINE = re.compile(r"\S+Z (debug|info|warn|error|critical) (\S+?(?:\[[^]]*\])?): (.*)", re.DOTALL)


def relay_to_twistd(lines: Sequence[str]) -> None:
    """Put lines that another process has formatted into twistd's own log."""
    for line in lines:
        found = _LINE.match(line)
        level, where, text = found.groups() if found is not None else ("info", "child", line)
        log = Logger(f"{_OURS}{where}")
        log.emit(LogLevel.levelWithName(level), "{text}", text=printable(text))


class Pipe:
    """The child's end of its log: written whole or not at all, never waited for."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._lost = 0
        self._cut = False

    def write(self, text: str) -> None:
        """Raises: OSError (the parent is gone)."""
        lines = text.count("\n")
        data = text.encode("utf-8", "backslashreplace")
        if self._lost:
            data = b"(%d lines of the log lost)\n" % self._lost + data
        if self._cut:
            data = b"\n" + data
        try:
            written = os.write(self._fd, data)
        except BlockingIOError:
            self._lost += lines
            return
        self._cut = written < len(data)
        self._lost = 0

    def flush(self) -> None:
        """Nothing is kept back."""


def begin_child_log(process: str) -> LineLog:
    """In a child process: log to standard output, which leads into the parent's log."""
    os.set_blocking(1, False)
    log = LineLog(Pipe(1), process=process)
    # Any: mypy does not see what zope's @implementer declares.
    observer: Any = log
    globalLogBeginner.beginLoggingTo([observer], redirectStandardIO=False)
    return log


def gather_while_running(log: LineLog, reactor: Any) -> None:
    """Let the log of a process with a reactor write together what can wait."""
    # The first to log in the reactor's thread may do so before it runs, the last when it has ended.
    log.gather(reactor, lambda: bool(reactor.running) and isInIOThread())
    reactor.addSystemEventTrigger("after", "shutdown", log.flush)


def goes_to_stdout(twistd_options: Any) -> bool:
    """Whether twistd would write its log to standard output."""
    return bool(
        twistd_options["nodaemon"]
        and not twistd_options["syslog"]
        and twistd_options["logfile"] in (None, "-")
        and not twistd_options["logger"]
    )
