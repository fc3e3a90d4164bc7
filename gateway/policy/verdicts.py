"""What a check says about a client, a sender, a recipient or a message.

Values only. Which reply a verdict becomes is decided in ``edge.smtp.errors``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum


class Stage(Enum):
    """When checks are asked."""

    CONNECT = "connect"  # before the greeting
    HELLO = "hello"  # EHLO, HELO, LHLO
    SENDER = "sender"  # MAIL
    RECIPIENT = "recipient"  # RCPT, once routing knows where it leads
    CONTENT = "content"  # the whole message is there

    __hash__ = object.__hash__


class Action(Enum):
    """What is to be done."""

    PASS = "pass"  # nothing against it; the next check is asked  # noqa: S105
    ACCEPT = "accept"  # no further check is asked: of this client, transaction or recipient
    DEFER = "defer"  # refused for now, 4xx
    REJECT = "reject"  # refused, 5xx
    TAG = "tag"  # a header field says so; the next check is asked
    QUARANTINE = "quarantine"  # taken, and held in the queue; the next check is asked

    __hash__ = object.__hash__


@dataclass(frozen=True, slots=True)
class Verdict:
    """One check's word.

    Args:
        check: its name in the settings.
        reason: for administrators and the trace, in plain words.
        inputs: what it was judged by: names, addresses, lists and answers; bounded, printable.
        text: for the stranger, where it is refused; empty: a general one.
        status: enhanced status code without its class (RFC 3463), which follows the action.
        tag: with TAG and QUARANTINE: the value of the header field that tells of it.
    """

    action: Action
    check: str
    reason: str
    inputs: Mapping[str, str] = field(default_factory=dict)
    text: str = ""
    status: str = "7.1"
    tag: str = ""
