"""``gateway user``: who there is, and what is known of one.

Owns the group, listing and showing; how they look is ``user_shown``'s, app passwords are in
``user_app_password``. Everything is asked at the desk for people (``gateway.auth.people_desk``).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import click

from gateway.cli.json_array import JsonArray
from gateway.cli.lazy import LazyGroup
from gateway.cli.options import config_option, json_option, person_argument
from gateway.cli.progress import ProgressShown
from gateway.cli.queue_access import Call, at_gateway
from gateway.cli.user_shown import details, listing

FIRST_PAGE = 100
PAGE = 200

_COMMANDS = {
    "app-password": "gateway.cli.user_app_password:group",
    "reconcile": "gateway.cli.user_reconcile:reconcile",
}


def at_leavers(config_path: str | None, work: Callable[[Call], None]) -> None:
    """Run ``work`` at the desk for people who leave and move. Raises: GatewayError."""
    at_gateway(config_path, "leavers", "gateway.cli.leavers_store", work)


def at_people(config_path: str | None, work: Callable[[Call], None]) -> None:
    """Run ``work`` at the desk for people. Raises: GatewayError."""
    at_gateway(config_path, "people", "gateway.cli.people_store", work)


@click.group("user", cls=LazyGroup, found_in=_COMMANDS)
def group() -> None:
    """See who is in the directory; make app passwords.

    PERSON is a login or an address of the directory, or the immutable id behind "id:". Works at the
    running gateway, or on its store while it is stopped. Nothing here changes the directory.
    """


@group.command("list")
@click.option("--match", default="", metavar="TEXT", help="With it in login, name or address.")
@click.option("--disabled", is_flag=True, help="Only people who are disabled or locked.")
@click.option("--directory", default="", metavar="NAME", help="Only of this directory.")
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=FIRST_PAGE,
    show_default=True,
    metavar="N",
    help="Show so many.",
)
@click.option("--all", "everything", is_flag=True, help="Show all, however many.")
@config_option
@json_option
def list_(
    match: str,
    disabled: bool,
    directory: str,
    limit: int,
    everything: bool,
    config_path: str | None,
    as_json: bool,
) -> None:
    """List people: login, primary address, state, size of their mailboxes, last login.

    They come in the order of their ids. The last login is told as far as the gateway keeps it: to a
    day for passwords of the directory, to a few minutes for app passwords.
    """
    which = {"match": match, "disabled": disabled, "directory": directory}

    def work(call: Call) -> None:
        shown, more = 0, False
        array = JsonArray()
        for page, is_last in _pages(call, which, None if everything else limit):
            if as_json:
                for row in page:
                    array.add(row)
                continue
            if page:
                click.echo(listing(page, headings=not shown))
            shown += len(page)
            more = not is_last
        if as_json:
            array.end()
        elif not shown:
            click.echo("nobody" + (" who fits" if match or disabled else ""))
        elif more:
            click.echo(f"\nthe first {shown:,}; --limit or --all shows more")

    at_people(config_path, work)


def _pages(
    call: Call, which: Mapping[str, object], left: int | None
) -> Iterator[tuple[list[dict[str, Any]], bool]]:
    """Pages with whether nobody comes behind. With a filter, a page may be empty."""
    after = ""
    looked_at = 0
    with ProgressShown(sys.stderr) as progress:
        while True:
            limit = PAGE if left is None else min(left, PAGE)
            answer = call("list", {**which, "after": after, "limit": limit})
            page = answer["people"]
            after = answer["more_after"]
            looked_at += answer["looked_at"]
            if left is not None:
                left -= len(page)
            yield page, not after
            if not after or left == 0:
                return
            if not page:
                progress("user list", looked_at, 0, "people looked at")


@group.command()
@person_argument
@config_option
@json_option
def show(person: str, config_path: str | None, as_json: bool) -> None:
    """Show one person: state, quota, where mail goes, groups, app passwords, refusals."""
    answer: dict[str, Any] = {}
    at_people(config_path, lambda call: answer.update(call("show", {"person": person})))
    at_leavers(config_path, lambda call: answer.update(noted=call("noted", {"id": answer["id"]})))
    click.echo(json.dumps(answer, indent=2) if as_json else "\n".join(details(answer)))
