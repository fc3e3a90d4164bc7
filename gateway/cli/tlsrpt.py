"""``gateway tlsrpt``: what is counted of TLS with other servers, for the reports of RFC 8460.

Owns the command and how it looks. What is counted is ``delivery``'s.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import click

from gateway.cli.options import config_option, json_option
from gateway.cli.plain import plain
from gateway.cli.queue_access import Call, at_queue

NOT_COUNTED = "TLS is not counted (outbound.tls_reports = false)"
NOTHING = "nothing is counted that is not reported yet"


@click.group("tlsrpt")
def group() -> None:
    """See what other domains will hear of TLS to them."""


@group.command()
@click.argument("domain", required=False, default="")
@click.option(
    "--limit",
    type=click.IntRange(1, 1000),
    default=100,
    show_default=True,
    help="Reports to show, the oldest first.",
)
@config_option
@json_option
def show(domain: str, limit: int, config_path: str | None, as_json: bool) -> None:
    """Show what would be reported: to all domains, or to DOMAIN.

    Each day (UTC) of a domain whose servers were talked to, with the policy that connections went
    by, how many succeeded, and how the others failed. A report leaves after its day, if the domain
    asks for one, and its counts go.
    """

    def work(call: Call) -> None:
        answer = call("tls-reports", {"domain": domain, "limit": limit})
        if as_json:
            click.echo(json.dumps(answer, indent=2))
            return
        for line in as_text(answer):
            click.echo(line)

    at_queue(config_path, work)


def as_text(answer: Mapping[str, Any]) -> Iterator[str]:
    """One report after the other."""
    if not answer["counting"]:
        yield NOT_COUNTED
    elif not answer["reports"]:
        yield NOTHING
    for report in answer["reports"]:
        state = "over" if report["is_over"] else "so far"
        yield plain(f"{report['day']}  {report['domain']}  ({state})")
        for policy in report["policies"]:
            yield from _policy(policy, report["domain"])
    if answer["more"]:
        yield "and more: name a domain, or raise --limit"


def _policy(policy: Mapping[str, Any], domain: str) -> Iterator[str]:
    whose = f" of {policy['domain']}" if policy["domain"] != domain else ""
    yield plain(
        f"  {policy['type']}{whose}: {policy['successful']:,} successful,"
        f" {policy['failed']:,} failed"
    )
    for each in policy["failures"]:
        host = each["host"] + (f"[{each['receiving_ip']}]" if each["receiving_ip"] else "")
        words = ": ".join(filter(None, (host, each["reason"])))
        yield plain(f"    {each['sessions']:>7,}  {each['result']:<27}  {words}").rstrip()
