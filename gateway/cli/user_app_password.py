"""``gateway user app-password``: passwords for one program each.

Owns the commands. A new one is printed once, when it is kept for good; it is never an argument of a
command, so that neither a process list nor a shell's history has it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

import click

from gateway.cli.options import config_option, json_option, person_argument
from gateway.cli.plain import plain
from gateway.cli.queue_access import Call
from gateway.cli.trace import moment
from gateway.cli.user import at_people
from gateway.cli.user_shown import app_passwords


@click.group("app-password")
def group() -> None:
    """Passwords for one program each, beside the directory's.

    Each can be revoked by itself, and is known to no directory: a forgotten telephone locks nobody
    out. PERSON is a login or an address, or "id:" and an immutable id.
    """


@group.command()
@person_argument
@click.option("--label", required=True, metavar="TEXT", help="What it is for; lists show it.")
@click.option(
    "--protocol",
    "protocols",
    multiple=True,
    metavar="imap,pop3,submission",
    help="Good for these only.",
)
@click.option(
    "--network",
    "networks",
    multiple=True,
    metavar="CIDR",
    help="Good from there only: an address, a network, or a name of [networks]. May be repeated.",
)
@click.option("--expires", "days", type=click.IntRange(min=1), metavar="DAYS", help="Ends then.")
@config_option
@json_option
def create(
    person: str,
    label: str,
    protocols: tuple[str, ...],
    networks: tuple[str, ...],
    days: int | None,
    config_path: str | None,
    as_json: bool,
) -> None:
    """Make one, and print it: once, as only its hash is kept."""
    asked = {
        "person": person,
        "label": label,
        "protocols": _each(protocols),
        "networks": _each(networks),
        "days": days or 0,
    }

    def work(call: Call) -> None:
        made = call("app-password-create", asked)
        if as_json:
            click.echo(json.dumps(made, indent=2))
            return
        end = f"expires {moment(made['expires_at'])}" if made["expires_at"] else "does not expire"
        where = ", ".join(made["protocols"]) or "all protocols"
        whence = ", ".join(made["networks"]) or "anywhere"
        click.echo(
            f"app password {made['number']} of {plain(made['login'])} for {plain(made['label'])}:"
            f"\n\n    {made['password']}\n\n"
            f"for {where}, from {whence}; {end}\n"
            "it is shown only now; SCRAM needs it typed as it stands here"
        )

    at_people(config_path, work)


def _each(values: Sequence[str]) -> list[str]:
    return [part.strip() for value in values for part in value.split(",") if part.strip()]


@group.command("list")
@person_argument
@config_option
@json_option
def list_(person: str, config_path: str | None, as_json: bool) -> None:
    """List a person's: what for, from where, when used last. The password itself is nowhere."""

    def work(call: Call) -> None:
        rows = call("app-passwords", {"person": person})["app_passwords"]
        if as_json:
            click.echo(json.dumps(rows, indent=2))
        else:
            click.echo(app_passwords(rows) if rows else f"{person} has no app passwords")

    at_people(config_path, work)


@group.command()
@person_argument
@click.argument("numbers", metavar="[NUMBER]...", nargs=-1, type=click.IntRange(min=1))
@click.option("--all", "everything", is_flag=True, help="All of the person's.")
@config_option
@json_option
def revoke(
    person: str,
    numbers: tuple[int, ...],
    everything: bool,
    config_path: str | None,
    as_json: bool,
) -> None:
    """Revoke some. They open nothing from now on; what they have opened ends within a minute."""
    if bool(numbers) is everything:
        raise click.UsageError("say which: one or more numbers of `list`, or --all")
    asked = {"person": person, "numbers": None if everything else list(numbers)}

    def work(call: Call) -> None:
        rows = call("app-password-revoke", asked)["revoked"]
        if as_json:
            click.echo(json.dumps(rows, indent=2))
        elif not rows:
            click.echo(f"{person} has no app passwords")
        else:
            for row in rows:
                click.echo(f"revoked {row['number']}, {plain(row['label'])}")

    at_people(config_path, work)
