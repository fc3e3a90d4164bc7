"""``gateway verify``: does the store hold what its index says, octet for octet?"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from gateway.cli.options import config_option, json_option, load_settings
from gateway.cli.progress import ProgressShown, mebibytes, table
from gateway.store.verify import Report
from gateway.store.verify import verify as verify_store

MOST_SEGMENTS = 10


@click.command()
@config_option
@json_option
def verify(config_path: str | None, as_json: bool) -> None:
    """Check the store.

    Its index, checksums, counters and UIDs; also while the gateway runs. The exit status is 1 if
    anything is wrong.
    """
    state_dir = Path(load_settings(config_path).settings.state_dir)
    with ProgressShown() as progress:
        report = verify_store(state_dir, progress)
    if as_json:
        click.echo(json.dumps(as_json_value(report), indent=2, default=str))
    else:
        for problem in report.problems:
            click.echo(problem)
        click.echo(space(report))
        click.echo(summary(report))
    if not report.sound:
        raise SystemExit(1)


def as_json_value(report: Report) -> dict[str, Any]:
    """What ``--json`` prints of a report."""
    return {**asdict(report), "sound": report.sound, "dead_octets": report.dead_octets}


def space(report: Report) -> str:
    """How much of the disk is dead, and where most of it lies."""
    files = sum(segment.file_octets for segment in report.segments)
    lines = [
        f"{mebibytes(report.dead_octets)} dead of {mebibytes(files)} in {len(report.segments)} "
        "segments; half-dead segments are compacted while the gateway runs"
    ]
    worst = sorted(report.segments, key=lambda one: one.dead_octets, reverse=True)[:MOST_SEGMENTS]
    rows = [
        (one.segment_id, one.file_octets, one.dead_octets, 100 * one.dead_octets // one.file_octets)
        for one in worst
        if one.dead_octets
    ]
    if rows:
        lines.append(table(rows, ("segment", "octets", "dead", "percent")))
    if report.strays:
        lines.append(
            f"{len(report.strays)} files that nothing points to; "
            "the next start puts them into quarantine"
        )
    if report.unreadable:
        lines.append(
            f"{report.unreadable} messages are known to be damaged; what is left of them is in "
            "quarantine"
        )
    return "\n".join(lines)


def summary(report: Report) -> str:
    """One line on what there is and whether it is sound."""
    return (
        f"{report.messages} messages in {report.mailboxes} mailboxes, {report.queued} queued, "
        f"{report.deleted} deleted ones kept, {report.octets} octets: "
        + ("sound" if report.sound else "NOT sound, see above")
    )
