"""Feeds a CommandReader as a network would, whole and octet by octet, as a door would answer."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from gateway.wire.imap.commands import Command
from gateway.wire.imap.events import (
    AFTER_LOGIN,
    AppendData,
    AppendStarted,
    BadCommand,
    CommandReceived,
    Event,
    ReaderLimits,
)
from gateway.wire.imap.reader import CommandReader

Decide = Callable[[CommandReader, AppendStarted], None]


def accept(reader: CommandReader, started: AppendStarted) -> None:
    reader.accept_append()


def refuse(reader: CommandReader, started: AppendStarted) -> None:
    reader.refuse_append()


def take_all(reader: CommandReader, decide: Decide = accept) -> list[Event]:
    """Events till the reader wants more."""
    events: list[Event] = []
    while (event := reader.next_event()) is not None:
        events.append(event)
        if isinstance(event, AppendStarted):
            decide(reader, event)
    return events


def feed_in(
    pieces: Iterable[bytes], limits: ReaderLimits = AFTER_LOGIN, decide: Decide = accept
) -> list[Event]:
    reader = CommandReader(limits)
    events: list[Event] = []
    for piece in pieces:
        reader.feed(piece)
        events.extend(take_all(reader, decide))
    return joined(events)


def joined(events: Iterable[Event]) -> list[Event]:
    """Neighbouring pieces of a message as one."""
    result: list[Event] = []
    for event in events:
        last = result[-1] if result else None
        if isinstance(event, AppendData) and isinstance(last, AppendData):
            result[-1] = AppendData(last.data + event.data)
        else:
            result.append(event)
    return result


def read(data: bytes, limits: ReaderLimits = AFTER_LOGIN, decide: Decide = accept) -> list[Event]:
    """The events of these octets; the same whole and octet by octet."""
    whole = feed_in([data], limits, decide)
    single = feed_in((data[i : i + 1] for i in range(len(data))), limits, decide)
    assert single == whole
    return whole


def command(line: bytes, limits: ReaderLimits = AFTER_LOGIN) -> Command:
    """The one command of a line without its CRLF."""
    (event,) = [event for event in read(line + b"\r\n", limits) if _tells(event)]
    assert isinstance(event, CommandReceived), event
    return event.command


def refusal(line: bytes, limits: ReaderLimits = AFTER_LOGIN) -> tuple[str, str, str]:
    """Condition, code and text of the one refusal of a line without its CRLF."""
    (event,) = [event for event in read(line + b"\r\n", limits) if _tells(event)]
    assert isinstance(event, BadCommand), event
    return event.condition, event.code, event.text


def _tells(event: Event) -> bool:
    return isinstance(event, CommandReceived | BadCommand)
