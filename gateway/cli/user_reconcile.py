"""``gateway user reconcile``: whose mailboxes have no owner any more, who is disabled, who moved.

Owns the command: what is asked in which order, the confirmation, and the deed for each person. How
it looks is ``user_reconcile_shown``'s. Nothing is deleted unless ``--delete-gone-after`` says so,
and then person by person, each asked for in the directory by id once more by whoever deletes.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from typing import Any

import click

from gateway.cli.options import config_option, json_option
from gateway.cli.plain import plain
from gateway.cli.progress import ProgressShown
from gateway.cli.queue_access import Call, at_gateway
from gateway.cli.user import at_leavers
from gateway.cli.user_reconcile_shown import named, report

MOVED_DAYS = 30
DAY_S = 86_400
NAMED = 20
FIRST_LOOK_S, LOOK_S = 0.01, 0.5


@click.command()
@click.option("--dry-run", is_flag=True, help="Only tell; write nothing.")
@click.option("--accept", is_flag=True, help="Let a mass change happen that is held back.")
@click.option(
    "--delete-gone-after",
    "days",
    type=click.IntRange(min=1),
    metavar="DAYS",
    help="Delete the mailboxes of people who have been gone for so long.",
)
@click.option("--yes", is_flag=True, help="With --delete-gone-after: do not ask.")
@config_option
@json_option
def reconcile(
    dry_run: bool,
    accept: bool,
    days: int | None,
    yes: bool,
    config_path: str | None,
    as_json: bool,
) -> None:
    """Compare mailboxes with the directory, and report.

    Everybody who has mailboxes is looked for in the directory by immutable id: who is gone or
    disabled and since when, who moved lately, addresses that several people have, how many people
    have no mailbox, and mass changes that are held back. Mailboxes are never deleted because
    somebody is not found.
    """
    if dry_run and accept:
        raise click.UsageError("--accept writes; leave out --dry-run")
    if days is not None and as_json and not (yes or dry_run):
        raise click.UsageError("--json does not ask; say --yes or --dry-run")
    told: dict[str, Any] = {"dry_run": dry_run, "pictures": [], "accepted": {}}

    def at_pictures(call: Call) -> None:
        if accept:
            told["accepted"] = call("accept", {"source": None})["accepted"]
        told["pictures"] = call("status", {})["pictures"]

    at_gateway(config_path, "picture", "gateway.cli.no_pictures", at_pictures)

    def work(call: Call) -> None:
        told["compared"] = _compared(call, dry_run=dry_run, accept=accept)
        told["away"] = _away(call)
        told["moved"] = call("moved", {"days": MOVED_DAYS})["moved"]
        chosen = [] if days is None else _chosen(told["away"], days)
        told["to_delete"] = chosen
        if not as_json:
            click.echo("\n".join(report(told)))
        if chosen and not dry_run and (yes or _agreed(chosen)):
            told["deleted"] = _delete(call, chosen, days or 0, quiet=as_json)
        elif not chosen and days is not None and not as_json:
            click.echo(f"nobody with mailboxes has been gone for {days} days")
        if as_json:
            click.echo(json.dumps(told, indent=2))

    at_leavers(config_path, work)


def _compared(call: Call, *, dry_run: bool, accept: bool) -> dict[str, Any]:
    """However long it takes, the gateway answers each question at once."""
    begun = call("compare", {"dry_run": dry_run, "accept": accept})
    wait_s = FIRST_LOOK_S
    with ProgressShown(sys.stderr) as progress:
        while True:
            answer = call("compared", begun)
            if answer.pop("done"):
                return answer
            if wait_s == LOOK_S:
                progress("user reconcile", answer["looked_at"], 0, "people looked for")
            time.sleep(wait_s)
            wait_s = min(2 * wait_s, LOOK_S)


def _away(call: Call) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    after = ""
    while True:
        answer = call("away", {"after": after})
        rows += answer["away"]
        after = answer["more_after"]
        if not after:
            return rows


def _chosen(away: Sequence[dict[str, Any]], days: int) -> list[dict[str, Any]]:
    until = time.time() - days * DAY_S
    return [
        each
        for each in away
        if each["gone_since"]
        and each["gone_since"] <= until
        and each["octets"] is not None
        and not each["removed_at"]
    ]


def _agreed(chosen: Sequence[dict[str, Any]]) -> bool:
    names = ", ".join(named(each) for each in chosen[:NAMED])
    more = f" and {len(chosen) - NAMED:,} more" if len(chosen) > NAMED else ""
    click.echo("")
    return click.confirm(f"delete all mail of {plain(names)}{more}?", default=False)


def _delete(
    call: Call, chosen: Sequence[dict[str, Any]], days: int, *, quiet: bool
) -> list[dict[str, Any]]:
    """Each by itself: one who is back meanwhile keeps the mail, and the others go on."""
    # Imported here, as commands at a running gateway need little.
    from gateway.core.errors import GatewayError

    deleted = []
    with ProgressShown(sys.stderr) as progress:
        for number, each in enumerate(chosen, 1):
            progress("user reconcile", number, len(chosen), "people")
            try:
                row = call("remove", {"id": each["id"], "days": days})
            except GatewayError as error:
                click.echo(f"{plain(named(each))}: not deleted: {plain(str(error))}", err=True)
                continue
            deleted.append(row)
            if not quiet:
                click.echo(f"deleted {row['messages']:,} messages of {plain(named(each))}")
    return deleted
