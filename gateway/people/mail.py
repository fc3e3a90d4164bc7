"""What becomes of mail for people who have left or have another address now: the port LeaversMail.

Owns the settings' policy for disabled people, and who had an address once. Whoever is merely locked
is nobody's affair here. What is noted is read when it is needed, which is for disabled people and
for addresses that nobody has; an address that somebody has is never asked about, so the directory
always wins. Never lets anybody log in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from time import gmtime, strftime
from typing import Literal, Protocol

from gateway.core.account import Account
from gateway.core.address import Address
from gateway.core.errors import MailboxDisabled
from gateway.core.ids import AccountId
from gateway.core.ports.clock import WallClock
from gateway.core.ports.people_notes import FormerAddress, PeopleNotes
from gateway.core.ports.routing import Steps

DAY_S = 86_400
GONE = "gone from the directory"


class FindsById(Protocol):
    async def find_by_id(self, account_id: AccountId) -> Account | None: ...


@dataclass(frozen=True, slots=True)
class LeaverPolicy:
    """The settings.

    Args:
        after_s: mail is taken for so long after somebody was disabled.
        forward_to: who gets the mail; with ``forward``.
        gone_as_disabled: addresses of people who are gone are treated by the same rule.
        keep_s: how long an address that somebody lost is theirs still.
    """

    mail: Literal["accept", "forward", "refuse"] = "accept"
    after_s: int = 0
    forward_to: Address | None = None
    gone_as_disabled: bool = False
    keep_s: int = 0


class LeaverMail:
    """Implements ``core.ports.leavers.LeaversMail``."""

    def __init__(
        self,
        policy: LeaverPolicy,
        notes: PeopleNotes,
        directory: FindsById,
        wall_clock: WallClock,
    ) -> None:
        self._policy = policy
        self._notes = notes
        self._directory = directory
        self._wall_clock = wall_clock

    async def goes_to(self, person: Account, steps: Steps | None = None) -> Address | None:
        policy = self._policy
        why = person.condition if person.condition == GONE else "disabled"
        if policy.mail == "accept":
            _note(steps, f"{person.login} is {why}; such mail is accepted (leavers.mail)")
            return None
        since = await self._away_since(person)
        if policy.after_s:
            if not since:
                # Noticed by nobody yet, so it is not long ago.
                _note(steps, f"{person.login} is {why}, it is not noted since when: mail is taken")
                return None
            until = since + policy.after_s
            if self._wall_clock() < until:
                _note(steps, f"{person.login} is {why}; mail is taken until {_day(until)}")
                return None
        told = f"{person.login} is {why}" + (f" since {_day(since)}" if since else "")
        if policy.mail == "forward" and policy.forward_to is not None:
            _note(steps, f"{told}; mail goes to {policy.forward_to} (leavers.mail)")
            return policy.forward_to
        _note(steps, f"{told}; mail is refused (leavers.mail)")
        raise MailboxDisabled(login=person.login)

    async def _away_since(self, person: Account) -> int:
        known = await self._notes.known((person.account_id,))
        note = known.notes.get(person.account_id)
        if note is None:
            return 0
        return note.disabled_since or note.gone_since

    async def former_owner(
        self, names: Sequence[Address], steps: Steps | None = None
    ) -> Account | None:
        keys = [each.key for each in names]
        former = (await self._notes.known((), keys)).former
        for key in keys:
            if key in former:
                owner = await self._owner_of(former[key], steps)
                if owner is not None:
                    return owner
        return None

    async def _owner_of(self, former: FormerAddress, steps: Steps | None) -> Account | None:
        account_id, address = former.account_id, former.address
        owner = await self._directory.find_by_id(account_id)
        since = _day(former.since)
        if owner is not None:
            ends_at = former.since + self._policy.keep_s
            if not self._policy.keep_s or self._wall_clock() >= ends_at:
                return None
            _note(steps, f"{address} is a former address of {owner.login}, since {since}")
            return owner
        note = (await self._notes.known((account_id,))).notes.get(account_id)
        if note is None or not note.gone_since or note.removed_at:
            return None
        gone = f"{address} was an address of {note.login or account_id}, who is {GONE} since"
        if not self._policy.gone_as_disabled:
            _note(steps, f"{gone} {_day(note.gone_since)}: it is nobody's (leavers.gone)")
            return None
        _note(steps, f"{gone} {_day(note.gone_since)}: as for a disabled person (leavers.gone)")
        return Account(
            account_id,
            note.login or account_id,
            note.primary_address,
            note.addresses,
            enabled=False,
            condition=GONE,
        )


def _day(at: float) -> str:
    return strftime("%Y-%m-%d %H:%M UTC", gmtime(at))


def _note(steps: Steps | None, text: str) -> None:
    if steps is not None:
        steps.add(text)
