"""What imports and exports have in common on the command line: options, table, JSON, exit status.

Owns the form of what is told at the end. Tables and JSON go to standard output, what failed to
standard error.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict
from typing import Any, TypeVar

import click

from gateway.cli.desk import Desk
from gateway.cli.progress import table
from gateway.core.account import Account
from gateway.core.ports.progress import Progress
from gateway.transfer.dovecot_uidlist import check_uidl_format
from gateway.transfer.importing import Importer
from gateway.transfer.names import NameRules
from gateway.transfer.values import FolderResult, Report, Source

Command = TypeVar("Command", bound=Callable[..., Any])


def dry_run_option(command: Command) -> Command:
    """``--dry-run``."""
    return click.option("--dry-run", is_flag=True, help="Say what would be copied, copy nothing.")(
        command
    )


def import_options(command: Command) -> Command:
    """What every import can do."""
    command = click.option(
        "--refresh-flags",
        is_flag=True,
        help="Give messages copied before the flags they have there now; needs kept UIDs.",
    )(command)
    return click.option(
        "--map",
        "rules",
        metavar="OLD=NEW",
        multiple=True,
        callback=_rules,
        help='Copy folder OLD, and what is below it, to mailbox NEW; "/" parts levels. Repeatable.',
    )(command)


def _rules(context: click.Context, parameter: click.Parameter, values: Sequence[str]) -> NameRules:
    renamed: dict[str, str] = {}
    for value in values:
        old, separator, new = value.partition("=")
        if not (old and separator and new):
            raise click.BadParameter(f"found {value!r}; expected OLD=NEW", context, parameter)
        renamed[old] = new
    return NameRules(renamed)


def copy_in(
    desk: Desk,
    account: Account,
    source: Source,
    progress: Progress,
    *,
    dry_run: bool,
    refresh_flags: bool,
) -> Report:
    """Import all a source has into one account; closes the source."""
    importer = Importer(
        desk.call,
        desk.store,
        desk.store.imports,
        account.account_id,
        progress,
        dry_run=dry_run,
        refresh_flags=refresh_flags,
    )
    with closing(source):
        return importer.run(source)


def checked_uidl(context: click.Context, parameter: click.Parameter, value: str) -> str:
    """Refuse a format that cannot be followed."""
    if value:
        try:
            check_uidl_format(value)
        except ValueError as error:
            raise click.BadParameter(str(error), context, parameter) from None
    return value


def show_and_exit(
    reports: Mapping[str, Report], *, as_json: bool, dry_run: bool, is_import: bool
) -> None:
    """Tell what became of each person's mail; exit status 1 if anything failed."""
    if as_json:
        click.echo(json.dumps(_as_object(reports, dry_run), indent=2))
    else:
        for person, report in reports.items():
            if len(reports) > 1:
                click.echo(f"{person}:")
            click.echo(_as_table(report.folders, is_import, dry_run))
        for person, report in reports.items():
            _show_troubles(person, report)
    if not all(report.all_is_well for report in reports.values()):
        raise SystemExit(1)


def _show_troubles(person: str, report: Report) -> None:
    for trouble in report.troubles:
        click.echo(f"failed: {_plain(trouble.what)}: {_plain(trouble.why)}", err=True)
    if report.more_troubles:
        click.echo(f"failed: {report.more_troubles:,} more", err=True)
    if report.stopped:
        click.echo(f"stopped: {person}: {_plain(report.stopped)}", err=True)


def _plain(text: str) -> str:
    """Names and replies are other people's: nothing in them that a terminal would obey."""
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)


def _as_table(folders: Sequence[FolderResult], is_import: bool, dry_run: bool) -> str:
    headings = [
        "folder" if is_import else "place",
        "mailbox",
        "found",
        "to copy" if dry_run else "copied",
        "already here" if is_import else "already there",
        "failed",
    ]
    if is_import:
        headings += ["flags set", "UIDs"]
    rows: list[list[object]] = []
    for one in folders:
        row: list[object] = [_plain(one.folder), _plain(one.mailbox), one.found, one.copied,
                             one.already, one.failed]  # fmt: skip
        if is_import:
            row += [one.flags_set, {True: "kept", False: "new", None: ""}[one.kept_uids]]
        rows.append(row)
    counts = [
        sum(getattr(one, name) for one in folders)
        for name in ("found", "copied", "already", "failed", "flags_set")
    ]
    rows.append(["total", "", *counts, ""] if is_import else ["total", "", *counts[:-1]])
    return table(rows, headings)


def _as_object(reports: Mapping[str, Report], dry_run: bool) -> dict[str, object]:
    return {
        "dry_run": dry_run,
        "people": [
            {
                "person": person,
                "complete": report.all_is_well,
                "stopped": report.stopped,
                "folders": [asdict(one) for one in report.folders],
                "failed": [{"what": one.what, "why": one.why} for one in report.troubles],
                "failed_not_listed": report.more_troubles,
            }
            for person, report in reports.items()
        ],
    }
