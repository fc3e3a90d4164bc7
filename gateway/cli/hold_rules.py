"""``gateway queue rules``: what is held in the queue, whether it waits already or comes later.

Owns the commands and how they look; a new rule holds what waits in pieces. What fits a rule is
``queue.hold_rules``'.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import click

from gateway.cli.options import config_option, json_option
from gateway.cli.plain import plain
from gateway.cli.progress import ProgressShown, table
from gateway.cli.queue_access import Call, at_queue
from gateway.cli.queue_filters import chosen_filter, octets, pages
from gateway.cli.queue_shown import cut

_WIDTH = 40
_SHOWN_AFTER = 200  # messages; from here on progress is worth a line

Row = Mapping[str, Any]


@click.group("rules")
def group() -> None:
    """Rules that hold messages in the queue until somebody releases them.

    A rule holds what fits all of its options: what waits already, and what is accepted from then
    on, before it is tried. A message that is released passes the rules that there are. Mail for
    mailboxes here does not go through the queue.
    """


@group.command("list")
@config_option
@json_option
def list_(config_path: str | None, as_json: bool) -> None:
    """List the rules."""

    def work(call: Call) -> None:
        rules = call("rules", {})["rules"]
        if as_json:
            click.echo(json.dumps(rules, indent=2))
        elif not rules:
            click.echo("there are no rules")
        else:
            rows = [
                (str(rule["id"]), _what(rule), cut(rule["reason"], _WIDTH), rule["made_by"])
                for rule in rules
            ]
            click.echo(table(rows, ("rule", "holds", "reason", "made by")))

    at_queue(config_path, work)


def _what(rule: Row) -> str:
    named = {"sender": "from", "recipient": "to", "destination": "via", "larger_octets": "over"}
    said = [f"{word} {plain(str(rule[key]))}" for key, word in named.items() if rule[key]]
    return ", ".join(said) + (" octets" if rule["larger_octets"] else "") or "everything"


@group.command()
@click.option("--sender", metavar="ADDRESS", help="Or @DOMAIN, or <> for reports.")
@click.option("--recipient", metavar="ADDRESS", help="Or @DOMAIN.")
@click.option("--destination", metavar="DOMAIN", help="To this domain or next hop.")
@click.option("--larger", "larger_octets", callback=octets, metavar="1M", help="Than so much.")
@click.option("--everything", is_flag=True, help="All that is queued.")
@click.option("--reason", default="", metavar="TEXT", help="Why; lists show it.")
@config_option
@json_option
def add(
    everything: bool, reason: str, config_path: str | None, as_json: bool, **chosen: object
) -> None:
    """Hold what fits, now and from now on."""
    which = chosen_filter(**chosen)
    if bool(which) is everything:
        raise click.UsageError("say what is to be held: some of the options, or --everything")

    def work(call: Call) -> None:
        asked = {**which, "everything": everything, "reason": reason}
        rule = call("rule-add", asked)["rule"]
        held = _apply(call, rule["id"])
        if as_json:
            click.echo(json.dumps({"rule": rule, "held": held}, indent=2))
        else:
            click.echo(f"rule {rule['id']} holds {_what(rule)}; {_messages(held)} held")

    at_queue(config_path, work)


def _apply(call: Call, rule_id: int) -> int:
    """What waits already, page by page."""
    held: int = 0
    after = ""
    with ProgressShown() as progress:
        while True:
            answer = call("rule-apply", {"id": rule_id, "after": after})
            held += answer["held"]
            after = answer["more_after"]
            if held > _SHOWN_AFTER:
                progress("queue rules add", held, 0, "messages")
            if not after:
                return held


@group.command()
@click.argument("rule_id", metavar="RULE", type=int)
@click.option("--release", is_flag=True, help="Also send on what it holds.")
@config_option
@json_option
def remove(rule_id: int, release: bool, config_path: str | None, as_json: bool) -> None:
    """Remove a rule. What it holds stays held, unless it is released."""

    def work(call: Call) -> None:
        rule = call("rule-remove", {"id": rule_id})["rule"]
        released = _release(call, rule_id) if release else 0
        if as_json:
            click.echo(json.dumps({"rule": rule, "released": released}, indent=2))
        else:
            more = f"; {_messages(released)} released" if release else ""
            click.echo(f"rule {rule_id} removed{more}")

    at_queue(config_path, work)


def _release(call: Call, rule_id: int) -> int:
    released = 0
    for page, _ in pages(call, {"held": True}, None):
        held_by_it = [each["id"] for each in page if each["hold"].startswith(f"rule {rule_id}:")]
        if held_by_it:
            released += len(call("release", {"ids": held_by_it})["done"])
    return released


def _messages(count: int) -> str:
    return "1 message" if count == 1 else f"{count:,} messages"
