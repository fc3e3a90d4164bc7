"""What is noted when the directory tells something of people: who left, who moved, who is back.

Owns the rules, from what is known and what is told to what is written. Pure: no store, no clock.
Told the same twice, they write nothing the second time. Only people who have mailboxes, or are
disabled, are noted, so that a first listing of a large directory costs a few rows.

Nobody is gone because they are not there: only because somebody says so (``after`` is None), which
has been asked about by id. Nothing of a mailbox is ever touched here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum

from gateway.core.account import Account
from gateway.core.ids import AccountId
from gateway.core.ports.people import PersonChange
from gateway.core.ports.people_notes import FormerAddress, Known, PersonNote, Writing


class Kind(Enum):
    """What happened to somebody."""

    GONE = "gone from the directory"
    BACK = "back in the directory"
    DISABLED = "disabled"
    ENABLED = "enabled again"
    MOVED = "has another login or other addresses"
    TAKEN = "has an address now that was another's"


@dataclass(frozen=True, slots=True)
class Event:
    """For the log and for reports."""

    kind: Kind
    account_id: AccountId
    login: str
    text: str = ""

    def __str__(self) -> str:
        told = f"{self.login or f'id:{self.account_id}'}: {self.kind.value}"
        return f"{told} ({self.text})" if self.text else told


@dataclass(slots=True)
class Planned:
    """What is to be written, and what it means."""

    writing: Writing = field(default_factory=Writing)
    events: list[Event] = field(default_factory=list)


def folded(addresses: Iterable[str]) -> tuple[str, ...]:
    """In the form in which former addresses are kept and asked for."""
    return tuple(dict.fromkeys(each.casefold() for each in addresses))


def plan(changes: Sequence[PersonChange], known: Known, now: int, *, keep: bool) -> Planned:
    """Of several changes of one person the last one counts.

    Args:
        keep: addresses that people lose are theirs for a while still.
    """
    planned = Planned()
    latest = {each.account_id: each for each in changes}
    for account_id, change in latest.items():
        note = known.notes.get(account_id)
        if change.after is None:
            _left(planned, change, note, known, now)
        else:
            _is(planned, change.before, change.after, note, known, now, keep=keep)
    # Whoever has an address now has it, in whatever order they were told of.
    taken = {each for one in latest.values() if one.after for each in folded(one.after.addresses)}
    writing = planned.writing
    writing.begin = [each for each in writing.begin if each.address not in taken]
    return planned


def _left(
    planned: Planned, change: PersonChange, note: PersonNote | None, known: Known, now: int
) -> None:
    account_id = change.account_id
    writing = planned.writing
    if account_id not in known.residents:
        if note is not None:
            writing.forgotten.append(account_id)
        return
    if note is not None and note.gone_since:
        return
    before = _noted(change.before, note, account_id, now)
    writing.notes.append(replace(before, gone_since=now, noted_at=now))
    _begin(writing, before.addresses, account_id, known, now)
    planned.events.append(Event(Kind.GONE, account_id, before.login))


def _noted(
    before: Account | None, note: PersonNote | None, account_id: AccountId, now: int
) -> PersonNote:
    """As last seen by whoever tells, else as noted."""
    base = note or PersonNote(account_id)
    if before is None:
        return base
    return replace(
        base,
        login=before.login,
        primary_address=before.primary_address,
        addresses=folded(before.addresses),
        disabled_since=0 if before.enabled else base.disabled_since or now,
    )


def _is(
    planned: Planned,
    before: Account | None,
    after: Account,
    note: PersonNote | None,
    known: Known,
    now: int,
    *,
    keep: bool,
) -> None:
    writing, events = planned.writing, planned.events
    account_id, addresses = after.account_id, folded(after.addresses)
    had = folded((*(before.addresses if before else ()), *(note.addresses if note else ())))
    lost = [each for each in had if each not in addresses]
    if keep:
        _begin(writing, lost, account_id, known, now)
    _end_taken(planned, after, addresses, known)
    old_login = before.login if before is not None else note.login if note is not None else ""
    if lost or (old_login and old_login != after.login):
        told = [f"login {old_login} before"] if old_login and old_login != after.login else []
        told += [f"had {', '.join(lost)}"] if lost else []
        # Told twice, the note has it already.
        if note is None or note.login != after.login or note.addresses != addresses:
            events.append(Event(Kind.MOVED, account_id, after.login, "; ".join(told)))
    since = 0 if after.enabled else (note.disabled_since if note else 0) or now
    if account_id not in known.residents and after.enabled:
        if note is not None:
            writing.forgotten.append(account_id)
        return
    new = PersonNote(account_id, after.login, after.primary_address, addresses, now, since)
    if note is not None and replace(new, noted_at=note.noted_at) == note:
        return
    writing.notes.append(new)
    if note is not None and note.gone_since:
        events.append(Event(Kind.BACK, account_id, after.login))
    if since and not (note and note.disabled_since):
        events.append(Event(Kind.DISABLED, account_id, after.login, after.condition))
    elif not since and note is not None and note.disabled_since:
        events.append(Event(Kind.ENABLED, account_id, after.login))


def _begin(
    writing: Writing, addresses: Iterable[str], account_id: AccountId, known: Known, now: int
) -> None:
    for each in addresses:
        there = known.former.get(each)
        if there is None or there.account_id != account_id:
            writing.begin.append(FormerAddress(each, account_id, now))


def _end_taken(planned: Planned, owner: Account, addresses: Iterable[str], known: Known) -> None:
    for each in addresses:
        there = known.former.get(each)
        if there is None:
            continue
        planned.writing.end.append(each)
        if there.account_id != owner.account_id:
            text = f"{each}, once that of id:{there.account_id}"
            planned.events.append(Event(Kind.TAKEN, owner.account_id, owner.login, text))
