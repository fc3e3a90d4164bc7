"""``gateway doctor``: every step of finding and authenticating one person, and what to change.

Owns the command line, the password that may be asked for, and how steps are shown; what is looked
at is ``gateway.directory.doctor``'s, in the order of ``doctor_run``. The password is never shown,
kept or written anywhere.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gateway.cli.doctor_shown import as_lines
from gateway.cli.options import config_option, json_option, load_settings
from gateway.cli.plain import plain

if TYPE_CHECKING:
    from gateway.directory.doctor.step import Step

MOST_PASSWORD_OCTETS = 4096
_TOLD_BEFORE = (
    "One login is tried at the directory. A wrong password counts there towards its lock-out; it is"
    " sent once and never again."
)


@click.command()
@click.argument("login")
@click.option("--password-prompt", is_flag=True, help="Ask for the password, and try it once.")
@click.option(
    "--password-file",
    metavar="FILE",
    help="Try the one in the first line of a file (-: stdin).",
)
@click.option(
    "--directory", "only", metavar="NAME", help='Look there alone; "directory": the first one.'
)
@click.option(
    "--protocol",
    type=click.Choice(("submission", "imap", "pop3")),
    help="How the person logs in [default: all that the gateway serves].",
)
@click.option("--ip", default="", metavar="IP", help="Where the person comes from.")
@click.option("--bundle", metavar="FILE", help="Write all of it into a .tar.gz to pass on.")
@click.option(
    "--with-names", is_flag=True, help="With --bundle: leave names and addresses as they are."
)
@config_option
@json_option
def doctor(
    login: str,
    password_prompt: bool,
    password_file: str | None,
    only: str | None,
    protocol: str | None,
    ip: str,
    bundle: str | None,
    with_names: bool,
    config_path: str | None,
    as_json: bool,
) -> None:
    """Find out why somebody can or cannot log in.

    LOGIN is what the person types: a login, an address, DOMAIN\\user. Every step is a line: servers
    by DNS, TCP, TLS, the service account, the filter as it is sent, the entry, what is made of it,
    groups, the account's state, and what the gateway keeps of the person. A step that fails says
    what to change, and hides no other that does not need it. Works beside a running gateway and
    without one.

    Without a password nobody logs in and nothing is counted against the person. With one, exactly
    one login is tried at the directory.

    A bundle holds the same as JSON with the configuration (without secrets), the gateway's status
    and what the servers show of themselves; names, addresses and DNs in it are replaced.

    The exit status is 0 if the person would log in, else 1.
    """
    _check_options(password_prompt, password_file, ip, bundle, with_names)
    from gateway.cli.doctor_run import Wanted, directories_named, examine

    loaded = load_settings(config_path)
    directories_named(loaded, only)
    password = _password(password_prompt, password_file)

    def tell(step: Step) -> None:
        if not as_json:
            for line in as_lines(step):
                click.echo(plain(line))

    wanted = Wanted(login, only, protocol or "", ip, password)
    found = examine(loaded, wanted, config_path, tell)
    if as_json:
        click.echo(json.dumps(found.as_json(), indent=2))
    else:
        click.echo()
        for each in found.conclusions:
            would = "would log in" if each.would else "would not log in"
            lead = f"by {each.protocol}, {login}" if each.protocol else login
            click.echo(plain(f"{lead} {would}: {each.why}"))
    if bundle is not None:
        from gateway.cli.doctor_bundle import write_bundle

        write_bundle(Path(bundle), found, loaded, with_names=with_names)
        click.echo(f"written: {bundle}; look into it before you pass it on", err=True)
    if not found.would_log_in:
        raise SystemExit(1)


def _check_options(
    prompt: bool, file: str | None, ip: str, bundle: str | None, with_names: bool
) -> None:
    """Raises: click.UsageError."""
    from gateway.core.hosts import parse_ip

    if prompt and file is not None:
        raise click.UsageError("--password-prompt and --password-file are two ways to one password")
    if ip and parse_ip(ip) is None:
        raise click.UsageError(f"--ip {ip}: expected an IPv4 or IPv6 address")
    if with_names and bundle is None:
        raise click.UsageError("--with-names goes with --bundle")
    if bundle is not None and not Path(bundle).absolute().parent.is_dir():
        raise click.UsageError(f"--bundle {bundle}: there is no such folder")
    if bundle is not None and Path(bundle).exists():
        raise click.UsageError(f"--bundle {bundle}: it is there already, and is not overwritten")


def _password(prompt: bool, file: str | None) -> bytes | None:
    if prompt:
        click.echo(_TOLD_BEFORE, err=True)
        typed: str = click.prompt("Password", hide_input=True, err=True)
        return typed.encode("utf-8")
    if file is None:
        return None
    with click.open_file(file, "rb") as stream:
        line: bytes = stream.readline(MOST_PASSWORD_OCTETS)
    click.echo(_TOLD_BEFORE, err=True)
    return line.rstrip(b"\r\n")
