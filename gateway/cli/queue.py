"""``gateway queue``: what waits to be delivered, why, and what to do about it.

Owns the commands and their options; which messages are meant is ``queue_filters``', how things
look ``queue_shown``'s and ``queue_shape``'s. A long queue is read and worked off in pieces, so
nothing is held whole. Every deed is logged and traced by the gateway with the user who did it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import click

from gateway.cli.json_array import JsonArray
from gateway.cli.lazy import LazyGroup
from gateway.cli.options import config_option, json_option, load_settings
from gateway.cli.plain import plain
from gateway.cli.progress import ProgressShown
from gateway.cli.queue_access import Call, at_queue
from gateway.cli.queue_filters import (
    PAGE,
    Filter,
    chosen_filter,
    chosen_messages,
    filter_options,
    pages,
    pieces,
)
from gateway.cli.queue_shape import destinations_table, shape_table
from gateway.cli.queue_shown import details, listing
from gateway.core.errors import GatewayError
from gateway.queue.desk_forms import CallRefused

FIRST_PAGE = 100
MOST_ROWS = 1000

_PAST = {
    "retry": "due now",
    "hold": "held",
    "release": "released",
    "reroute": "rerouted",
    "delete": "deleted",
    "bounce": "given back",
}

Option = Callable[[Callable[..., Any]], Callable[..., Any]]


class SomeRefused(GatewayError):
    """Not everything that was asked for was done."""

    temporary = False


def example(*lines: str) -> str:
    """The end of a command's help."""
    return "\b\nExample:\n" + "\n".join(f"  {line}" for line in lines)


_COMMANDS = {
    "export": "gateway.cli.queue_export:export",
    "rules": "gateway.cli.hold_rules:group",
    "suppressed": "gateway.cli.suppressed:group",
}


@click.group("queue", cls=LazyGroup, found_in=_COMMANDS)
def group() -> None:
    """See what waits to be delivered, and act on it.

    Works at the running gateway, which takes notice at once, or on its store while it is stopped.
    An ID is that of the queue, or the one under which the message was accepted: the log, the trace,
    the answer to the client and the Received line have it.
    """


_limit_option = click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=FIRST_PAGE,
    show_default=True,
    metavar="N",
    help="Show so many, the oldest first; of a shape the fullest.",
)


@group.command(
    "list",
    epilog=example(
        "gateway queue list --state waiting --older 4h --destination example.net",
        "gateway queue list --shape",
    ),
)
@click.option("--shape", is_flag=True, help="Count by age and destination instead.")
@click.option("--senders", is_flag=True, help="With --shape: by the senders' domains.")
@filter_options
@_limit_option
@click.option("--all", "everything", is_flag=True, help="Show all, however many.")
@config_option
@json_option
def list_(
    limit: int,
    everything: bool,
    shape: bool,
    senders: bool,
    config_path: str | None,
    as_json: bool,
    **chosen: object,
) -> None:
    """List what waits, the oldest first.

    A shape has a row for each destination and a column for each age, so that one sees at a glance
    where mail piles up, and since when.
    """
    which = chosen_filter(**chosen)
    if shape and which:
        raise click.UsageError("--shape counts all that waits; found a filter beside it")
    if senders and not shape:
        raise click.UsageError("--senders goes with --shape")
    if shape:
        rows = MOST_ROWS if everything else min(limit, MOST_ROWS)
        by = "sender" if senders else "destination"
        at_queue(config_path, lambda call: _shape(call, by, rows, as_json))
    else:
        at_queue(
            config_path, lambda call: _list(call, which, None if everything else limit, as_json)
        )


def _list(call: Call, which: Filter, left: int | None, as_json: bool) -> None:
    total, more = 0, False
    array = JsonArray()
    for page, is_last in pages(call, which, left):
        if as_json:
            for row in page:
                array.add(row)
            continue
        total += len(page)
        more = not is_last
        if page:
            click.echo(listing(page))
    if as_json:
        array.end()
    elif not total:
        click.echo("nothing waits" + (" that fits" if which else ""))
    elif more:
        click.echo(f"\nthe first {total:,}; --limit or --all shows more")


def _shape(call: Call, by: str, rows: int, as_json: bool) -> None:
    answer = call("shape", {"by": by, "limit": rows})
    if as_json:
        click.echo(json.dumps(answer, indent=2))
    elif not answer["rows"]:
        click.echo("nothing waits")
    else:
        click.echo(shape_table(answer, by))


@group.command(epilog=example("gateway queue destinations"))
@_limit_option
@config_option
@json_option
def destinations(limit: int, config_path: str | None, as_json: bool) -> None:
    """Show where mail waits for: connections in use, and who cannot be talked to, and why.

    The window is how many connections may be open to a destination at the moment; it grows while
    the destination takes mail and shrinks when it complains.
    """

    def work(call: Call) -> None:
        answer = call("destinations", {"limit": min(limit, MOST_ROWS)})
        click.echo(json.dumps(answer, indent=2) if as_json else destinations_table(answer))

    at_queue(config_path, work)


@group.command(epilog=example("gateway queue show 0000002A"))
@click.argument("queue_id", metavar="ID")
@config_option
@json_option
def show(queue_id: str, config_path: str | None, as_json: bool) -> None:
    """Show one message: envelope, route, what the checks said, every attempt, and what comes next.

    The attempts are in the trace, and told for as long as that is kept (trace.keep_days).
    """

    def work(call: Call) -> None:
        answer = call("show", {"id": queue_id})
        click.echo(json.dumps(answer, indent=2) if as_json else details(answer))

    at_queue(config_path, work)


def _deed(name: str, text: str, line: str, *options: Option) -> None:
    """A command that does the same to each message chosen.

    Args:
        options: that only this command has; their values go to the desk under their names.
    """

    def run(
        ids: tuple[str, ...],
        everything: bool,
        config_path: str | None,
        as_json: bool,
        reason: str | None = None,
        to: tuple[str, ...] = (),
        **chosen: object,
    ) -> None:
        which = chosen_filter(**chosen)
        chosen_messages(ids, which, everything)
        told: dict[str, object] = {"reason": reason} if reason else {}
        if to:
            _check(to, config_path)
            told["to"] = list(to)
            told |= {name: which[name] for name in _OF_RECIPIENTS if name in which}
        at_queue(config_path, lambda call: _do(call, name, ids, which, told, as_json))

    command: Callable[..., Any] = filter_options(config_option(json_option(run)))
    for option in options:
        command = option(command)
    command = click.option("--all", "everything", is_flag=True, help="All that waits.")(command)
    command = click.argument("ids", metavar="[ID]...", nargs=-1)(command)
    epilog = example(f"gateway queue {name} {line}")
    group.command(name, help=text, epilog=epilog)(command)


def _check(to: tuple[str, ...], config_path: str | None) -> None:
    """Raises: click.UsageError, for servers that mail cannot be sent to."""
    from gateway.queue.desk_reroute import known_logins, next_hop_of

    try:
        next_hop_of(to, known_logins(load_settings(config_path).settings.outbound))
    except CallRefused as error:
        raise click.UsageError(f"--{error}") from None


def _do(
    call: Call,
    name: str,
    ids: tuple[str, ...],
    which: Filter,
    told: Mapping[str, object],
    as_json: bool,
) -> None:
    done: list[str] = []
    refused: list[dict[str, str]] = []
    with ProgressShown() as progress:
        for piece in pieces(call, ids, which):
            answer = call(name, {"ids": piece, **told})
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
        raise SomeRefused(f"{len(refused):,} messages were left as they are: {plain(first)}")


def _one(done: list[str], name: str) -> str:
    return f"{done[0]} {_PAST[name]}"


_OF_RECIPIENTS = ("recipient", "destination")
"""Filters that tell the recipients of a message apart."""
_reason = click.option("--reason", metavar="TEXT", help="Why; for log, trace and reports.")
_to = click.option(
    "--to",
    required=True,
    multiple=True,
    metavar="URL|mx|settings",
    help="Such as smtp://host:25; again for the next of a chain. mx: by MX records, past any"
    " smart host. settings: undo it.",
)

_deed(
    "retry",
    "Try messages now; held ones stay held.\n\n"
    "A destination that is put off, as nobody there could be talked to, is tried at once.",
    "--destination example.net",
)
_deed(
    "hold",
    "Keep messages until they are released.",
    "--sender alice@example.com --reason 'ask her first'",
    _reason,
)
_deed("release", "Send on messages that are held.", "--held --sender alice@example.com")
_deed(
    "reroute",
    "Have messages leave through other servers.\n\n"
    "With --destination or --recipient only the recipients who fit; others keep their way. It is"
    " tried at once, unless it is held. A user in a URL needs a password in outbound.logins.",
    "--destination example.net --to smtp://relay.example.com:25",
    _to,
)
_deed("delete", "Remove messages; nobody is told.", "--sender '<>' --older 2d", _reason)
_deed(
    "bounce",
    "Give messages back to their senders with a report.",
    "0000002A --reason 'the company has closed'",
    _reason,
)
