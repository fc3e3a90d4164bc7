"""Where administrators ask about people who leave and move, in JSON's shapes.

Owns the calls behind ``gateway user reconcile``: comparing notes with the directory, who is away,
who moved lately, what is noted of one, and removing the mailboxes of one who is gone. Each removal
is logged and traced with who did it. Limits: PAGE people a call, MOST_MOVED addresses.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from twisted.logger import Logger

from gateway.core.errors import GatewayError
from gateway.core.ids import AccountId
from gateway.core.log_text import escaped
from gateway.core.ports.clock import WallClock
from gateway.core.ports.people_notes import FormerAddress, PeopleNotes, PersonNote, Resident
from gateway.core.ports.trace import TraceStore
from gateway.core.trace import FieldValue, TraceRecord, search_key
from gateway.people.comparisons import Comparison, Comparisons
from gateway.people.following import PeopleFollower
from gateway.people.mail import DAY_S
from gateway.people.removal import Removed, Remover

PAGE = 200
MOST_MOVED = 200

CALLS = frozenset({"compare", "compared", "away", "moved", "noted", "remove"})

Answer = dict[str, Any]
Arguments = Mapping[str, Any]


class LeaversCallRefused(GatewayError):
    """The call is not what it should be."""

    temporary = False
    default_text = (
        'expected compare with "dry_run" and "accept", compared with "number", away with "after",'
        ' moved with "days",'
        ' noted with "id", or remove with "id" and "days"'
    )


class LeaversDesk:
    """Answers calls."""

    log = Logger()

    def __init__(
        self,
        follower: PeopleFollower,
        notes: PeopleNotes,
        remover: Remover,
        trace: TraceStore,
        wall_clock: WallClock,
    ) -> None:
        self._comparisons = Comparisons(follower)
        self._notes = notes
        self._remover = remover
        self._trace = trace
        self._wall_clock = wall_clock

    async def call(self, name: str, arguments: Arguments, actor: str) -> Answer:
        """Raises: GatewayError."""
        match name, arguments:
            case "compare", {"dry_run": bool() as dry_run, "accept": bool() as accept}:
                if accept and not dry_run:
                    self.log.warn("{actor} accepts that many people are gone", actor=actor)
                return {"number": self._comparisons.begin(dry_run=dry_run, accept=accept)}
            case "compared", {"number": int() as number}:
                return _comparison(self._comparisons.look(number))
            case "away", {"after": str() as after}:
                return _page(await self._notes.away(after, PAGE))
            case "moved", {"days": int() as days}:
                since = int(self._wall_clock()) - days * DAY_S
                return {"moved": await self._moved(since)}
            case "noted", {"id": str() as account_id}:
                return await self._noted(AccountId(account_id))
            case "remove", {"id": str() as account_id, "days": int() as days} if days > 0:
                return await self._remove(AccountId(account_id), days, actor)
        raise LeaversCallRefused

    async def _moved(self, since: int) -> list[Answer]:
        former = await self._notes.former_since(since, MOST_MOVED)
        known = await self._notes.known({each.account_id for each in former})
        rows = []
        for each in former:
            note = known.notes.get(each.account_id)
            if note is None or not note.gone_since:
                rows.append({**former_row(each), **_now(note)})
        return rows

    async def _noted(self, account_id: AccountId) -> Answer:
        note = (await self._notes.known((account_id,))).notes.get(account_id)
        former = await self._notes.former_of((account_id,))
        return {
            "disabled_since": note.disabled_since or None if note else None,
            "gone_since": note.gone_since or None if note else None,
            "removed_at": note.removed_at or None if note else None,
            "login": note.login if note else "",
            "address": note.primary_address if note else "",
            "former_addresses": [former_row(each) for each in former.get(account_id, ())],
        }

    async def _remove(self, account_id: AccountId, days: int, actor: str) -> Answer:
        # Said before it is done, so that the log has it whatever happens in between.
        self.log.warn(
            "{actor} removes the mailboxes of id:{id}, gone for {days} days",
            actor=actor,
            id=escaped(account_id),
            days=days,
        )
        removed = await self._remover.remove(account_id, days)
        self._tell(removed, actor)
        return {
            "id": account_id,
            "login": removed.note.login,
            "mailboxes": removed.mailboxes,
            "messages": removed.messages,
        }

    def _tell(self, removed: Removed, actor: str) -> None:
        note = removed.note
        self.log.warn(
            "mailboxes removed by {actor}: {messages} messages of {login}, id:{id}, who is gone",
            actor=actor,
            messages=removed.messages,
            login=escaped(note.login or "somebody unknown"),
            id=escaped(note.account_id),
        )
        at = self._wall_clock()
        names = (note.login, note.primary_address, note.account_id)
        keys = tuple(search_key(each) for each in names if each)
        trace_id = f"mailboxes-{at:.6f}"  # a record of its own: no message's
        fields: dict[str, FieldValue] = {
            "by": actor,
            "login": note.login,
            "account_id": note.account_id,
            "messages": removed.messages,
            "gone_since": note.gone_since,
        }
        self._trace.note(TraceRecord(trace_id, at, "mailboxes removed", keys, fields))


def _comparison(begun: Comparison) -> Answer:
    told = begun.told
    if not begun.done:
        return {"done": False, "looked_at": told.looked_at}
    return {
        "done": True,
        "looked_at": told.looked_at,
        "with_mailboxes": told.with_mailboxes,
        "changes": told.count,
        "events": [str(each) for each in told.events],
        "gone": told.gone,
        "held": told.held,
        "unfinished": told.unfinished,
    }


def former_row(each: FormerAddress) -> Answer:
    return {"address": each.address, "id": each.account_id, "since": each.since}


def _now(note: PersonNote | None) -> Answer:
    if note is None:
        return {"login": "", "now": ""}
    return {"login": note.login, "now": note.primary_address}


def _page(away: Sequence[Resident]) -> Answer:
    rows = [_row(each, each.note) for each in away if each.note is not None]
    after = away[-1].account_id if len(away) == PAGE else ""
    return {"away": rows, "more_after": after}


def _row(resident: Resident, note: PersonNote) -> Answer:
    return {
        "id": resident.account_id,
        "login": note.login,
        "address": note.primary_address,
        "octets": resident.octets,
        "messages": resident.messages,
        "disabled_since": note.disabled_since or None,
        "gone_since": note.gone_since or None,
        "removed_at": note.removed_at or None,
    }
