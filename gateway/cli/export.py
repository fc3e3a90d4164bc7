"""``gateway export``: a person's mailboxes as a Maildir or as mbox files.

Owns the command lines; the files are the business of ``transfer``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from gateway.cli.desk import Desk, at_person
from gateway.cli.options import config_option, json_option, load_settings, person_argument
from gateway.cli.progress import ProgressShown
from gateway.cli.transfers import dry_run_option, show_and_exit
from gateway.core.account import Account
from gateway.transfer.exporting import Exporter, Target
from gateway.transfer.maildir_target import MaildirTarget
from gateway.transfer.mbox_target import MboxTarget
from gateway.transfer.values import Report

_DIRECTORY = click.Path(file_okay=False, path_type=Path)
_MAILBOX = click.option("--mailbox", default="", metavar="NAME", help="This mailbox only.")


@click.group("export")
def group() -> None:
    """Copy a person's mailboxes to files.

    PERSON is a login or an address of the directory, or the immutable id behind "id:". DIRECTORY is
    made, or has to be empty, or holds an earlier export of the same account, to which what is new
    is added. Nothing is ever overwritten or deleted, here or there.
    """


@group.command()
@person_argument
@click.argument("directory", type=_DIRECTORY)
@_MAILBOX
@click.option(
    "--layout",
    type=click.Choice(["maildir++", "fs"]),
    default="maildir++",
    show_default=True,
    help="Folders as .Work.2003 (maildir++) or Work/2003 (fs).",
)
@dry_run_option
@config_option
@json_option
def maildir(
    person: str,
    directory: Path,
    mailbox: str,
    layout: Literal["maildir++", "fs"],
    dry_run: bool,
    config_path: str | None,
    as_json: bool,
) -> None:
    """Write a Maildir that Dovecot serves with the same UIDs.

    With flags, keywords, dates, subscriptions and POP3 names.
    """
    target = MaildirTarget(directory, layout)
    _copy(person, target, mailbox, config_path, dry_run=dry_run, as_json=as_json)


@group.command()
@person_argument
@click.argument("directory", type=_DIRECTORY)
@_MAILBOX
@dry_run_option
@config_option
@json_option
def mbox(
    person: str,
    directory: Path,
    mailbox: str,
    dry_run: bool,
    config_path: str | None,
    as_json: bool,
) -> None:
    """Write mbox files (mboxrd), one a mailbox.

    Flags and UIDs are in lines of the header, as mbox programs have them.
    """
    target = MboxTarget(directory)
    _copy(person, target, mailbox, config_path, dry_run=dry_run, as_json=as_json)


def _copy(
    person: str,
    target: Target,
    mailbox: str,
    config_path: str | None,
    *,
    dry_run: bool,
    as_json: bool,
) -> None:
    def work(desk: Desk, account: Account) -> Report:
        with ProgressShown() as progress:
            exporter = Exporter(
                desk.call, desk.store, account.account_id, progress, dry_run=dry_run
            )
            return exporter.run(target, mailbox)

    report = at_person(load_settings(config_path).settings, person, work)
    show_and_exit({person: report}, as_json=as_json, dry_run=dry_run, is_import=False)
