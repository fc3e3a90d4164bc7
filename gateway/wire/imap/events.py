"""What the reader of a connection's octets reports, and the limits it keeps.

A door calls ``CommandReader.next_event`` until it gives None (more octets are needed, or the door
owes a decision) and handles each event before asking for the next:

* ``CommandReceived``: run it; ask for the next event when it is answered.
* ``BadCommand``: answer ``tag NO/BAD [code] text`` (``*`` for no tag); the stream is in step.
* ``ContinuationWanted``: send ``+ `` and CRLF; a literal of the command under way comes next.
* ``AppendStarted``: call ``accept_append`` (after sending ``+ `` if ``synchronising``) or
  ``refuse_append`` and answer. Then come ``AppendData``… and at last ``AppendFinished``: store and
  answer; or ``BadCommand``: discard and answer as it says.
* ``RawLine``, ``RawLineRefused``: the line asked for by ``expect_line``.
* ``MustClose``: send ``* BYE [code] text`` and close; nothing more will be read.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from gateway.wire.imap.commands import Append, Command


@dataclass(frozen=True, slots=True)
class ReaderLimits:
    """How much one client may make us hold; every length is checked before it is read.

    Args:
        line_octets: one line, CRLF included; Dovecot's imap_max_line_length (SECURITY I5).
        command_octets: one command with all its literals.
        literal_octets: one literal other than a message; go on with a refusal above (I2).
        non_sync_octets: one non-synchronising literal, a message included (RFC 7888 section 5).
        skip_octets: a refused non-synchronising literal up to this size is read and dropped; a
            larger one ends the connection (I2, I3).
        literals: in one command.
        quoted_octets: one quoted string, between its quotes.
        nesting: open parentheses, NOTs and ORs within each other (I1, I6).
        search_keys: in one SEARCH.
        fetch_items: in one FETCH, header field names counted (I8).
    """

    line_octets: int = 65_536
    command_octets: int = 262_144
    literal_octets: int = 65_536
    non_sync_octets: int = 4_096
    skip_octets: int = 4_096
    literals: int = 100
    quoted_octets: int = 8_192
    nesting: int = 50
    search_keys: int = 500
    fetch_items: int = 500


BEFORE_LOGIN = ReaderLimits(
    line_octets=12_544,  # a SASL initial response of 12,288 octets (RFC 4959) and its command
    command_octets=16_384,
    literal_octets=1_024,  # user names and passwords
    non_sync_octets=512,
    literals=4,
    quoted_octets=1_024,
    nesting=1,
    search_keys=10,
    fetch_items=10,
)
AFTER_LOGIN = ReaderLimits()


@dataclass(frozen=True, slots=True)
class CommandReceived:
    """One complete command, its syntax checked."""

    command: Command


@dataclass(frozen=True, slots=True)
class BadCommand:
    """A command that is not run.

    Args:
        tag: the command's, or None if it has no usable one.
        text: ours, without any of the client's octets (SECURITY I16).
        code: response code without brackets (``TOOBIG``, ``CANNOT``…), or empty.
        condition: BAD for broken syntax, NO where the syntax is right and we do not do it.
    """

    tag: bytes | None
    text: str
    code: str = ""
    condition: Literal["BAD", "NO"] = "BAD"


@dataclass(frozen=True, slots=True)
class ContinuationWanted:
    """The client waits for ``+ `` before it sends a literal (RFC 3501 section 7.5)."""


@dataclass(frozen=True, slots=True)
class AppendStarted:
    """The head of an APPEND was read; its message of so many octets waits for a decision."""

    command: Append
    size_octets: int
    synchronising: bool


@dataclass(frozen=True, slots=True)
class AppendData:
    """The message's next octets, as they arrived."""

    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class AppendFinished:
    """The message and the command are complete."""

    command: Append


@dataclass(frozen=True, slots=True)
class RawLine:
    """A line of an exchange, without CRLF. May be a password."""

    line: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class RawLineRefused:
    """The line of an exchange was too long or not ended by CRLF; the exchange is over: BAD."""

    text: str


@dataclass(frozen=True, slots=True)
class MustClose:
    """The stream cannot be kept in step, or the client sends without end."""

    text: str
    code: str = ""


Event = (
    CommandReceived
    | BadCommand
    | ContinuationWanted
    | AppendStarted
    | AppendData
    | AppendFinished
    | RawLine
    | RawLineRefused
    | MustClose
)
