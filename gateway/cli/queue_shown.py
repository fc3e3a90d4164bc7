"""Queued messages as the administrator reads them: a table, or one message with all about it.

Owns the form only. Foreign text is shown without what a terminal would obey.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from gateway.cli.deleted import plain
from gateway.cli.progress import table

ADDRESS_WIDTH, REPLY_WIDTH = 36, 60

Message = Mapping[str, Any]


def listing(messages: Sequence[Message]) -> str:
    """A table; what has happened last stands at the end."""
    headings = ("id", "waiting", "octets", "next", "sender", "recipients", "last answer")
    return table([_row(message) for message in messages], headings)


def _row(message: Message) -> tuple[object, ...]:
    recipients = ", ".join(message["first_recipients"][:1])
    if message["recipient_count"] > 1:
        recipients += f" +{message['recipient_count'] - 1}"
    reply = (message["hold"] and f"held: {message['hold']}") or message["last_reply"]
    return (
        message["id"],
        _age(time.time() - message["created_at"]),
        message["size_octets"],
        _next(message),
        _cut(message["sender"], ADDRESS_WIDTH),
        _cut(recipients, ADDRESS_WIDTH),
        _cut(reply, REPLY_WIDTH),
    )


def _next(message: Message) -> str:
    if message["due_at"] is None:
        return "held"
    if message["being_sent"]:
        return "now"
    left_s = message["due_at"] - time.time()
    return f"in {_age(left_s)}" if left_s > 0 else "due"


def details(message: Message) -> str:
    """Everything about one message."""
    lines = [f"message     {message['id']}, accepted as {plain(message['message_id'])}"]
    lines.append(f"sender      {plain(message['sender'])}")
    lines.append(f"accepted    {_when(message['created_at'])}")
    lines.append(f"size        {message['content_octets']:,} octets")
    if message["hold"]:
        until = message["due_at"]
        when = f"until {_when(until)}" if until is not None else "until it is released"
        lines.append(f"held        {when}: {plain(message['hold'])}")
    elif message["being_sent"]:
        lines.append("state       being sent, or about to be")
    options = [f"{name} {_value(value)}" for name, value in message["options"].items()]
    lines.append(f"options     {', '.join(options)}")
    for recipient in message["recipients"]:
        lines += ["", *_recipient(recipient)]
    return "\n".join(lines)


def _recipient(recipient: Mapping[str, Any]) -> Iterator[str]:
    yield f"recipient   {plain(recipient['address'])}"
    way = {"": "by MX, or the smart host", "local": "a mailbox here"}.get(
        recipient["next_hop"], recipient["next_hop"]
    )
    yield f"  next hop      {plain(way)}"
    yield f"  attempts      {recipient['attempts']}"
    if recipient["last_reply"]:
        yield f"  last answer   {plain(recipient['last_reply'])}"
    at = recipient["next_attempt_at"]
    yield f"  next attempt  {_when(at) if at is not None else 'when it is released'}"
    if recipient["told_of_delay"]:
        yield "  the sender has been told that it takes longer"
    if "notify" in recipient:
        yield f"  reports       {', '.join(recipient['notify'])}"
    if "original" in recipient:
        yield f"  first sent to {plain(recipient['original'])}"


def _value(value: object) -> str:
    if isinstance(value, dict):
        return " ".join(f"{name}={each}" for name, each in value.items())
    return plain(str(value))


def _when(at: float) -> str:
    return datetime.fromtimestamp(at).strftime("%Y-%m-%d %H:%M:%S")


def _age(seconds: float) -> str:
    whole = max(0, int(seconds))
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if whole >= 2 * size or (whole >= size and unit == "min"):
            return f"{whole // size} {unit}"
    return f"{whole} s"


def _cut(text: str, width: int) -> str:
    shown = plain(text)
    return shown if len(shown) <= width else shown[: width - 1] + "…"
