"""What parent and workers say to each other: values, and their form on a Unix socket.

Owns the framing (four octets of length, then JSON) and the reading of frames that arrive in any
pieces. Both ends are this program; what is not understood ends the line all the same.

Limits: a frame has MAX_FRAME_OCTETS, all certificates with their keys the largest content.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gateway.core.ids import AccountId, MailboxId, ModSeq
from gateway.core.mailboxes import MailboxEvent

MAX_FRAME_OCTETS = 4 * 1024 * 1024

_LENGTH = struct.Struct(">I")


@dataclass(frozen=True, slots=True)
class Hints:
    """Commits: which mailboxes to look at again, and whether the queue grew."""

    events: tuple[MailboxEvent, ...]
    queue_grew: bool = False


@dataclass(frozen=True, slots=True)
class Doubt:
    """Hints were lost: look at everything again."""


@dataclass(frozen=True, slots=True)
class Ready:
    """A worker accepts connections."""


@dataclass(frozen=True, slots=True)
class Failed:
    """A worker cannot start; what the gateway's exit status and message would be."""

    status: int
    text: str


@dataclass(frozen=True, slots=True)
class Lead:
    """To a worker: run the queue and the store's care from now on."""


@dataclass(frozen=True, slots=True)
class Beat:
    """Are you there? A worker's reactor says the same back."""


@dataclass(frozen=True, slots=True)
class Reload:
    """New certificates and their keys, as ``TlsMaterial`` has them in JSON."""

    tls: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class StatusAsked:
    """Answer with the same number; the queue's depth as well, if wanted."""

    number: int
    with_queue: bool


@dataclass(frozen=True, slots=True)
class StatusAnswer:
    """What one worker knows of itself."""

    number: int
    status: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Hurried:
    """To whoever runs the queue, by the parent: somebody wants these destinations tried now."""

    destinations: Sequence[str]


@dataclass(frozen=True, slots=True)
class Ask:
    """To any worker: something the administrator wants to know; answer with the same number.

    Args:
        kind: as ``asking`` has them.
        body: its JSON.
    """

    number: int
    kind: str
    body: Any


@dataclass(frozen=True, slots=True)
class Answer:
    """What is known; ``error`` is not empty when the question cannot be answered.

    Args:
        temporary: it may be later.
    """

    number: int
    body: Mapping[str, Any]
    error: str = ""
    temporary: bool = True


Message = (
    Hints
    | Doubt
    | Ready
    | Failed
    | Lead
    | Beat
    | Reload
    | StatusAsked
    | StatusAnswer
    | Hurried
    | Ask
    | Answer
)

_PLAIN: Mapping[str, type[Message]] = {
    kind.__name__: kind
    for kind in (
        Doubt,
        Ready,
        Failed,
        Lead,
        Beat,
        Reload,
        StatusAsked,
        StatusAnswer,
        Hurried,
        Ask,
        Answer,
    )
}


def encode(message: Message) -> bytes:
    """The message as a frame. Raises: ValueError (too large)."""
    fields: list[Any] = [type(message).__name__]
    if isinstance(message, Hints):
        fields += [rows_of(message.events), message.queue_grew]
    else:
        fields += [getattr(message, name) for name in message.__dataclass_fields__]
    payload = json.dumps(fields, separators=(",", ":")).encode("ascii")
    if len(payload) > MAX_FRAME_OCTETS:
        raise ValueError("message too large for a frame")
    return _LENGTH.pack(len(payload)) + payload


def rows_of(events: Sequence[MailboxEvent]) -> list[list[object]]:
    """Events as JSON has them, here and on the control socket."""
    return [[event.account_id, event.mailbox_id, event.highest_modseq] for event in events]


def events_of(rows: Sequence[Any]) -> tuple[MailboxEvent, ...]:
    """What ``rows_of`` made; the caller vouches for the shape. Raises: ValueError, TypeError."""
    return tuple(
        MailboxEvent(AccountId(account), MailboxId(mailbox), ModSeq(modseq))
        for account, mailbox, modseq in rows
    )


def _decode(payload: bytes) -> Message:
    try:
        kind, *values = json.loads(payload)
        if kind == Hints.__name__:
            rows, queue_grew = values
            return Hints(events_of(rows), queue_grew)
        make: Callable[..., Message] = _PLAIN[kind]
        return make(*values)
    except (TypeError, KeyError, RecursionError) as error:
        raise ValueError(f"not a message: {type(error).__name__}") from None


class FrameReader:
    """Takes octets as they come, gives messages."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Message]:
        """The messages that are complete now. Raises: ValueError (the line is of no use then)."""
        self._buffer += data
        at = 0
        try:
            while len(self._buffer) - at >= _LENGTH.size:
                (length,) = _LENGTH.unpack_from(self._buffer, at)
                if length > MAX_FRAME_OCTETS:
                    raise ValueError("frame too large")
                end = at + _LENGTH.size + length
                if len(self._buffer) < end:
                    break
                payload = bytes(self._buffer[at + _LENGTH.size : end])
                at = end
                yield _decode(payload)
        finally:
            del self._buffer[:at]
