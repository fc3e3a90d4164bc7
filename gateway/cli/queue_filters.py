"""Which queued messages a command means: options, what they may say, and the ids they lead to.

Owns the options' names and forms. What is wrong with a value is said before anybody is asked, as
are all wrong command lines. A long queue is read in pages, so nothing is held whole.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import click

from gateway.cli.queue_access import Call
from gateway.core.queue import QueueState
from gateway.queue.desk_forms import CallRefused, filter_of

PAGE = 500

_AGE = re.compile(r"(\d{1,6})([wdhms])")
_SECONDS = {"w": 604_800, "d": 86_400, "h": 3_600, "m": 60, "s": 1}
_SIZE = re.compile(r"(\d{1,12})([KMG]?)", re.IGNORECASE)
_OCTETS = {"": 1, "K": 1024, "M": 1024**2, "G": 1024**3}

Command = TypeVar("Command", bound=Callable[..., Any])
Filter = dict[str, object]
Page = list[dict[str, Any]]


def _moment(context: click.Context, parameter: click.Parameter, value: str | None) -> int | None:
    """``4h``; becomes the Unix time so long ago."""
    if value is None:
        return None
    age = _AGE.fullmatch(value)
    if age is None:
        raise click.BadParameter(
            f"found {value!r}; expected an age such as 2d, 4h, 30m or 90s", context, parameter
        )
    return int(time.time()) - int(age[1]) * _SECONDS[age[2]]


def octets(context: click.Context, parameter: click.Parameter, value: str | None) -> int | None:
    """``10M``, as a number."""
    if value is None:
        return None
    size = _SIZE.fullmatch(value)
    if size is None:
        raise click.BadParameter(
            f"found {value!r}; expected a size such as 5000, 100K or 10M", context, parameter
        )
    return int(size[1]) * _OCTETS[size[2].upper()]


def filter_options(command: Command) -> Command:
    """Which messages are meant; of several options all must fit."""
    for option in (
        click.option("--message-id", metavar="ID", help="Accepted under this id."),
        click.option(
            "--larger", "larger_octets", callback=octets, metavar="1M", help="Than so much."
        ),
        click.option("--newer", "since", callback=_moment, metavar="4h", help="Accepted since."),
        click.option("--older", "before", callback=_moment, metavar="4h", help="Accepted before."),
        click.option("--destination", metavar="DOMAIN", help="To this domain or next hop."),
        click.option("--recipient", metavar="ADDRESS", help="Or @DOMAIN."),
        click.option("--sender", metavar="ADDRESS", help="Or @DOMAIN, or <> for reports."),
        click.option("--held/--not-held", "held", default=None, help="Held messages, or others."),
        click.option(
            "--state",
            type=click.Choice([each.value for each in QueueState]),
            help="Due; waiting for its time; being sent; held.",
        ),
    ):
        command = option(command)
    return command


def chosen_filter(**chosen: object) -> Filter:
    """Raises: click.UsageError, for a value that no message could have."""
    which = {name: value for name, value in chosen.items() if value is not None}
    empty = [name for name, value in which.items() if value == ""]
    try:
        filter_of(which)
    except CallRefused as error:
        raise click.UsageError(f"--{error}") from None
    if empty:
        # It would mean everything, which nobody means who wrote it (an unset variable of a script).
        raise click.UsageError(f"--{empty[0].replace('_', '-')}: found nothing; expected a value")
    return which


def chosen_messages(ids: tuple[str, ...], which: Filter, everything: bool) -> None:
    """Raises: click.UsageError, unless it is said in one way which messages are meant."""
    if sum(map(bool, (ids, which, everything))) != 1:
        raise click.UsageError("say which messages: ids, or filters, or --all")
    if not all(each.strip() for each in ids):
        raise click.UsageError("found an empty id; expected a queue id or a message's id")


def pages(call: Call, which: Filter, left: int | None = None) -> Iterator[tuple[Page, bool]]:
    """Pages, and whether each is the last one."""
    after = ""
    while left is None or left > 0:
        size = PAGE if left is None else min(PAGE, left)
        answer = call("list", {**which, "after": after, "limit": size})
        after = answer["more_after"]
        yield answer["messages"], not after
        if not after:
            return
        if left is not None:
            left -= len(answer["messages"])


def pieces(call: Call, ids: tuple[str, ...], which: Filter) -> Iterator[list[str]]:
    """Ids, PAGE at a time."""
    if ids:
        for start in range(0, len(ids), PAGE):
            yield list(ids[start : start + PAGE])
        return
    for page, _ in pages(call, which):
        if page:
            yield [message["id"] for message in page]
