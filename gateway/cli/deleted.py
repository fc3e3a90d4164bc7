"""``gateway mailbox deleted`` and ``undelete``: what people deleted, and having it back.

Owns how messages are chosen and shown. What can be had back, and for how long, is the store's
business. Of a message only From and Subject are read, and shown without what a terminal would obey.

Limits: HEADER_OCTETS of each message; READ_AT_ONCE messages held at a time.
"""

from __future__ import annotations

import json
import re
import time
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any, TypeVar

import click

from gateway.cli.desk import Desk, at_person
from gateway.cli.options import config_option, json_option, load_settings, person_argument
from gateway.cli.plain import plain
from gateway.cli.progress import ProgressShown, table
from gateway.core.account import Account
from gateway.core.errors import GatewayError
from gateway.core.settings.model import Settings
from gateway.core.vault import DeletedMessage
from gateway.wire.mime.text import header_values

HEADER_OCTETS = 16 * 1024
READ_AT_ONCE = 32
FROM_WIDTH, SUBJECT_WIDTH = 32, 48
BACK_AT_ONCE = 500

_AGO = re.compile(r"(\d{1,6})([dhm])")
_SECONDS = {"d": 86_400, "h": 3_600, "m": 60}

Command = TypeVar("Command", bound=Callable[..., Any])


def _since(context: click.Context, parameter: click.Parameter, value: str | None) -> int | None:
    """``7d``, ``12h``, ``30m`` or a date, in local time; becomes Unix time."""
    if value is None:
        return None
    if ago := _AGO.fullmatch(value):
        return int(time.time()) - int(ago[1]) * _SECONDS[ago[2]]
    try:
        return int(datetime.fromisoformat(value).timestamp())
    except (ValueError, OverflowError):
        raise click.BadParameter(
            f"found {value!r}; expected an age such as 7d, 12h or 30m, or a date such as"
            " 2024-05-31 or 2024-05-31T14:30",
            context,
            parameter,
        ) from None


def which_options(command: Command) -> Command:
    """``--mailbox`` and ``--since``, which narrow what is meant."""
    command = click.option(
        "--since", callback=_since, metavar="7d|DATE", help="Deleted since then only."
    )(command)
    return click.option(
        "--mailbox", metavar="NAME", help="Deleted from this mailbox only, which may be gone."
    )(command)


@dataclass(frozen=True, slots=True)
class Shown:
    """A deleted message with what its header says."""

    message: DeletedMessage
    sender: str
    subject: str


@click.command()
@person_argument
@which_options
@config_option
@json_option
def deleted(
    person: str, mailbox: str | None, since: int | None, config_path: str | None, as_json: bool
) -> None:
    """List deleted mail that can be had back.

    The latest first; the setting deleted_mail.keep_days says for how long it is kept.
    """
    settings = load_settings(config_path).settings

    def work(desk: Desk, account: Account) -> None:
        found = _find(desk, account, mailbox, since)
        shown = [row for some in _with_headers(desk, found) for row in some]
        if as_json:
            click.echo(json.dumps([_as_object(row) for row in shown], indent=2))
            return
        if not shown:
            click.echo(_nothing(settings, person))
            return
        click.echo(table([_as_row(row) for row in shown], _HEADINGS))
        octets = sum(message.size_octets for message in found)
        click.echo(
            f"\n{len(found):,} messages, {octets:,} octets;"
            f" `gateway mailbox undelete {person} --id ID` brings one back"
        )

    at_person(settings, person, work)


@click.command()
@person_argument
@which_options
@click.option(
    "--id",
    "ids",
    type=click.IntRange(min=1),
    multiple=True,
    metavar="N",
    help="This message, as `deleted` lists it; may be repeated.",
)
@click.option("--all", "everything", is_flag=True, help="All deleted mail of the person.")
@click.option("--into", metavar="NAME", help="Put it there, not where it lay.")
@click.option("--dry-run", is_flag=True, help="Say what would come back, and change nothing.")
@config_option
def undelete(
    person: str,
    mailbox: str | None,
    since: int | None,
    ids: tuple[int, ...],
    everything: bool,
    into: str | None,
    dry_run: bool,
    config_path: str | None,
) -> None:
    """Bring deleted mail back.

    Each message goes where it lay, with its date and flags; a mailbox that is gone is made again.
    Clients see it as new arrivals. Say which messages by --id, --mailbox, --since or --all.
    """
    narrowed = mailbox is not None or since is not None or bool(ids)
    if narrowed == everything:
        raise click.UsageError(
            "say which messages: --id, --mailbox and --since narrow each other down, or --all"
        )
    settings = load_settings(config_path).settings

    def work(desk: Desk, account: Account) -> None:
        found = _find(desk, account, mailbox, since)
        if ids:
            found = _by_id(found, ids, person)
        if not found:
            raise GatewayError(_nothing(settings, person))
        goals = _goals(found, into)
        rows = [
            (plain(name), len(some), sum(message.size_octets for message in some))
            for name, some in goals
        ]
        if dry_run:
            click.echo(table(rows, ("would come back to", "messages", "octets")))
            return
        missing = len(found) - sum(_bring_back(desk, account, goals, into))
        click.echo(table(rows, ("came back to", "messages", "octets")))
        if missing:
            raise GatewayError(f"{missing} of them were gone meanwhile")

    at_person(settings, person, work)


def _find(
    desk: Desk, account: Account, mailbox: str | None, since: int | None
) -> Sequence[DeletedMessage]:
    name = None if mailbox is None else unicodedata.normalize("NFC", mailbox)
    return desk.call(desk.store.vault.deleted(account.account_id, mailbox=name, since=since or 0))


def _by_id(
    found: Sequence[DeletedMessage], ids: Sequence[int], person: str
) -> Sequence[DeletedMessage]:
    wanted = set(ids)
    chosen = [message for message in found if message.vault_id in wanted]
    if unknown := wanted - {message.vault_id for message in chosen}:
        names = ", ".join(map(str, sorted(unknown)))
        raise GatewayError(
            f"no deleted message has the id {names}; `gateway mailbox deleted {person}` lists them"
        )
    return chosen


def _goals(
    found: Sequence[DeletedMessage], into: str | None
) -> list[tuple[str, list[DeletedMessage]]]:
    """Mailboxes with what goes there, ascending by name."""
    if into is not None:
        return [(unicodedata.normalize("NFC", into), list(found))]

    def name_of(message: DeletedMessage) -> str:
        return message.mailbox_name

    return [(name, list(some)) for name, some in groupby(sorted(found, key=name_of), name_of)]


def _bring_back(
    desk: Desk, account: Account, goals: list[tuple[str, list[DeletedMessage]]], into: str | None
) -> Iterator[int]:
    total = sum(len(some) for _, some in goals)
    done = 0
    with ProgressShown() as progress:
        for name, some in goals:
            # As they lay, also across the borders of these pieces.
            ids = [each.vault_id for each in sorted(some, key=lambda each: each.uid)]
            for start in range(0, len(ids), BACK_AT_ONCE):
                piece = ids[start : start + BACK_AT_ONCE]
                target = None if into is None else name
                yield desk.call(desk.store.vault.undelete(account.account_id, piece, into=target))
                done += len(piece)
                if total > BACK_AT_ONCE:
                    progress("undeleting", done, total, "messages")


def _nothing(settings: Settings, person: str) -> str:
    days = settings.deleted_mail.keep_days
    if not days:
        return "deleted mail is not kept: the setting deleted_mail.keep_days is 0"
    return f"no such deleted mail of {person}; what is deleted is kept for {days} days"


# -- what a message is called


def _with_headers(desk: Desk, found: Sequence[DeletedMessage]) -> Iterator[list[Shown]]:
    with ProgressShown() as progress:
        for start in range(0, len(found), READ_AT_ONCE):
            some = found[start : start + READ_AT_ONCE]
            spans = [(each.blob_id, 0, min(HEADER_OCTETS, each.size_octets)) for each in some]
            headers = desk.call(desk.store.read_many(spans))
            yield [_shown(each, octets) for each, octets in zip(some, headers, strict=True)]
            if len(found) > BACK_AT_ONCE:  # the others are read in no time
                progress("reading", start + len(some), len(found), "messages")


def _shown(message: DeletedMessage, header: object) -> Shown:
    if not isinstance(header, bytes):
        return Shown(message, "", f"(cannot be read: {header})")
    sender, subject = (
        plain(", ".join(header_values(header, name))) for name in ("from", "subject")
    )
    return Shown(message, sender, subject)


def _as_object(row: Shown) -> dict[str, object]:
    message = row.message
    return {
        "id": message.vault_id,
        "mailbox": message.mailbox_name,
        "from": row.sender,
        "subject": row.subject,
        "deleted_at": message.deleted_at,
        "internal_date": message.internal_date,
        "flags": sorted(message.flags),
        "size_octets": message.size_octets,
    }


_HEADINGS = ("id", "deleted", "mailbox", "octets", "from", "subject")


def _as_row(row: Shown) -> tuple[object, ...]:
    message = row.message
    when = datetime.fromtimestamp(message.deleted_at).strftime("%Y-%m-%d %H:%M")
    cut = (_cut(row.sender, FROM_WIDTH), _cut(row.subject, SUBJECT_WIDTH))
    # A number as text: ids are typed again, so they have no separators.
    return (str(message.vault_id), when, plain(message.mailbox_name), message.size_octets, *cut)


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"
