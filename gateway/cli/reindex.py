"""``gateway mailbox reindex``: make the search index of somebody's mail again.

Owns the command's form. The index makes itself and mends itself; this is for whoever doubts it.
"""

from __future__ import annotations

from pathlib import Path

import click

from gateway.cli.desk import BY_ID, Desk, at_desk
from gateway.cli.options import config_option, load_settings
from gateway.cli.progress import ProgressShown
from gateway.core.ids import AccountId
from gateway.store.layout import Layout
from gateway.store.search_index.rebuilding import Rebuilt, rebuild


@click.command()
@click.argument("person", required=False)
@click.option("--all", "everybody", is_flag=True, help="Of all mail in the store.")
@config_option
def reindex(person: str | None, everybody: bool, config_path: str | None) -> None:
    """Make the search index anew.

    Of one person's mail, or of all. A running gateway does it in the background; without one it is
    done at once. Searches find everything meanwhile, only slower.
    """
    if (person is None) is not everybody:
        raise click.UsageError("name one person, or give --all")
    settings = load_settings(config_path).settings

    def work(desk: Desk) -> Rebuilt:
        account_ids: list[AccountId] | None = None
        if person is not None:
            account_ids = [desk.account(person).account_id]
        with ProgressShown() as shown:
            return rebuild(
                Layout(Path(settings.state_dir)),
                account_ids,
                progress=lambda done, total: shown("indexing", done, total, "messages"),
                stop=lambda: desk.interrupted,
            )

    done = at_desk(
        settings,
        work,
        needs_directory=person is not None and not person.startswith(BY_ID),
        may_create=False,
    )
    people = f"{done.accounts:,} " + ("person" if done.accounts == 1 else "people")
    if done.in_background:
        click.echo(f"the running gateway makes the search index of {people} anew")
    else:
        click.echo(f"{done.messages:,} messages of {people} indexed")
