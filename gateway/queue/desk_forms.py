"""JSON's shapes of what the desk takes and answers: filters, queued messages, their recipients.

Owns the keys and what a filter's value may be. Never looks at the queue.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from gateway.core.address import path
from gateway.core.envelope import MessageOptions, Notify, RecipientOptions
from gateway.core.errors import GatewayError
from gateway.core.log_text import escaped
from gateway.core.messages import LOCAL
from gateway.core.queue import (
    DestinationStatus,
    QueuedMessage,
    QueueEntry,
    QueueFilter,
    QueuePart,
    QueueState,
    ShapeRow,
    WaitingStatus,
)
from gateway.wire.address import AddressSyntax, parse_mailbox

_FILTERS: dict[str, type] = {
    "held": bool,
    "sender": str,
    "recipient": str,
    "destination": str,
    "before": int,
    "since": int,
    "larger_octets": int,
    "message_id": str,
    "state": str,
}
_ADDRESSES = ("sender", "recipient", "destination")

Answer = dict[str, Any]
Arguments = Mapping[str, Any]


class CallRefused(GatewayError):
    """The call is not what it should be."""

    temporary = False
    default_text = "the queue does not know this call"


def filter_of(arguments: Arguments) -> QueueFilter:
    """Raises: CallRefused."""
    chosen = {
        name: argument(arguments, name, kind, None)
        for name, kind in _FILTERS.items()
        if arguments.get(name) is not None
    }
    for name in _ADDRESSES:
        if chosen.get(name):
            chosen[name] = _stored_form(name, chosen[name])
    if "state" in chosen:
        chosen["state"] = _state(chosen["state"])
    if "message_id" in chosen:
        chosen["message_id"] = bare_id(chosen["message_id"])
    return QueueFilter(**chosen)


def _state(text: str) -> QueueState:
    try:
        return QueueState(text)
    except ValueError:
        expected = ", ".join(each.value for each in QueueState)
        raise CallRefused(f"state: found {escaped(text, 60)}; expected one of {expected}") from None


def bare_id(text: str) -> str:
    """An id as it is kept; refusals and answers show it in brackets."""
    return text.strip(" []<>")


def _stored_form(name: str, text: str) -> str:
    """An address, ``@domain``, domain or next hop as it stands in the queue: without the brackets
    that lists show, domains as A-labels. Raises: CallRefused."""
    is_destination = name == "destination"
    if text == "<>" or (is_destination and ("://" in text or text == LOCAL)):
        return text
    bare = text.removeprefix("<").removesuffix(">")
    if not is_destination and bare.casefold() == "postmaster":
        return f"{bare}@"  # RFC 5321 section 4.1.1.3: the only address without a domain
    local, at, domain = bare.rpartition("@")
    try:
        if bool(at) == is_destination:
            raise AddressSyntax("")
        address = parse_mailbox(f"{local or 'x'}@{domain}")
    except AddressSyntax:
        kinds = "a domain or a next hop" if is_destination else "an address or @domain"
        raise CallRefused(f"{name}: found {escaped(text, 60)}; expected {kinds}") from None
    if is_destination:
        return address.domain
    return f"{address.local_part if local else ''}@{address.domain}"


def argument(arguments: Arguments, name: str, kind: type, default: Any) -> Any:
    """Raises: CallRefused."""
    value = arguments.get(name, default)
    if value is default:
        return default
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise CallRefused(f"{name}: found {escaped(value, 60)}; expected {kind.__name__}")
    return value


def limit_in(arguments: Arguments, default: int, most: int) -> int:
    """How many rows are wanted at most. Raises: CallRefused."""
    limit: int = argument(arguments, "limit", int, default)
    if not 0 < limit <= most:
        raise CallRefused(f"limit: found {limit}; expected 1 to {most}")
    return limit


def row_of(message: QueuedMessage) -> Answer:
    return {
        "id": message.queue_id,
        "message_id": message.message_id,
        "sender": path(message.sender),
        "size_octets": message.size_octets,
        "created_at": message.created_at,
        "due_at": message.due_at,
        "hold": message.hold,
        "being_sent": message.leased,
        "recipient_count": message.recipients,
        "first_recipients": [str(each) for each in message.first_recipients],
        "last_reply": message.last_reply,
        "state": message.state.value,
        "destinations": list(message.destinations),
    }


def entry_of(entry: QueueEntry) -> Answer:
    return {
        **row_of(entry.message),
        "destinations": [each.destination for each in entry.parts],
        "content_octets": entry.item.size_octets,
        "options": options_of(entry.item.options),
        "recipients": [recipient_of(each) for each in entry.recipients],
    }


def part_of(part: QueuePart) -> Answer:
    return {"destination": part.destination, "state": part.state.value, "due_at": part.due_at}


def shape_row_of(row: ShapeRow) -> Answer:
    messages = list(row.messages)
    return {"name": row.name, "messages": messages, "total": sum(messages), "octets": row.octets}


def status_of(status: DestinationStatus) -> Answer:
    return asdict(status)


def options_of(options: MessageOptions) -> Answer:
    """What differs from the defaults."""
    told: Answer = {"body": options.body.value}
    for name in ("smtputf8", "ret", "envid", "release_at", "priority", "require_tls"):
        if getattr(options, name):
            told[name] = getattr(options, name)
    by = options.deliver_by
    if by is not None:
        told["deliver_by"] = {"at": by.at, "or_return": by.or_return, "trace": by.trace}
    return told


def recipient_of(status: WaitingStatus) -> Answer:
    recipient = status.recipient
    return {
        "number": recipient.number,
        "address": str(recipient.address),
        "next_hop": recipient.next_hop,
        "attempts": recipient.attempts,
        "last_reply": recipient.last_reply,
        "next_attempt_at": status.next_attempt_at,
        "told_of_delay": recipient.told_of_delay,
        "destination": status.destination,
        **_wishes(recipient.options),
    }


def _wishes(options: RecipientOptions) -> Answer:
    told: Answer = {}
    if options.notify is not None:
        wanted: Sequence[Notify] = [each for each in Notify if each in options.notify]
        told["notify"] = [str(each.name) for each in wanted] or ["NEVER"]
    if options.original:
        told["original"] = options.original
    return told
