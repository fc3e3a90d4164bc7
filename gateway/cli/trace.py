"""``gateway trace``: what happened to a message, an address, a connection.

Owns how records are shown to people and which moments ``--since`` understands. Asks the running
gateway, or reads the store of one that is stopped. Never shows content, as none is recorded.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import click

from gateway.cli.asked import ask_or
from gateway.cli.desk import Desk, at_desk
from gateway.cli.options import config_option, json_option, load_settings
from gateway.cli.plain import plain
from gateway.core.settings.model import Settings
from gateway.core.trace import looked_for

MOST = 10_000
_SPAN = re.compile(r"(\d{1,6})\s*(s|m|min|h|d|w)\Z")
_UNITS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400, "w": 604_800}


class Moment(click.ParamType[int]):
    """So long ago, or a date and time here."""

    name = "moment"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        found = _SPAN.match(value.strip().lower())
        if found:
            return int(time.time()) - int(found[1]) * _UNITS[found[2]]
        try:
            return int(datetime.fromisoformat(value).timestamp())
        except (ValueError, OverflowError, OSError):
            self.fail(
                f"{plain(value)!r} is no moment; expected so long ago as in 90min, 12h, 2d, or a"
                " date as in 2026-05-04 or 2026-05-04T13:30",
                param,
                ctx,
            )


@click.command()
@click.argument("what", metavar="ID|ADDRESS|MESSAGE-ID|IP|QUEUE-ID")
@click.option("--since", type=Moment(), help="Not before: 2d (ago), or 2026-05-04T13:30.")
@click.option("--until", type=Moment(), help="Not after.")
@click.option(
    "--limit",
    type=click.IntRange(1, MOST),
    default=200,
    show_default=True,
    help="The latest steps, so many.",
)
@config_option
@json_option
def trace(
    what: str,
    since: int | None,
    until: int | None,
    limit: int,
    config_path: str | None,
    as_json: bool,
) -> None:
    """Show what happened, step by step.

    The id stands in brackets at the end of each refusal, behind "Accepted as", in the log and in
    the Received line. The id of a connection, which is what a message's begins with, shows all that
    happened on it. An address is that of a sender, a recipient or a member of a group.
    """
    if not looked_for(what):
        raise click.UsageError(
            f"found {plain(what)!r}; expected an id, an address, a Message-ID or an IP address"
        )
    settings = load_settings(config_path).settings
    body = {"term": what, "since": since, "until": until, "limit": limit}
    answer = ask_or(settings, "trace", body, lambda: _in_store(settings, body))
    records = answer["records"]
    if as_json:
        click.echo(json.dumps(answer, indent=2))
    elif records:
        click.echo("\n".join(as_text(records)))
        if answer["left_out"] or len(records) >= limit:
            click.echo("\nearlier steps are not shown; narrow by --until, or raise --limit")
    if not records:
        if not as_json:
            click.echo(_nothing(settings, what, since, until), err=True)
        raise SystemExit(1)


def _in_store(settings: Settings, body: Mapping[str, Any]) -> dict[str, Any]:
    def work(desk: Desk) -> dict[str, Any]:
        found = desk.call(
            desk.store.trace.find(
                body["term"], since=body["since"], until=body["until"], limit=body["limit"]
            )
        )
        records = [
            {"id": one.trace_id, "at": one.at, "kind": one.kind, "fields": dict(one.fields)}
            for one in found
        ]
        return {"records": records, "left_out": 0}

    return at_desk(settings, work, needs_directory=False, may_create=False)


def _nothing(settings: Settings, what: str, since: int | None, until: int | None) -> str:
    days = settings.trace.keep_days
    if not days:
        return "nothing is recorded: the setting trace.keep_days is 0"
    narrowed = " in that time" if since is not None or until is not None else ""
    return (
        f"nothing is recorded about {plain(what)}{narrowed}. Looked for as an id, an address, a"
        f" Message-ID, an IP address and a queue id; records are kept for {days} days"
        " (trace.keep_days), and come up to a second after what they tell of"
    )


# -- for people

_TITLES = {
    "accepted": "accepted",
    "refused": "refused",
    "queued": "put into the queue",
    "delivered": "delivered",
    "deferred": "not delivered yet",
    "failed": "not delivered, for good",
    "expired": "not delivered in time",
    "reported": "its sender was told",
    "not reported": "its sender was not told",
    "lost": "records of this process were lost",
}
_HEADLINE = ("reply", "reason", "held")
_NAMES = {
    "hello": "EHLO name",
    "host_name": "host name",
    "ip": "from",
    "login": "logged in as",
    "size_octets": "octets",
    "message_id": "Message-ID",
    "queue_id": "queue id",
    "next_attempt_at": "next attempt",
    "next_hop": "next hop",
    "report_id": "report",
    "more_refusals": "more refusals",
}
_TIMES = ("next_attempt_at", "until", "release_at")


def as_text(records: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """A block for each step, in the order of time; the id above those that have it."""
    current = None
    for record in records:
        if record["id"] != current:
            if current is not None:
                yield ""
            current = record["id"]
            yield plain(current)
        yield from _step(record)


def _step(record: Mapping[str, Any]) -> Iterator[str]:
    fields = record["fields"]
    kind = record["kind"]
    headline = next((fields[name] for name in _HEADLINE if fields.get(name)), "")
    title = _TITLES.get(kind, kind)
    yield f"  {moment(record['at'])}  {plain(title)}{': ' + plain(headline) if headline else ''}"
    for name, value in fields.items():
        if value in (None, "", []) or (headline and value == headline):
            continue
        label = _NAMES.get(name, name.replace("_", " "))
        if isinstance(value, list):
            yield f"    {plain(label)}:"
            yield from (f"      {line}" for line in map(_entry, value))
        else:
            shown = moment(value) if name in _TIMES and not isinstance(value, str) else str(value)
            yield f"    {plain(label)}: {plain(shown)}"


def _entry(entry: str | Mapping[str, str]) -> str:
    """One verdict, one recipient, one word."""
    if isinstance(entry, str):
        return plain(entry)
    entry = dict(entry)
    if "more" in entry:
        return f"... and {plain(entry['more'])} more"
    if "check" in entry:
        text = f"{entry.pop('stage', '')}: {entry.pop('check')}: {entry.pop('action', '')}"
        reason = entry.pop("reason", "")
        text += f", {reason}" if reason else ""
    else:
        member = entry.pop("member", "")
        text = entry.pop("address", "")
        text += f" (as {member})" if member and member != text else ""
        to = entry.pop("to", "")
        text += f" -> {to}" if to else ""
    rest = "; ".join(f"{name} {value}" for name, value in entry.items())
    return plain(f"{text} ({rest})" if rest else text)


def moment(at: float) -> str:
    """Local time with its distance from UTC."""
    try:
        return datetime.fromtimestamp(at).astimezone().strftime("%Y-%m-%d %H:%M:%S %z")
    except (ValueError, OverflowError, OSError):
        return str(at)
