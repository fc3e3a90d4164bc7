"""``gateway import imap``: pull one person's mail, or many people's, from another IMAP server.

Owns where passwords come from: a file, the environment, standard input or the terminal; never the
command line, which every user of the machine can read.
"""

from __future__ import annotations

import csv
import os
import stat
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import click

from gateway.cli.desk import Desk, at_desk
from gateway.cli.options import config_option, json_option, load_settings
from gateway.cli.progress import ProgressShown
from gateway.cli.transfers import (
    checked_uidl,
    copy_in,
    dry_run_option,
    import_options,
    show_and_exit,
)
from gateway.core.errors import GatewayError
from gateway.transfer.imap_connection import ImapConnection, ImapServer
from gateway.transfer.imap_folders import ImapOptions
from gateway.transfer.imap_source import ImapSource
from gateway.transfer.names import NameRules
from gateway.transfer.values import Report

PASSWORD_VARIABLE = "GATEWAY_IMPORT_PASSWORD"  # noqa: S105 - its name
_FILE = click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path)


@dataclass(frozen=True, slots=True)
class Move:
    """Who moves in, and who that is on the old server."""

    person: str
    login: str
    password: str = field(repr=False)


@click.command()
@click.argument("person", required=False)
@click.option("--host", required=True, help="The old server's name.")
@click.option("--port", type=click.IntRange(1, 65535), help="[default: 993; 143 without TLS first]")
@click.option("--user", help="The person's login there [default: PERSON].")
@click.option(
    "--auth-user",
    default="",
    help="Log in as this administrator, who may act for others (SASL PLAIN).",
)
@click.option(
    "--password-file",
    type=_FILE,
    help=f"Its first line is the password; - is standard input. Also: {PASSWORD_VARIABLE}.",
)
@click.option(
    "--people-file",
    type=_FILE,
    help="Many people instead of one: a CSV file of person, login there and, unless there is "
    "--auth-user, password.",
)
@click.option("--starttls", "tls", flag_value="starttls", help="TLS by STARTTLS, on port 143.")
@click.option("--no-tls", "tls", flag_value="none", help="No TLS; to this machine only.")
@click.option("--allow-clear-text", is_flag=True, help="With --no-tls: also to other machines.")
@click.option(
    "--ca-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Authorities that may have signed the old server's certificate.",
)
@click.option("--skip", multiple=True, metavar="FOLDER", help="Leave out a folder. Repeatable.")
@click.option("--shared", is_flag=True, help="Also copy what belongs to others or to all.")
@click.option(
    "--pop3-uidl",
    "uidl_format",
    default="",
    callback=checked_uidl,
    metavar="FORMAT",
    help="What the old POP3 server called messages, as Dovecot's pop3_uidl_format.",
)
@import_options
@dry_run_option
@config_option
@json_option
def imap(
    person: str | None,
    host: str,
    port: int | None,
    user: str | None,
    auth_user: str,
    password_file: Path | None,
    people_file: Path | None,
    tls: Literal["starttls", "none"] | None,
    allow_clear_text: bool,
    ca_file: Path | None,
    skip: tuple[str, ...],
    shared: bool,
    uidl_format: str,
    rules: NameRules,
    refresh_flags: bool,
    dry_run: bool,
    config_path: str | None,
    as_json: bool,
) -> None:
    """Pull mail from another IMAP server.

    All folders with flags, dates and, while the mailbox here holds nothing else, UIDs. Nothing
    there is changed. A lost connection is made again.
    """
    moves = _moves(person, user, auth_user, password_file, people_file)
    kind = tls or "implicit"
    first = ImapServer(
        host,
        port or (993 if kind == "implicit" else 143),
        "",
        "",
        auth_user,
        kind,
        ca_file,
        allow_clear_text,
    )
    options = ImapOptions(uidl_format, skip, shared)
    reports: dict[str, Report] = {}

    def work(desk: Desk) -> None:
        with ProgressShown() as progress:
            for move in moves:
                server = replace(first, user=move.login, password=move.password)
                report = reports.setdefault(move.person, Report())
                try:
                    account = desk.account(move.person)
                    connection = ImapConnection(server, time.sleep)
                except KeyboardInterrupt:
                    report.stopped = "interrupted before it began"
                    return
                except GatewayError as error:
                    report.stopped = str(error)
                    continue
                source = ImapSource(connection, f"imap://{move.login}@{host}", options, rules)
                reports[move.person] = copy_in(
                    desk, account, source, progress, dry_run=dry_run, refresh_flags=refresh_flags
                )
                if desk.interrupted:
                    return

    at_desk(load_settings(config_path).settings, work, may_create=False)
    show_and_exit(reports, as_json=as_json, dry_run=dry_run, is_import=True)


def _moves(
    person: str | None,
    user: str | None,
    auth_user: str,
    password_file: Path | None,
    people_file: Path | None,
) -> Sequence[Move]:
    if (person is None) == (people_file is None):
        raise click.UsageError("name one PERSON, or many people by --people-file")
    if people_file is None:
        assert person is not None
        return [Move(person, user or person, _password(password_file))]
    if user is not None:
        raise click.UsageError("--user is for one PERSON; with --people-file, logins are in it")
    shared_password = _password(password_file) if auth_user else ""
    try:
        return _read_people(people_file, shared_password)
    except (UnicodeDecodeError, csv.Error) as error:
        raise click.UsageError(f"{people_file} is no CSV file in UTF-8: {error}") from None


def _read_people(path: Path, shared_password: str) -> list[Move]:
    # Spreadsheets put a byte order mark before UTF-8.
    with click.open_file(str(path), encoding="utf-8-sig", errors="strict") as file:
        if not shared_password and stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077:
            raise click.UsageError(f"{path} has passwords, and others can read it: chmod 600 it")
        moves: list[Move] = []
        for number, row in enumerate(csv.reader(file), start=1):
            cells = [cell.strip() for cell in row]
            if not any(cells) or cells[0].startswith("#"):
                continue
            expected = 2 if shared_password else 3
            if len(cells) != expected or not all(cells):
                names = "person,login" if shared_password else "person,login,password"
                raise click.UsageError(f"{path}: line {number}: expected {names}")
            if any(move.person == cells[0] for move in moves):
                raise click.UsageError(f"{path}: line {number}: {cells[0]} is in it already")
            moves.append(Move(cells[0], cells[1], shared_password or row[2]))
        return moves


def _password(path: Path | None) -> str:
    if path is not None:
        with click.open_file(str(path), encoding="utf-8") as file:
            password = str(file.readline()).rstrip("\r\n")
        if not password:
            raise click.UsageError(f"{path}: its first line is empty; expected the password")
        return password
    if value := os.environ.get(PASSWORD_VARIABLE):
        return value
    if sys.stdin.isatty():
        return str(click.prompt("Password on the old server", hide_input=True, err=True))
    raise click.UsageError(f"give the password by --password-file or {PASSWORD_VARIABLE}")
