"""``gateway mailbox``: people's mailboxes, and what they deleted.

Owns the group, listing and making. Works on the store itself, beside a running gateway or without
one; deleted mail is in ``deleted``. Never shows the text of a message.
"""

from __future__ import annotations

import json
import unicodedata

import click

from gateway.cli.deleted import deleted, undelete
from gateway.cli.desk import Desk, at_person
from gateway.cli.options import config_option, json_option, load_settings, person_argument
from gateway.cli.plain import plain
from gateway.cli.progress import table
from gateway.cli.reindex import reindex
from gateway.core.account import Account
from gateway.core.errors import GatewayError, MailboxExists
from gateway.core.mailboxes import ListedMailbox, MailboxStatus

# RFC 6154 section 2; \All and \Flagged name views of other mailboxes, which are not kept here.
_SPECIAL_USES = ("Archive", "Drafts", "Junk", "Sent", "Trash")


@click.group("mailbox")
def group() -> None:
    """Look into people's mailboxes and bring deleted mail back.

    PERSON is a login or an address of the directory, or the immutable id behind "id:" for people
    who are gone from it. All of it also works while the gateway runs.
    """


group.add_command(deleted)
group.add_command(undelete)
group.add_command(reindex)


@group.command("list")
@person_argument
@config_option
@json_option
def list_mailboxes(person: str, config_path: str | None, as_json: bool) -> None:
    """List a person's mailboxes.

    With the number of their messages, of those unseen, and their size.
    """

    def work(desk: Desk, account: Account) -> list[tuple[ListedMailbox, MailboxStatus]]:
        async def read() -> list[tuple[ListedMailbox, MailboxStatus]]:
            listed = await desk.store.list_mailboxes(account.account_id)
            return [
                (each, await desk.store.status(account.account_id, each.name))
                for each in listed
                if each.exists
            ]

        found = desk.call(read())
        if as_json:
            click.echo(json.dumps(_as_object(account, found), indent=2))
        elif found:
            click.echo(_as_table(found))
        else:
            click.echo(
                f"{person} has no mailboxes yet; they are made at the first login or message"
            )
        return found

    at_person(load_settings(config_path).settings, person, work)


def _as_object(
    account: Account, found: list[tuple[ListedMailbox, MailboxStatus]]
) -> dict[str, object]:
    mailboxes = [
        {
            "name": each.name,
            "special_use": each.special_use,
            "subscribed": each.subscribed,
            "messages": status.messages,
            "unseen": status.unseen,
            "size_octets": status.size_octets,
        }
        for each, status in found
    ]
    return {"account_id": account.account_id, "mailboxes": mailboxes}


def _as_table(found: list[tuple[ListedMailbox, MailboxStatus]]) -> str:
    rows: list[tuple[object, ...]] = [
        (plain(each.name), status.messages, status.unseen, status.size_octets, each.special_use)
        for each, status in found
    ]
    totals = (sum(status.messages for _, status in found), sum(s.unseen for _, s in found))
    rows.append(("total", *totals, sum(status.size_octets for _, status in found), ""))
    return table(rows, ("mailbox", "messages", "unseen", "octets", "special use"))


@group.command()
@person_argument
@click.argument("name")
@click.option(
    "--special-use",
    type=click.Choice(_SPECIAL_USES, case_sensitive=False),
    help="What clients shall use it for.",
)
@config_option
def create(person: str, name: str, special_use: str | None, config_path: str | None) -> None:
    """Make a mailbox and subscribe to it.

    "/" stands between the levels of NAME; those above it are made as well.
    """
    name = unicodedata.normalize("NFC", name)
    use = f"\\{special_use}" if special_use else ""

    def work(desk: Desk, account: Account) -> None:
        try:
            made = desk.call(desk.store.create_mailbox(account.account_id, name, use))
        except MailboxExists:
            raise GatewayError(
                f"{person} has this mailbox already; `gateway mailbox list {person}` shows all"
            ) from None
        desk.call(desk.store.set_subscribed(account.account_id, made.name, True))
        click.echo(f"made {made.name}")

    at_person(load_settings(config_path).settings, person, work)
