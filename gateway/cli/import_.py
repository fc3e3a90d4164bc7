"""``gateway import``: mailboxes move in, from a Maildir, mbox files or another IMAP server.

Owns the command lines. What is copied how is the business of ``transfer``. All of it works beside a
running gateway, can be interrupted and repeated, and then copies only what is new.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import click

from gateway.cli.desk import Desk, at_person
from gateway.cli.import_imap import imap
from gateway.cli.options import config_option, json_option, load_settings, person_argument
from gateway.cli.progress import ProgressShown
from gateway.cli.transfers import (
    checked_uidl,
    copy_in,
    dry_run_option,
    import_options,
    show_and_exit,
)
from gateway.core.account import Account
from gateway.transfer.maildir import MaildirOptions, MaildirSource
from gateway.transfer.mbox import MboxOptions, MboxSource
from gateway.transfer.names import NameRules
from gateway.transfer.values import Report, Source

_PATH = click.Path(exists=True, path_type=Path)
_DIRECTORY = click.Path(exists=True, file_okay=False, path_type=Path)


@click.group("import")
def group() -> None:
    """Copy mailboxes from elsewhere into a person's account.

    PERSON is a login or an address of the directory. Run it as often as you like: each message
    comes once, and a run that was interrupted goes on where it was. Nothing is ever deleted, here
    or there.
    """


group.add_command(imap)


@group.command()
@person_argument
@click.argument("path", type=_DIRECTORY)
@click.option(
    "--layout",
    type=click.Choice(["auto", "maildir++", "fs"]),
    default="auto",
    show_default=True,
    help="Folders as .Work.2003 (maildir++) or Work/2003 (fs).",
)
@click.option(
    "--separator",
    default=".",
    show_default=True,
    help="Between the levels of maildir++ folders.",
)
@click.option(
    "--control",
    type=_DIRECTORY,
    help="Where Dovecot keeps dovecot-uidlist, if not in the Maildir (CONTROL=).",
)
@click.option(
    "--pop3-uidl",
    "uidl_format",
    default="",
    callback=checked_uidl,
    metavar="FORMAT",
    help="Dovecot's pop3_uidl_format, if it is not its default, %08Xu%08Xv.",
)
@click.option(
    "--date-from",
    type=click.Choice(["mtime", "name", "header"]),
    default="mtime",
    show_default=True,
    help="Where messages' dates are: in files' times as Dovecot has it, their names, or headers.",
)
@click.option("--source-name", default="", help="What the Maildir was called before it moved.")
@import_options
@dry_run_option
@config_option
@json_option
def maildir(
    person: str,
    path: Path,
    layout: Literal["auto", "maildir++", "fs"],
    separator: str,
    control: Path | None,
    uidl_format: str,
    date_from: Literal["mtime", "name", "header"],
    source_name: str,
    rules: NameRules,
    refresh_flags: bool,
    dry_run: bool,
    config_path: str | None,
    as_json: bool,
) -> None:
    """Copy the Maildir at PATH, with its folders.

    With flags, keywords, dates and, where Dovecot's or Courier's lists are there, UIDs and POP3
    names, so that clients go on with what they have.
    """
    if len(separator) != 1 or separator == "/":
        raise click.BadParameter("expected one character other than /", param_hint="--separator")
    options = MaildirOptions(layout, separator, uidl_format, date_from, control, source_name)
    _copy(
        person,
        lambda: MaildirSource(path, options, rules),
        config_path,
        refresh_flags=refresh_flags,
        dry_run=dry_run,
        as_json=as_json,
    )


@group.command()
@person_argument
@click.argument("path", type=_PATH)
@click.option(
    "--format",
    "dialect",
    type=click.Choice(["auto", "mboxrd", "mboxo", "mboxcl2"]),
    default="auto",
    show_default=True,
    help='How "From " lines in messages are kept apart; auto: by Content-Length, or else mboxrd.',
)
@click.option(
    "--into", default="INBOX", show_default=True, help="Mailbox for PATH if it is one file."
)
@click.option("--source-name", default="", help="What the files were called before they moved.")
@import_options
@dry_run_option
@config_option
@json_option
def mbox(
    person: str,
    path: Path,
    dialect: Literal["auto", "mboxrd", "mboxo", "mboxcl2"],
    into: str,
    source_name: str,
    rules: NameRules,
    refresh_flags: bool,
    dry_run: bool,
    config_path: str | None,
    as_json: bool,
) -> None:
    """Copy an mbox file, or a directory of them.

    Thunderbird's folders (Name.sbd) become levels. Flags and UIDs come from the lines in which
    mbox programs keep them, which are left out of the messages.
    """
    options = MboxOptions(dialect, into, source_name)
    _copy(
        person,
        lambda: MboxSource(path, options, rules),
        config_path,
        refresh_flags=refresh_flags,
        dry_run=dry_run,
        as_json=as_json,
    )


def _copy(
    person: str,
    open_source: Callable[[], Source],
    config_path: str | None,
    *,
    refresh_flags: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    def work(desk: Desk, account: Account) -> Report:
        with ProgressShown() as progress:
            return copy_in(
                desk,
                account,
                open_source(),
                progress,
                dry_run=dry_run,
                refresh_flags=refresh_flags,
            )

    report = at_person(load_settings(config_path).settings, person, work)
    show_and_exit({person: report}, as_json=as_json, dry_run=dry_run, is_import=True)
