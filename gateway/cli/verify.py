"""``gateway verify``: does the store hold what its index says, octet for octet?"""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from gateway.cli.options import config_option, json_option, load_settings
from gateway.cli.progress import ProgressShown, mebibytes, table
from gateway.store.repair import Repaired, repair
from gateway.store.verify import Report
from gateway.store.verify import verify as verify_store

MOST_SEGMENTS = 10


@click.command()
@click.option("--repair", "mend", is_flag=True, help="Repair what is wrong; the gateway must stop.")
@click.option(
    "--accept-loss",
    is_flag=True,
    help="With --repair: give up messages of which nothing is there, however many.",
)
@config_option
@json_option
def verify(mend: bool, accept_loss: bool, config_path: str | None, as_json: bool) -> None:
    """Check the store.

    Its index, checksums, counters and UIDs; also while the gateway runs. The exit status is 1 if
    anything is wrong, after a repair if anything still is or a message was lost.
    """
    if accept_loss and not mend:
        raise click.UsageError("--accept-loss has a meaning with --repair only")
    state_dir = Path(load_settings(config_path).settings.state_dir)
    repaired: Repaired | None = None
    with ProgressShown() as progress:
        if mend:
            repaired = repair(
                state_dir,
                wall_clock=time.time,
                progress=progress,
                say=(lambda _: None) if as_json else click.echo,
                accept_loss=accept_loss,
            )
            report = repaired.report
        else:
            report = verify_store(state_dir, progress)
    if as_json:
        value = as_json_value(report)
        if repaired is not None:
            value |= {"done": repaired.done, "lost": [asdict(one) for one in repaired.lost]}
        click.echo(json.dumps(value, indent=2, default=str))
    else:
        lines = [*report.problems, space(report), *_lost(repaired), summary(report)]
        click.echo("\n".join(lines))
    if not report.sound or (repaired is not None and repaired.lost):
        raise SystemExit(1)


def _lost(repaired: Repaired | None) -> list[str]:
    if repaired is None:
        return []
    if not repaired.lost:
        return [f"{len(repaired.done)} things were put in order, no message was lost"]
    rows = [
        (one.where, one.number, _day(one.date), one.size_octets, one.envelope)
        for one in repaired.lost
    ]
    headings = ("lost from", "number", "arrived", "octets", "envelope")
    return [f"messages lost: {len(rows)}", table(rows, headings)]


def _day(date: int) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(date))


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
