"""The plain words of a delivery report: what people read first.

Owns subjects and sentences. Never decides what is reported; text from outside comes in reduced to
one printable line already (``dsn``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from email.utils import formatdate
from enum import Enum
from textwrap import wrap


class Action(Enum):
    """What is reported of a recipient (RFC 3464 section 2.3.3)."""

    FAILED = "failed"
    DELAYED = "delayed"
    DELIVERED = "delivered"
    RELAYED = "relayed"
    EXPANDED = "expanded"


SUCCESSES = frozenset({Action.DELIVERED, Action.RELAYED, Action.EXPANDED})


@dataclass(frozen=True, slots=True)
class Said:
    """One recipient, fit to be shown."""

    address: str
    action: Action
    reply: str
    remote: str
    expired: bool
    retry_until: int | None


def subject(actions: set[Action]) -> str:
    if Action.FAILED in actions:
        return "Your message was not delivered"
    if Action.DELAYED in actions:
        return "Your message is delayed"
    if actions == {Action.DELIVERED}:
        return "Your message was delivered"
    return "Your message was passed on"


def words(hostname: str, said: Sequence[Said], *, whole: bool) -> str:
    """The whole text, LF line ends.

    Args:
        whole: the message itself follows, not only its header.
    """
    actions = {each.action for each in said}
    lines = [f"This is the mail server {hostname}.", "", _opening(actions, len(said) > 1), ""]
    for each in said:
        lines.append(f"  <{each.address}>")
        for sentence in _about(each):
            lines += wrap(sentence, 72, initial_indent="    ", subsequent_indent="    ")
        lines.append("")
    lines += _advice(actions)
    lines.append(
        "Your message follows below."
        if whole
        else "The header of your message follows below, its text does not."
    )
    return "\n".join(lines)


def _opening(actions: set[Action], several: bool) -> str:
    people = "the following people:" if several else "the following person:"
    if Action.FAILED in actions:
        return f"Your message could not be delivered to {people}"
    if Action.DELAYED in actions:
        return f"Your message has not been delivered yet to {people}"
    return f"You asked to hear what becomes of your message to {people}"


def _about(said: Said) -> list[str]:
    reply = said.reply or "no reason was given"
    answer = f"The server {said.remote} answered: {reply}" if said.remote else reply
    match said.action:
        case Action.FAILED if said.expired:
            text = "It was tried again and again without success. The last trouble was:"
            return [text, answer]
        case Action.FAILED:
            return [answer]
        case Action.DELAYED:
            until = []
            if said.retry_until is not None:
                until.append(f"It will be tried again until {formatdate(said.retry_until)}.")
            return [answer, *until]
        case Action.DELIVERED:
            return ["It is in the mailbox."]
        case Action.RELAYED:
            next_hop = f"the server {said.remote}" if said.remote else "the next server"
            return [f"It was passed on to {next_hop}, which may not report what it does with it."]
        case Action.EXPANDED:
            return ["This address stands for others, to whom the message was passed on."]


def _advice(actions: set[Action]) -> list[str]:
    if Action.FAILED in actions:
        return [
            "The message will not be tried again. If the address is right, show this",
            "report to your administrator or to the recipient by another way.",
        ]
    if Action.DELAYED in actions:
        return ["You need not send it again. You will hear if it cannot be delivered."]
    return []
