"""``gateway queue suppressed``: addresses elsewhere that are written to no more, and why.

Owns the commands and how they look. What makes an address suppressed is ``queue.suppression``'s.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from typing import Any

import click

from gateway.cli.options import config_option, json_option
from gateway.cli.plain import plain
from gateway.cli.progress import table
from gateway.cli.queue_access import Call, at_queue
from gateway.cli.queue_shown import age, cut
from gateway.core.errors import GatewayError
from gateway.queue.desk_forms import CallRefused
from gateway.queue.suppression_desk import addresses_of

PAGE = 1000
PIECE = 500  # as many as one call takes
ADDRESS_WIDTH, WHY_WIDTH = 40, 60

Row = Mapping[str, Any]


class SomeRefused(GatewayError):
    """Not everything that was asked for was done."""

    temporary = False


@click.group("suppressed")
def group() -> None:
    """Addresses elsewhere that mail is not sent to for a while.

    One gets here when its server has said again and again that there is no such mailbox
    (outbound.suppression), or by hand. Mail for it comes back at once with a report that says so.
    A delivery, or `remove`, takes it out.
    """


@group.command("list")
@click.argument("text", required=False, default="")
@click.option("--all", "everything", is_flag=True, help="Also those that are only counted so far.")
@config_option
@json_option
def list_(text: str, everything: bool, config_path: str | None, as_json: bool) -> None:
    """List them, or those with TEXT in them."""

    def work(call: Call) -> None:
        if as_json:
            click.echo(json.dumps(list(_rows(call, text, everything)), indent=2))
            return
        rows = [_cells(row) for row in _rows(call, text, everything)]
        headings = ("address", "since", "until", "refused", "sent back", "why")
        click.echo(table(rows, headings) if rows else "no address is suppressed")

    at_queue(config_path, work)


def _rows(call: Call, text: str, everything: bool) -> Iterator[Row]:
    after = ""
    while True:
        answer = call(
            "suppressed", {"which": text, "all": everything, "after": after, "limit": PAGE}
        )
        yield from answer["addresses"]
        after = answer["more_after"]
        if not after:
            return


def _cells(row: Row) -> tuple[object, ...]:
    now = time.time()
    since, until = "counted only", ""
    if row["suppressed"]:
        since = f"{age(now - row['suppressed_at'])} ago"
        until = "removed" if row["ends_at"] is None else f"in {age(row['ends_at'] - now)}"
    said = f"{row['remote']}: {row['reply']}" if row["reply"] else ""
    why = f"by {row['made_by']}: {row['reason']}" if row["made_by"] else said
    return (
        cut(row["address"], ADDRESS_WIDTH),
        since,
        until,
        row["failures"],
        row["turned_away"],
        cut(why, WHY_WIDTH),
    )


@group.command()
@click.argument("addresses", metavar="ADDRESS...", nargs=-1, required=True)
@click.option("--reason", default="", metavar="TEXT", help="Why; senders read it.")
@config_option
@json_option
def add(addresses: tuple[str, ...], reason: str, config_path: str | None, as_json: bool) -> None:
    """Send nothing to these addresses until they are removed."""
    _do("suppress", addresses, {"reason": reason}, config_path, as_json, "suppressed")


@group.command()
@click.argument("addresses", metavar="ADDRESS...", nargs=-1, required=True)
@config_option
@json_option
def remove(addresses: tuple[str, ...], config_path: str | None, as_json: bool) -> None:
    """Send to these addresses again, and forget what was counted."""
    _do("unsuppress", addresses, {}, config_path, as_json, "removed")


def _do(
    name: str,
    addresses: tuple[str, ...],
    more: Mapping[str, object],
    config_path: str | None,
    as_json: bool,
    past: str,
) -> None:
    try:
        addresses_of(addresses)
    except CallRefused as error:
        raise click.UsageError(str(error)) from None

    def work(call: Call) -> None:
        done: list[str] = []
        refused: list[Row] = []
        for start in range(0, len(addresses), PIECE):
            piece = list(addresses[start : start + PIECE])
            answer = call(name, {"addresses": piece, **more})
            done += answer["done"]
            refused += answer["refused"]
        if as_json:
            click.echo(json.dumps({"done": done, "refused": refused}, indent=2))
        else:
            for address in done:
                click.echo(f"{plain(address)} {past}")
        if refused:
            first = "; ".join(f"{each['address']}: {each['why']}" for each in refused[:5])
            raise SomeRefused(f"left as they are: {len(refused):,}: {plain(first)}")

    at_queue(config_path, work)
