"""What the gateway itself keeps of one person, for ``gateway doctor``: never a secret of theirs.

Owns the answer's shape: how many app passwords there are, whether a password is kept for outages
and since when, why the person was refused lately, what is noted of leavers, and, where it is asked
of a running gateway, whether the directory would be asked about them now. Changes and counts
nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from gateway.auth.person_budget import PersonBudget
from gateway.auth.throttle import LoginThrottle
from gateway.core.ids import AccountId
from gateway.core.ports.app_passwords import AppPasswordStore
from gateway.core.ports.clock import WallClock
from gateway.core.ports.kept_passwords import KeptPasswords, Refusals
from gateway.core.ports.may_ask import Lockout, PasswordState
from gateway.core.ports.people_notes import PeopleNotes

DAY_S = 86_400


class KeptLogins(Protocol):
    """What of the store logins need."""

    @property
    def app_passwords(self) -> AppPasswordStore: ...

    @property
    def kept_passwords(self) -> KeptPasswords: ...

    @property
    def refusals(self) -> Refusals: ...


class KeptOfPeople(KeptLogins, Protocol):
    """What is needed of the store."""

    @property
    def notes(self) -> PeopleNotes: ...


@dataclass(frozen=True, slots=True)
class Question:
    """About whom.

    Args:
        login, ip: as the person would come; no ip: from where they are known.
        state: what the directory told of the password, so that it is counted as a login would be.
    """

    account_id: AccountId
    login: str
    ip: str
    state: PasswordState


class Obstacles:
    """Of logins, in a gateway that runs."""

    def __init__(self, throttle: LoginThrottle, budget: PersonBudget) -> None:
        self._throttle = throttle
        self._budget = budget

    def obstacle(self, asked: Question) -> str:
        """Why nobody is asked; empty: somebody is."""
        obstacle = self._throttle.obstacle(asked.ip, asked.login) if asked.ip else ""
        known = not asked.ip or self._throttle.is_known(asked.ip, asked.login)
        return obstacle or self._budget.obstacle(asked.account_id, asked.state, known=known)


class PersonKnown:
    """Args:
    outage_days: how long a kept password serves; 0: not at all.
    obstacles: None: no gateway runs here.
    """

    def __init__(
        self,
        kept: KeptOfPeople,
        wall_clock: WallClock,
        *,
        outage_days: int,
        obstacles: Obstacles | None = None,
    ) -> None:
        self._kept = kept
        self._wall_clock = wall_clock
        self._outage_s = outage_days * DAY_S
        self._obstacles = obstacles

    async def told(self, asked: Question) -> dict[str, Any]:
        """Raises: StoreUnavailable."""
        now = self._wall_clock()
        account_id = asked.account_id
        app_passwords = await self._kept.app_passwords.of(account_id)
        kept = await self._kept.kept_passwords.kept(account_id)
        age_s = now - kept.confirmed_at if kept is not None else None
        return {
            "app_passwords": [
                list(each.protocols) for each in app_passwords if not each.has_expired(int(now))
            ],
            "app_passwords_expired": sum(each.has_expired(int(now)) for each in app_passwords),
            "kept_password_age_s": None if age_s is None else max(0, round(age_s)),
            "kept_password_serves": age_s is not None and age_s <= self._outage_s,
            "outage_days": self._outage_s // DAY_S,
            "refusals": [
                {
                    "at": each.at,
                    "reason": each.reason.words,
                    "protocol": each.protocol,
                    "from": each.peer_ip,
                }
                for each in await self._kept.refusals.recent(account_id)
            ],
            "notes": await self._notes(account_id),
            "running": self._obstacles is not None,
            "paused": self._obstacles.obstacle(asked) if self._obstacles is not None else "",
        }

    async def once_called(self, name: str) -> Sequence[AccountId]:
        """Who had this address once, or whose last login or address it was before they went."""
        name = name.casefold()
        former = (await self._kept.notes.known((), (name,))).former.get(name)
        gone = await self._kept.notes.gone_called(name)
        first = (former.account_id,) if former is not None else ()
        return tuple(dict.fromkeys((*first, *gone)))

    async def _notes(self, account_id: AccountId) -> dict[str, Any] | None:
        known = await self._kept.notes.known([account_id])
        note = known.notes.get(account_id)
        if note is None:
            return None
        former = await self._kept.notes.former_of([account_id])
        return {
            "login": note.login,
            "disabled_since": note.disabled_since or None,
            "gone_since": note.gone_since or None,
            "former_addresses": [each.address for each in former.get(account_id, ())],
        }


def question_in(arguments: Mapping[str, Any]) -> Question | None:
    """As JSON has it; None: it is not understood."""
    match arguments:
        case {
            "id": str(account_id),
            "login": str(login),
            "ip": str(ip),
            "changed": str(changed),
            "failures": int() | None as failures,
            "threshold": int() | None as threshold,
            "window_s": int() | float() as window_s,
        }:
            lockout = Lockout(threshold, float(window_s)) if threshold is not None else None
            state = PasswordState(changed, failures, lockout)
            return Question(AccountId(account_id), login[:1024], ip[:64], state)
    return None
