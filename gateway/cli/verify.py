"""``gateway verify``: does the store hold what its index says, octet for octet?"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click

from gateway.cli.options import config_option, json_option, load_settings
from gateway.store.verify import verify as verify_store


@click.command()
@config_option
@json_option
def verify(config_path: str | None, as_json: bool) -> None:
    """Check the store.

    Its index, checksums, counters and UIDs; also while the gateway runs. The exit status is 1 if
    anything is wrong.
    """
    settings = load_settings(config_path).settings
    report = verify_store(Path(settings.state_dir))
    if as_json:
        click.echo(json.dumps(asdict(report), indent=2, default=str))
    else:
        for problem in report.problems:
            click.echo(problem)
        click.echo(
            f"{report.messages} messages in {report.mailboxes} mailboxes, {report.queued} queued, "
            f"{report.octets} octets: " + ("sound" if report.sound else "NOT sound, see above")
        )
    if not report.sound:
        raise SystemExit(1)
