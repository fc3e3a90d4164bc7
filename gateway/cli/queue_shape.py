"""The queue's shape and its destinations as tables for people.

Owns the form only. Foreign text is shown without what a terminal would obey.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from gateway.cli.progress import table
from gateway.cli.queue_shown import age, cut

NAME_WIDTH, PROBLEM_WIDTH = 48, 70

Row = Mapping[str, Any]
_UNITS = ((86_400, "d"), (3_600, "h"), (60, "m"), (1, "s"))


def shape_table(answer: Mapping[str, Any], by: str) -> str:
    """Rows by age; what does not fit into them is one row, and all is another."""
    ages = [_short(each) for each in answer["ages_s"]]
    headings = (by, *ages, "older", "total", "octets")
    rows = [_cells(_name(row, by), row) for row in answer["rows"]]
    if answer["more_rows"]:
        rows.append(_cells(f"... and {answer['more_rows']:,} more", answer["rest"]))
    rows.append(_cells("in all", answer["total"]))
    return table(rows, headings)


def _cells(name: str, row: Row) -> Sequence[object]:
    return (name, *row["messages"], row["total"], row["octets"])


def _name(row: Row, by: str) -> str:
    if not row["name"] and by == "sender":
        return "<> (reports)"
    return cut(row["name"], NAME_WIDTH)


def _short(seconds: int) -> str:
    """``4h``."""
    for size, unit in _UNITS:
        if seconds >= size and seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def destinations_table(answer: Mapping[str, Any]) -> str:
    """What waits, and what is done about it."""
    rows = answer["destinations"]
    if not rows:
        return "nothing waits, and nothing is being sent"
    now = time.time()
    headings = ("destination", "waiting", "octets", "in line", "sent now", "window", "state")
    text = table([_destination(row, now) for row in rows], headings)
    if answer["more_rows"]:
        text += f"\n\n{answer['more_rows']:,} more; --limit shows them"
    if not answer["runs_here"]:
        text += "\n\nno gateway runs, so nothing is being sent"
    return text


def _destination(row: Row, now: float) -> Sequence[object]:
    known = row["known"]
    return (
        cut(row["destination"], NAME_WIDTH),
        row["waiting"],
        row["octets"],
        row["in_line"],
        row["in_flight"],
        row["window"] if known else "",
        _state(row, now),
    )


def _state(row: Row, now: float) -> str:
    problem = cut(row["problem"], PROBLEM_WIDTH)
    dead_until, limited_until = row["dead_until"], row["limited_until"]
    if dead_until is not None and dead_until > now:
        return f"dead, tried again in {age(dead_until - now)}: {problem}"
    if limited_until is not None and limited_until > now:
        left = age(limited_until - now)
        if problem:
            return f"left alone for {left}, as it asks for less: {problem}"
        return f"as fast as its rate allows; next in {left}"
    if problem:
        return f"the last trouble: {problem}"
    return "sending" if row["in_flight"] else ""
