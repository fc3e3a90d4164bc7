"""``gateway restore``: puts a backup of the store back."""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict
from pathlib import Path

import click

from gateway.cli.options import config_option, json_option, load_settings
from gateway.cli.progress import ProgressShown, mebibytes, table
from gateway.cli.verify import as_json_value, summary
from gateway.store.restore import Restored
from gateway.store.restore import restore as restore_store


@click.command()
@click.argument("directory", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--force", is_flag=True, help="Move a store that is there aside.")
@click.option("--no-verify", is_flag=True, help="Do not check what was restored.")
@click.option(
    "--without-queue",
    is_flag=True,
    help="Leave out mail that was on its way elsewhere: it may have arrived since.",
)
@config_option
@json_option
def restore(
    directory: Path,
    force: bool,
    no_verify: bool,
    without_queue: bool,
    config_path: str | None,
    as_json: bool,
) -> None:
    """Restore the mail store from the backup in DIRECTORY.

    Into the state_dir of the configuration, which must hold no store; the gateway must not run. The
    exit status is 1 if anything in the backup turns out to be damaged; all else is restored then.
    """
    state_dir = Path(load_settings(config_path).settings.state_dir)
    with ProgressShown() as progress:
        done = restore_store(
            directory,
            state_dir,
            wall_clock=time.time,
            progress=progress,
            force=force,
            check=not no_verify,
            with_queue=not without_queue,
        )
    if as_json:
        report = None if done.report is None else as_json_value(done.report)
        click.echo(json.dumps({**asdict(done), "report": report}, indent=2, default=str))
    else:
        click.echo(_as_text(done, state_dir))
        if os.geteuid() == 0:
            click.echo(
                f"all of {state_dir} belongs to root now; change its owner (chown -R) if the "
                "gateway runs as another user",
                err=True,
            )
    if done.report is not None and not done.report.sound:
        raise SystemExit(1)


def _as_text(done: Restored, state_dir: Path) -> str:
    manifest = done.manifest
    made = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(manifest.began_at))
    rows: list[tuple[str, object]] = [
        ("backup", f"number {manifest.number} of {manifest.hostname}, from {made}"),
        ("mailboxes", manifest.mailboxes),
        ("messages", manifest.messages),
        ("queued", manifest.queued - done.dropped_queue),
        ("left out of the queue", done.dropped_queue),
        ("copied", mebibytes(done.octets)),
        ("files", done.files),
    ]
    if done.moved_aside is not None:
        rows.append(("the store before", done.moved_aside))
    lines = [f"restored below {state_dir}", table(rows)]
    if done.report is not None:
        lines += [*done.report.problems, summary(done.report)]
    return "\n".join(lines)
