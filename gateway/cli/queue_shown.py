"""Queued messages as the administrator reads them: a table, or one message with all about it.

Owns the form only. Foreign text is shown without what a terminal would obey.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from gateway.cli.plain import plain
from gateway.cli.progress import table

ADDRESS_WIDTH, DESTINATION_WIDTH, REPLY_WIDTH = 32, 28, 60

Message = Mapping[str, Any]


def listing(messages: Sequence[Message]) -> str:
    """A table; what has happened last stands at the end."""
    headings = (
        "id",
        "age",
        "octets",
        "sender",
        "recipients",
        "destination",
        "state",
        "next",
        "last answer",
    )
    return table([_row(message) for message in messages], headings)


def _row(message: Message) -> tuple[object, ...]:
    reply = (message["hold"] and f"held: {message['hold']}") or message["last_reply"]
    return (
        message["id"],
        age(time.time() - message["created_at"]),
        message["size_octets"],
        cut(message["sender"], ADDRESS_WIDTH),
        _several(message["first_recipients"], message["recipient_count"], ADDRESS_WIDTH),
        _first(message["destinations"]),
        message["state"],
        _next(message),
        cut(reply, REPLY_WIDTH),
    )


def _several(first: Sequence[str], count: int, width: int) -> str:
    shown = cut(first[0], width) if first else ""
    return f"{shown} +{count - 1}" if count > 1 else shown


def _first(destinations: Sequence[str]) -> str:
    """A list knows the first few only."""
    shown = cut(destinations[0], DESTINATION_WIDTH) if destinations else ""
    return f"{shown} and others" if len(destinations) > 1 else shown


def _next(message: Message) -> str:
    if message["due_at"] is None:
        return "on release"
    if message["being_sent"]:
        return "now"
    left_s = message["due_at"] - time.time()
    return f"in {age(left_s)}" if left_s > 0 else "due"


def details(message: Message) -> str:
    """Everything about one message."""
    lines = [f"message     {message['id']}, accepted as {plain(message['message_id'])}"]
    lines.append(f"sender      {plain(message['sender'])}")
    waits = age(time.time() - message["created_at"])
    lines.append(f"accepted    {_when(message['created_at'])}, {waits} ago")
    if message["accepted"]:
        lines.append(f"came by     {_came(message['accepted'])}")
    lines.append(f"size        {message['content_octets']:,} octets")
    if message["hold"]:
        until = message["due_at"]
        when = f"until {_when(until)}" if until is not None else "until it is released"
        lines.append(f"held        {when}: {plain(message['hold'])}")
    else:
        lines.append(f"state       {message['state']}")
    options = [f"{name} {_value(value)}" for name, value in message["options"].items()]
    lines.append(f"options     {', '.join(options)}")
    for number, verdict in enumerate(message["policy"]):
        lines.append(f"{'policy' if not number else '':<12}{_verdict(verdict)}")
    for part in message["parts"]:
        lines += ["", *_part(part)]
    for recipient in message["recipients"]:
        lines += ["", *_recipient(recipient)]
    lines += ["", *_attempts(message)]
    if message["deeds"]:
        lines += ["", "done to it", *map(_deed, message["deeds"])]
    return "\n".join(lines)


def _came(accepted: Message) -> str:
    words = [f"{accepted['ip']}"] if "ip" in accepted else []
    words += [
        f"{label} {accepted[name]}"
        for name, label in (
            ("hello", "as"),
            ("login", "logged in as"),
            ("listener", "at"),
            ("message_id", "Message-ID"),
        )
        if name in accepted
    ]
    return plain(", ".join(words))


def _verdict(verdict: Message) -> str:
    text = f"{verdict.get('stage', '')}: {verdict.get('check', '')}: {verdict.get('action', '')}"
    reason = verdict.get("reason", "")
    return plain(f"{text}, {reason}" if reason else text)


def _part(part: Message) -> Iterator[str]:
    due = part["due_at"]
    when = f", next {_when(due)}" if due is not None and part["state"] == "waiting" else ""
    yield f"destination {plain(part['destination'])}: {part['state']}{when}"
    now = part.get("now")
    if now is not None:
        yield f"  connections   {now['in_flight']} of {now['window']} in use"
        if now["dead_until"] is not None and now["dead_until"] > time.time():
            yield f"  dead until    {_when(now['dead_until'])}: {plain(now['problem'])}"
        elif now["problem"]:
            yield f"  last trouble  {plain(now['problem'])}"
    route = part.get("route")
    if route is None:
        return
    if route["rule"]:
        yield f"  route         {plain(route['rule'])}"
    for number, host in enumerate(route["hosts"]):
        yield f"  {'would go to' if not number else '':<12}  {_host(host)}"
    if route["problem"]:
        yield f"  no route      {plain(route['problem'])}"


def _host(host: Message) -> str:
    text = f"{host['host']}[{host['ip']}]:{host['port']}"
    if host["socket"]:
        text = f"{host['host']}[{host['socket']}]"
    if host["protocol"] != "smtp":
        text += f" {host['protocol']}"
    text += f", TLS {'implicit, ' if host['implicit_tls'] else ''}{host['tls']}"
    if host["tls_policy"]:
        text += f" by {host['tls_policy']}"
    if host["user"]:
        text += f", as {host['user']}"
    return plain(text)


def _recipient(recipient: Message) -> Iterator[str]:
    yield f"recipient   {plain(recipient['address'])}"
    yield f"  destination   {plain(recipient['destination'])}"
    if recipient["next_hop"] not in ("", recipient["destination"]):
        yield f"  next hop      {plain(recipient['next_hop'])}"
    yield f"  attempts      {recipient['attempts']}"
    if recipient["last_reply"]:
        yield f"  last answer   {plain(recipient['last_reply'])}"
    at = recipient["next_attempt_at"]
    yield f"  next attempt  {_when(at) if at is not None else 'when it is released'}"
    yield f"  waits         {plain(recipient['why'])}"
    if recipient["told_of_delay"]:
        yield "  the sender has been told that it takes longer"
    if "notify" in recipient:
        yield f"  reports       {', '.join(recipient['notify'])}"
    if "original" in recipient:
        yield f"  first sent to {plain(recipient['original'])}"


def _attempts(message: Message) -> Iterator[str]:
    if message["attempts"]:
        yield "attempts"
        yield from map(_attempt, message["attempts"])
    elif any(each["attempts"] for each in message["recipients"]):
        yield "attempts    the trace does not tell: it is off, or keeps nothing so long"
    else:
        yield "attempts    none yet"


def _attempt(step: Message) -> str:
    text = f"  {_when(step['at'])}  {step.get('attempt', '')}  {step.get('recipient', '')}"
    text += f"  {step['outcome']}"
    if step.get("remote"):
        text += f" by {step['remote']}"
    status, reply = step.get("status", ""), step.get("reply", "")
    return plain(f"{text}: {reply if status in reply else f'{status} {reply}'}")


def _deed(step: Message) -> str:
    text = f"  {_when(step['at'])}  {step['deed']}"
    if step.get("by"):
        text += f" by {step['by']}"
    said = step.get("reason") or step.get("next_hop")
    return plain(f"{text}: {said}" if said else text)


def _value(value: object) -> str:
    if isinstance(value, dict):
        return " ".join(f"{name}={each}" for name, each in value.items())
    return plain(str(value))


def _when(at: float) -> str:
    return datetime.fromtimestamp(at).strftime("%Y-%m-%d %H:%M:%S")


def age(seconds: float) -> str:
    """``3 d``; rounded down."""
    whole = max(0, int(seconds))
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if whole >= 2 * size or (whole >= size and unit == "min"):
            return f"{whole // size} {unit}"
    return f"{whole} s"


def cut(text: str, width: int) -> str:
    """Plain, and no longer than a column is wide."""
    shown = plain(text)
    return shown if len(shown) <= width else shown[: width - 1] + "…"
