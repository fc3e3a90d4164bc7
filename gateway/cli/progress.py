"""What long commands show: a bar on a terminal, now and then a line elsewhere, at last a table.

Owns the form only. Progress goes to standard error, so that the result on standard output stays
clean for programs; a log that a timer's mail carries gets lines and no control characters.
"""

from __future__ import annotations

import sys
import time
import unicodedata
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, TextIO

import click

LINE_EVERY_S = 5.0
BAR_EVERY_S = 0.1
MIB = 1024 * 1024


class ProgressShown:
    """Shows what it is told; use as a context manager. Keeps the port Progress."""

    def __init__(
        self,
        stream: TextIO | None = None,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stream: TextIO | None = sys.stderr if stream is None else stream
        self._has_terminal = self._stream is not None and self._stream.isatty()
        self._monotonic = monotonic
        self._bar: Any = None  # click's type is generic in what it iterates over: here, nothing
        self._stage: str | None = None
        self._shown_at = 0.0
        self._last = self._line_before = ""

    def __enter__(self) -> ProgressShown:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end_bar()

    def __call__(self, what: str, done: int, total: int, unit: str = "") -> None:
        if self._stream is None:  # closed by whoever started us
            return
        now = self._monotonic()
        is_new = self._stage != what
        if is_new:
            self._end_bar()
            self._stage = what
        if self._has_terminal and total > 0:
            if self._bar is None:
                self._start_bar(what)
            self._bar.length = total  # it may have grown
        every_s = BAR_EVERY_S if self._has_terminal else LINE_EVERY_S
        if not is_new and now - self._shown_at < every_s and not (total and done >= total):
            return
        self._shown_at = now
        self._last = amount(done, total, unit)
        if self._bar is not None:
            self._bar.update(done - self._bar.pos, None)
        elif (line := f"{what}: {self._last}") != self._line_before:
            self._line_before = line
            click.echo(line, file=self._stream)

    def _start_bar(self, what: str) -> None:
        self._bar = click.progressbar(
            length=1,
            label=what,
            file=self._stream,
            width=24,
            item_show_func=lambda _: self._last,
        )
        self._bar.__enter__()

    def _end_bar(self) -> None:
        if self._bar is not None:
            bar, self._bar = self._bar, None
            bar.__exit__(None, None, None)


def amount(done: int, total: int, unit: str) -> str:
    """``12 of 400 messages``; ``3.0 of 64.0 MiB`` for octets."""
    if unit == "octets":
        shown = f"{done / MIB:.1f}"
        return f"{shown} of {total / MIB:.1f} MiB" if total else f"{shown} MiB"
    shown = f"{done:,} of {total:,}" if total else f"{done:,}"
    return f"{shown} {unit}".rstrip()


def mebibytes(octets: int) -> str:
    """A size for people."""
    return f"{octets / MIB:,.1f} MiB"


def table(rows: Sequence[Sequence[object]], headings: Sequence[str] = ()) -> str:
    """Columns of equal width; numbers stand to the right. No rows: no text but the headings."""
    cells = [[f"{one:,}" if _is_number(one) else str(one) for one in row] for row in rows]
    lines = [list(headings), *cells] if headings else cells
    if not lines:
        return ""
    widths = [max(map(_width, column)) for column in zip(*lines, strict=True)]
    to_the_right = [all(_is_number(row[index]) for row in rows) for index in range(len(widths))]
    return "\n".join(
        "  ".join(
            " " * (width - _width(text)) + text
            if right and rows
            else text + " " * (width - _width(text))
            for text, width, right in zip(line, widths, to_the_right, strict=True)
        ).rstrip()
        for line in lines
    )


def _width(text: str) -> int:
    """Columns of a terminal: East Asian wide characters take two, combining marks none."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(one) else 1 + (unicodedata.east_asian_width(one) in "WF")
        for one in text
    )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
