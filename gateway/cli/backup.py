"""``gateway backup``: brings a directory with a backup of the store up to date."""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict
from pathlib import Path

import click

from gateway.cli.options import config_option, json_option, load_settings
from gateway.cli.progress import MIB, ProgressShown, mebibytes, table
from gateway.core.settings.paths import needed_files
from gateway.store.backup import BackedUp, back_up


@click.command()
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--limit-mib-s",
    type=click.FloatRange(min=0, min_open=True),
    metavar="MIB",
    help="Copy at most so many MiB of messages in a second.",
)
@click.option(
    "--verify", "check_all", is_flag=True, help="Check all of the backup, not only what is new."
)
@config_option
@json_option
def backup(
    directory: Path,
    limit_mib_s: float | None,
    check_all: bool,
    config_path: str | None,
    as_json: bool,
) -> None:
    """Back the mail store up into DIRECTORY.

    While the gateway runs or not; a later backup into the same DIRECTORY copies only what is new.
    The exit status is 1 if a message could not be read; all others are backed up then.
    """
    settings = load_settings(config_path).settings
    state_dir = Path(settings.state_dir)
    with ProgressShown() as progress:
        done = back_up(
            state_dir,
            directory,
            hostname=settings.hostname,
            others=needed_files(state_dir),
            wall_clock=time.time,
            progress=progress,
            limit_octets_s=(limit_mib_s or 0.0) * MIB,
            check_all=check_all,
        )
    if as_json:
        click.echo(json.dumps(asdict(done), indent=2))
    else:
        click.echo(_as_text(done, directory))
        owner = state_dir.stat().st_uid
        if owner != os.geteuid():
            click.echo(
                f"the store belongs to user id {owner}, this backup to {os.geteuid()}: a restore "
                f"needs `chown -R {owner} {directory}`; better run backups as that user",
                err=True,
            )
    if done.damaged:
        raise SystemExit(1)


def _as_text(done: BackedUp, directory: Path) -> str:
    manifest = done.manifest
    rows = [
        ("mailboxes", manifest.mailboxes),
        ("messages", manifest.messages),
        ("queued", manifest.queued),
        ("octets of messages", mebibytes(manifest.octets)),
        ("copied now", mebibytes(done.copied_octets)),
        ("index", mebibytes(done.index_octets)),
        ("files copied", done.copied_files),
        ("files that were there", done.found_files),
        ("files removed", done.removed_files),
        ("seconds", manifest.ended_at - manifest.began_at),
    ]
    lines = [f"backup {manifest.number} in {directory} is complete", table(rows)]
    if done.damaged:
        lines += ["these messages cannot be read in the store (gateway verify):", *done.damaged]
    return "\n".join(lines)
