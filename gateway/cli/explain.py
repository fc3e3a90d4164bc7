"""``gateway explain``: what would happen to a message, and why; nothing is sent, kept or counted.

Owns the command line and how the answer is shown. Where a gateway runs it answers, as it has what
checks have learnt; otherwise a process of its own builds the same from the settings.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from gateway.cli.asked import ask_or
from gateway.cli.options import config_option, json_option, load_settings
from gateway.cli.plain import plain
from gateway.cli.trace import moment
from gateway.core.errors import GatewayError
from gateway.edge.smtp.rehearsal_request import MAX_CONTENT, SOMEWHERE, RehearsalRefused, Request

ALONE_LIMIT_S = 120.0
WRONG_CONFIGURATION = 2
_OUTCOMES = {
    "accepted": "it would be accepted",
    "held": "it would be accepted, and held in the queue",
    "refused": "it would be refused",
    "deferred": "it would be refused for now; a mail server tries again later",
    "not sent": "it would not be sent",
}


class CannotExplain(GatewayError):
    """The process that explains has failed; the text is its own."""

    temporary = False


@click.command()
@click.option("--from", "sender", required=True, metavar="A", help='Sender; "" is the null sender.')
@click.option(
    "--to", "recipients", required=True, multiple=True, metavar="B", help="May be given repeatedly."
)
@click.option(
    "--ip",
    default=SOMEWHERE,
    show_default=True,
    metavar="IP",
    help="Where the client connects from.",
)
@click.option("--helo", "hello", default="", metavar="NAME", help="Its name in EHLO.")
@click.option(
    "--auth",
    "login",
    default="",
    metavar="LOGIN",
    help="As this person; over TLS, and no password is asked.",
)
@click.option("--size", "size_octets", type=click.IntRange(0), default=0, help="Announced octets.")
@click.option("--tls", is_flag=True, help="After STARTTLS.")
@click.option("--listener", default="", metavar="NAME", help="Its name in the settings.")
@click.option(
    "--message",
    "message_file",
    type=click.Path(dir_okay=False, exists=True, path_type=Path),
    help="A file with the message; without it a small one is made up.",
)
@config_option
@json_option
def explain(
    sender: str,
    recipients: tuple[str, ...],
    ip: str,
    hello: str,
    login: str,
    size_octets: int,
    tls: bool,
    listener: str,
    message_file: Path | None,
    config_path: str | None,
    as_json: bool,
) -> None:
    """Show what would happen to a message, and why.

    A session is rehearsed by the very code that serves real ones: each reply, each check with what
    it went by, each step of the routing, and what would be stored for whom. Nothing is sent, kept,
    learnt or counted. The exit status is 0 whatever would happen; --json says "outcome".
    """
    content = None if message_file is None else _content(message_file)
    request = Request(
        sender, recipients, ip, hello, login, size_octets, tls or bool(login), listener, content
    ).to_json()
    try:
        Request.from_json(request)
    except RehearsalRefused as error:
        raise click.UsageError(str(error)) from None
    settings = load_settings(config_path).settings
    answer = ask_or(settings, "explain", request, lambda: _alone(config_path, request))
    click.echo(json.dumps(answer, indent=2) if as_json else "\n".join(as_text(answer)))


def _content(path: Path) -> bytes:
    content = path.read_bytes()
    if len(content) > MAX_CONTENT:
        raise click.UsageError(
            f"{path} has {len(content)} octets; expected {MAX_CONTENT} at most: cut an attachment"
        )
    return content


def _alone(config_path: str | None, request: Mapping[str, object]) -> dict[str, Any]:
    """By a process of its own. Raises: CannotExplain; SystemExit (a wrong configuration)."""
    click.echo("no gateway runs: what checks have learnt is not known here", err=True)
    try:
        process = subprocess.run(  # our own program
            [sys.executable, "-m", "gateway.app.explain"],
            input=json.dumps({"config": config_path, "request": request}),
            capture_output=True,
            text=True,
            timeout=ALONE_LIMIT_S,
            check=False,
        )
        said = json.loads(process.stdout)
    except subprocess.TimeoutExpired:
        raise CannotExplain(f"no explanation within {ALONE_LIMIT_S:g} s") from None
    except ValueError:
        last = process.stderr.strip().splitlines()[-1:] or ["it said nothing"]
        raise CannotExplain(f"the explanation failed: {plain(last[0])}") from None
    if "answer" not in said:
        if said["status"] == WRONG_CONFIGURATION:
            click.echo(said["error"], err=True)
            raise SystemExit(WRONG_CONFIGURATION)
        raise CannotExplain(said["error"])
    answer: dict[str, Any] = said["answer"]
    return answer


# -- for people


def as_text(answer: Mapping[str, Any]) -> Iterator[str]:
    """The decision tree."""
    yield plain(
        f"on {answer['listener']} ({answer['protocol']}, policy {answer['policy']}),"
        f" as {answer['connection_id']}"
    )
    for step in answer["steps"]:
        yield ""
        yield from _step(step)
    yield ""
    yield _OUTCOMES.get(answer["outcome"], answer["outcome"])
    if answer["stored"]:
        yield from _stored(answer["stored"])


def _step(step: Mapping[str, Any]) -> Iterator[str]:
    yield plain(step["said"])
    for text in step.get("routing", ()):
        yield plain(f"    routing  {text}")
    if step.get("expansion"):
        yield from _expansion(step["expansion"])
    for check in step.get("checks", ()):
        yield plain(f"    check    {check['check']}: {check['action']}, {check.get('reason', '')}")
        for name, value in check.get("inputs", {}).items():
            yield plain(f"               {name} {value}")
    if step.get("trouble"):
        yield plain(f"    trouble  {step['trouble']}")
    for line in step["reply"]:
        yield plain(f"    reply    {line}")


def _expansion(expansion: Mapping[str, Any]) -> Iterator[str]:
    """Who gets mail for an address that stands for others."""
    count, named = expansion["member_count"], expansion["members"]
    yield plain(f"    members  {count} of {expansion['name']}")
    for member in named:
        yield plain(f"             {member['address']}: {member['to']}")
    if count > len(named):
        yield f"             and {count - len(named)} more"
    for group in expansion["groups"]:
        for nested in group["nested"]:
            yield plain(f"    group    {nested}, inside {group['name']}")
        for search in group["searches"]:
            yield plain(f"    search   {search}")
        people = [f"{group[each]} {each}" for each in ("owners", "delegates") if group[each]]
        if people:
            yield plain(f"    group    {group['name']} has {' and '.join(people)}")
    for dead in expansion["dead"]:
        yield plain(f"    dead     {dead}")


def _way_out(queued: Mapping[str, Any]) -> Iterator[str]:
    if queued.get("rule"):
        yield plain(f"        because {queued['rule']}")
    for host in queued.get("hosts", ()):
        policy = {"sts": ", by MTA-STS", "tlsa": ", by DANE"}.get(host["tls_policy"], "")
        trial = " (on trial)" if host["testing"] else ""
        port = f" port {host['port']}" if host["port"] else ""  # a Unix socket has none
        yield plain(
            f"        {host['preference']} {host['host']}{port}"
            f" at {', '.join(host['addresses'])}; {host['protocol'].upper()},"
            f" TLS {host['tls']}{policy}{trial}"
        )
    for name in queued.get("left_out", ()):
        yield plain(f"        not {name}: it is this server, or no more preferred")
    if queued.get("problem"):
        yield plain(f"        no way out now: {queued['problem']}")


def _stored(stored: Mapping[str, Any]) -> Iterator[str]:
    for mailbox in stored["mailboxes"]:
        yield plain(f"    into the INBOX of {mailbox['login'] or mailbox['account_id']}")
    for queued in stored["queued"]:
        yield plain(f"    into the queue for {queued['recipient']}, next hop {queued['next_hop']}")
        yield from _way_out(queued)
    held = stored["held"]
    if held is not None:
        until = "somebody releases it" if held["until"] is None else moment(held["until"])
        yield plain(f"    held until {until}: {held['reason']}")
    if stored["options"]:
        yield plain(f"    with {' '.join(stored['options'])}")
    yield "    behind these lines:"
    yield from (plain(f"      {line.expandtabs(4)}") for line in stored["header"].splitlines())
