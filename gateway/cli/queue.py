"""``gateway queue``: what waits to be delivered, why, and what to do about it.

Owns the options and how messages are chosen. A long queue is read and worked off in pieces, so
nothing is held whole. Every deed is logged and traced by the gateway with the user who did it.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import click

from gateway.cli.options import config_option, json_option, load_settings
from gateway.cli.progress import ProgressShown
from gateway.cli.queue_access import Call, at_queue
from gateway.cli.queue_shown import details, listing
from gateway.core.errors import GatewayError

PAGE = 200
FIRST_PAGE = 100

_AGE = re.compile(r"(\d{1,6})([dhms])")
_SECONDS = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}
_PAST = {
    "retry": "due now",
    "hold": "held",
    "release": "released",
    "delete": "deleted",
    "bounce": "given back",
}

Command = TypeVar("Command", bound=Callable[..., Any])
Filter = dict[str, object]


class SomeRefused(GatewayError):
    """Not everything that was asked for was done."""

    temporary = False


@click.group("queue")
def group() -> None:
    """See what waits to be delivered, and act on it.

    Works at the running gateway, which takes notice at once, or on its store while it is stopped.
    """


def _before(context: click.Context, parameter: click.Parameter, value: str | None) -> int | None:
    """``4h``; becomes the Unix time so long ago."""
    if value is None:
        return None
    age = _AGE.fullmatch(value)
    if age is None:
        raise click.BadParameter(
            f"found {value!r}; expected an age such as 2d, 4h, 30m or 90s", context, parameter
        )
    return int(time.time()) - int(age[1]) * _SECONDS[age[2]]


def filter_options(command: Command) -> Command:
    """Which messages are meant."""
    for option in (
        click.option("--older", "before", callback=_before, metavar="4h", help="Accepted before."),
        click.option("--destination", metavar="DOMAIN", help="To this domain or next hop."),
        click.option("--recipient", metavar="ADDRESS", help="Or @DOMAIN."),
        click.option("--sender", metavar="ADDRESS", help="Or @DOMAIN, or <> for reports."),
        click.option("--held/--not-held", "held", default=None, help="Held messages, or others."),
    ):
        command = option(command)
    return command


def _filter(**chosen: object) -> Filter:
    return {name: value for name, value in chosen.items() if value is not None}


@group.command("list")
@filter_options
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=FIRST_PAGE,
    show_default=True,
    metavar="N",
    help="Show so many, the oldest first.",
)
@click.option("--all", "everything", is_flag=True, help="Show all, however many.")
@config_option
@json_option
def list_(
    limit: int, everything: bool, config_path: str | None, as_json: bool, **chosen: object
) -> None:
    """List what waits, the oldest first."""
    settings = load_settings(config_path).settings
    which = _filter(**chosen)

    def work(call: Call) -> None:
        left = None if everything else limit
        shown: list[dict[str, Any]] = []
        total, more = 0, False
        for page, is_last in _pages(call, which, left):
            total += len(page)
            more = not is_last
            if as_json:
                shown += page
            elif page:
                click.echo(listing(page))
        if as_json:
            click.echo(json.dumps(shown, indent=2))
        elif not total:
            click.echo("nothing waits" + (" that fits" if which else ""))
        elif more:
            click.echo(f"\nthe first {total:,}; --limit or --all shows more")

    at_queue(settings, work)


def _pages(
    call: Call, which: Filter, left: int | None
) -> Iterator[tuple[list[dict[str, Any]], bool]]:
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


@group.command()
@click.argument("queue_id", metavar="ID")
@config_option
@json_option
def show(queue_id: str, config_path: str | None, as_json: bool) -> None:
    """Show one message: envelope, options, and for each recipient the attempts and last answer."""
    settings = load_settings(config_path).settings

    def work(call: Call) -> None:
        answer = call("show", {"id": queue_id})
        click.echo(json.dumps(answer, indent=2) if as_json else details(answer))

    at_queue(settings, work)


def _deed(name: str, text: str, *, takes_reason: bool = False) -> None:
    """A command that does the same to each message chosen."""

    def run(
        ids: tuple[str, ...],
        everything: bool,
        config_path: str | None,
        as_json: bool,
        reason: str = "",
        **chosen: object,
    ) -> None:
        which = _filter(**chosen)
        if sum(map(bool, (ids, which, everything))) != 1:
            raise click.UsageError("say which messages: ids, or filters, or --all")
        settings = load_settings(config_path).settings
        at_queue(settings, lambda call: _do(call, name, ids, which, reason, as_json))

    command = filter_options(run)
    if takes_reason:
        command = click.option("--reason", default="", metavar="TEXT", help="Why.")(command)
    command = click.option("--all", "everything", is_flag=True, help="All that waits.")(command)
    command = click.argument("ids", metavar="[ID]...", nargs=-1)(command)
    group.command(name, help=text)(config_option(json_option(command)))


def _do(
    call: Call, name: str, ids: tuple[str, ...], which: Filter, reason: str, as_json: bool
) -> None:
    done: list[str] = []
    refused: list[dict[str, str]] = []
    with ProgressShown() as progress:
        for piece in _pieces(call, ids, which):
            answer = call(name, {"ids": piece, "reason": reason})
            done += answer["done"]
            refused += answer["refused"]
            if len(done) + len(refused) > PAGE:
                progress(f"queue {name}", len(done) + len(refused), 0, "messages")
    if as_json:
        click.echo(json.dumps({"done": done, "refused": refused}, indent=2))
    else:
        click.echo(f"{len(done):,} messages {_PAST[name]}" if len(done) != 1 else _one(done, name))
    if refused:
        first = "; ".join(f"{each['id']}: {each['why']}" for each in refused[:5])
        raise SomeRefused(f"{len(refused):,} messages were left as they are: {first}")


def _one(done: list[str], name: str) -> str:
    return f"{done[0]} {_PAST[name]}"


def _pieces(call: Call, ids: tuple[str, ...], which: Filter) -> Iterator[list[str]]:
    if ids:
        for start in range(0, len(ids), PAGE):
            yield list(ids[start : start + PAGE])
        return
    for page, _ in _pages(call, which, None):
        if page:
            yield [message["id"] for message in page]


_deed("retry", "Try messages now; held ones stay held.")
_deed("hold", "Keep messages until they are released.", takes_reason=True)
_deed("release", "Send on messages that are held.")
_deed("delete", "Remove messages; nobody is told.", takes_reason=True)
_deed("bounce", "Give messages back to their senders with a report.", takes_reason=True)
