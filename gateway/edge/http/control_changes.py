"""``POST /v1/changes``: a command has changed the store beside the running gateway.

Owns the shape of the body, ``{"events": [[account_id, mailbox_id, modseq], ...], "queue_grew":
bool}``, and its bounds. What it says are hints: sessions that watch these mailboxes look again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from gateway.core.errors import GatewayError
from gateway.core.ids import AccountId, MailboxId, ModSeq
from gateway.core.mailboxes import MailboxEvent
from gateway.edge.http.control import ControlCall, Route

MAX_EVENTS = 10_000
MAX_ACCOUNT_CHARACTERS = 256
_MAX_NUMBER = 2**63 - 1

Heard = Callable[[Sequence[MailboxEvent], bool], None]


class ChangesRefused(GatewayError):
    """The body is not what it should be."""

    temporary = False
    default_text = (
        'expected {"events": [[account_id, mailbox_id, modseq], ...], "queue_grew": true or false}'
    )


def changes_route(heard: Heard) -> Route:
    """The row of the control API; ``heard`` tells the watchers."""

    async def changes(call: ControlCall) -> Mapping[str, object]:
        events, queue_grew = _read(call.body)
        heard(events, queue_grew)
        return {"told": len(events)}

    return Route("POST", "/v1/changes", changes)


def _read(body: object) -> tuple[tuple[MailboxEvent, ...], bool]:
    """Raises: ChangesRefused."""
    if not isinstance(body, dict) or not body.keys() <= {"events", "queue_grew"}:
        raise ChangesRefused()
    rows, queue_grew = body.get("events", []), body.get("queue_grew", False)
    if not isinstance(rows, list) or not isinstance(queue_grew, bool):
        raise ChangesRefused()
    if len(rows) > MAX_EVENTS:
        raise ChangesRefused(f"found {len(rows)} events; expected {MAX_EVENTS} at most")
    return tuple(map(_event, rows)), queue_grew


def _event(row: object) -> MailboxEvent:
    match row:
        case [str(account), int(mailbox), int(modseq)] if (
            0 < len(account) <= MAX_ACCOUNT_CHARACTERS
            and not isinstance(mailbox, bool)
            and not isinstance(modseq, bool)
            and 0 < mailbox <= _MAX_NUMBER
            and 0 <= modseq <= _MAX_NUMBER
        ):
            return MailboxEvent(AccountId(account), MailboxId(mailbox), ModSeq(modseq))
    raise ChangesRefused()
