"""The plain words of a delivery report: what people read first.

Owns subjects and sentences; what a status code means is in ``dsn_reasons``. Never decides what is
reported; text from outside comes in reduced to one printable line already (``dsn``).

Limits: MAX_NAMED recipients are named, with MAX_REASONS different answers; the others are counted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from email.utils import formatdate
from textwrap import wrap

from gateway.wire.dsn_reasons import reason_of
from gateway.wire.dsn_values import Action

MAX_NAMED = 100
MAX_REASONS = 20
WIDTH = 72

_SUBJECTS = {
    Action.FAILED: "was not delivered",
    Action.DELAYED: "is delayed",
    Action.DELIVERED: "was delivered",
}


@dataclass(frozen=True, slots=True)
class Said:
    """One recipient, fit to be shown; as ``dsn_values.Reported``."""

    address: str
    domain: str
    action: Action
    status: str
    reply: str
    remote: str
    expired: bool
    retry_until: int | None

    @property
    def likeness(self) -> tuple[object, ...]:
        """Recipients alike in this are spoken of together; most servers repeat the address."""
        answer = self.reply.replace(self.address, "") if self.address else self.reply
        return (
            self.action, self.domain, self.status, answer, self.remote,
            self.expired, self.retry_until,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class About:
    """What else the words speak of.

    Args:
        subject: of the message, one printable line; empty if it has none.
        whole: the message itself follows, not only its header.
        reference, in_place_of: as ``dsn_values.Report``.
    """

    hostname: str
    subject: str
    arrived_at: int
    whole: bool
    reference: str
    in_place_of: str


def subject(actions: set[Action], of_message: str, *, in_place_of: bool) -> str:
    """What the report is called, in words and by the message's own subject."""
    what = "A message" if in_place_of else "Your message"
    became = _SUBJECTS.get(_first(actions), "was passed on")
    return f"{what} {became}: {of_message}" if of_message else f"{what} {became}"


def words(said: Sequence[Said], about: About) -> str:
    """The whole text, LF line ends."""
    action = _first({each.action for each in said})
    lines = [f"This is the mail server {about.hostname}.", ""]
    lines += _wrapped(_opening(action, len(said), about))
    if about.in_place_of:
        lines += _wrapped(f"You get this report as postmaster, because {about.in_place_of}.")
    lines.append("")
    lines += _people(said)
    lines += _closing(action, about)
    return "\n".join(lines)


def _first(actions: set[Action]) -> Action:
    """What weighs most: a report with several kinds is called by it."""
    order = (Action.FAILED, Action.DELAYED, Action.RELAYED, Action.EXPANDED, Action.DELIVERED)
    return next(each for each in order if each in actions)


def _opening(action: Action, count: int, about: About) -> str:
    named = f' "{about.subject}"' if about.subject else ""
    date = formatdate(about.arrived_at)[5:22]
    message = f"{'The' if about.in_place_of else 'Your'} message{named} of {date} UTC"
    people = "the following person:" if count == 1 else f"the following {count:,} people:"
    if action is Action.FAILED:
        return f"{message} could not be delivered to {people}"
    if action is Action.DELAYED:
        return f"{message} has not been delivered yet to {people}"
    return f"You asked to hear what becomes of your message{named} of {date} UTC to {people}"


def _people(said: Sequence[Said]) -> Iterator[str]:
    """Those who fared alike together."""
    groups: dict[tuple[object, ...], list[Said]] = {}
    for each in said:
        groups.setdefault(each.likeness, []).append(each)
    left, told = MAX_NAMED, 0
    for group in list(groups.values())[:MAX_REASONS]:
        named = group[:left]
        if not named:
            break
        left -= len(named)
        told += len(group)
        for each in named:
            yield f"  <{each.address}>"
        if len(group) > len(named):
            yield f"  and {len(group) - len(named):,} others"
        for sentence in _sentences(group[0], several=len(group) > 1):
            yield from _wrapped(sentence, "    ")
        yield ""
    if told < len(said):
        rest = f"{len(said) - told:,} others: the part of this report that is for mail programs"
        yield from _wrapped(f"The same may have happened to {rest} names all of them.")
        yield ""


def _sentences(said: Said, *, several: bool) -> Iterator[str]:
    match said.action:
        case Action.DELIVERED:
            yield "It is in the mailbox."
            return
        case Action.RELAYED:
            next_hop = f"the server {said.remote}" if said.remote else "the next server"
            yield f"It was passed on to {next_hop}, which may not report what it does with it."
            return
        case Action.EXPANDED:
            yield "This address stands for others, to whom the message was passed on."
            return
    reason = reason_of(said.status, said.reply, delayed=said.action is Action.DELAYED)
    names = {"domain": said.domain or "that domain", "address": said.address}
    if reason.what:
        yield reason.what.format_map(names)
    if said.action is Action.FAILED and reason.advice:
        yield reason.advice.format_map(names)
    if said.expired:
        yield "It was tried again and again without success. The last trouble was:"
    reply = said.reply or "no reason was given"
    if said.remote:
        first = " for the first of them" if several else ""
        yield f"The server {said.remote} answered{first}: {reply}"
    else:
        yield f"{reply[:1].upper()}{reply[1:]}"
    if said.retry_until is not None:
        yield f"It will be tried again until {formatdate(said.retry_until)[:22]} UTC."


def _closing(action: Action, about: About) -> Iterator[str]:
    if action is Action.FAILED:
        yield "The message will not be tried again."
    if action is Action.DELAYED:
        yield "You need not send it again. You will hear if it cannot be delivered."
    if about.reference and action in (Action.FAILED, Action.DELAYED):
        yield f"Your administrator finds out more by this reference: {about.reference}"
    whose = "The" if about.in_place_of else "Your"
    yield (
        f"{whose} message follows below."
        if about.whole
        else f"The header of {whose.lower()} message follows below, its text does not."
    )


def _wrapped(sentence: str, indent: str = "") -> list[str]:
    return wrap(sentence, WIDTH, initial_indent=indent, subsequent_indent=indent)
