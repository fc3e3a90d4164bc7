"""Where administrators make app passwords, look at them and revoke them, in JSON's shapes.

Owns the calls, what may be asked for, and that each deed is logged and traced with who did it. The
password is in one answer, and in nothing else: no record of a deed has it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from twisted.logger import Logger

from gateway.auth.app_passwords_making import AppPasswordMaker, AppPasswordRefused, Wanted
from gateway.core.account import Account
from gateway.core.app_passwords import PROTOCOLS, AppPassword
from gateway.core.log_text import escaped, shown
from gateway.core.networks import UnknownNetworkName, named
from gateway.core.ports.app_passwords import AppPasswordStore
from gateway.core.ports.clock import WallClock
from gateway.core.ports.trace import TraceStore
from gateway.core.trace import FieldValue, TraceRecord, search_key

MAX_LABEL = 64
MAX_NETWORKS = 20
MAX_DAYS = 36_500

Answer = dict[str, Any]
Arguments = Mapping[str, Any]


class AppPasswordDesk:
    """Answers calls about one person's.

    Args:
        enabled: False: none is made, as it would be good for nothing.
        networks: [networks] of the settings.
        revoked: called after some are gone, so that sessions here end now.
    """

    log = Logger()

    def __init__(
        self,
        store: AppPasswordStore,
        maker: AppPasswordMaker,
        trace: TraceStore,
        *,
        enabled: bool,
        networks: Mapping[str, Sequence[str]],
        wall_clock: WallClock,
        revoked: Callable[[], Awaitable[None]],
    ) -> None:
        self._store = store
        self._maker = maker
        self._trace = trace
        self._enabled = enabled
        self._networks = networks
        self._wall_clock = wall_clock
        self._revoked = revoked

    async def rows(self, account: Account) -> list[Answer]:
        """All that the person has."""
        now = self._wall_clock()
        return [_row(each, now) for each in await self._store.of(account.account_id)]

    async def create(self, account: Account, arguments: Arguments, actor: str) -> Answer:
        """``{"label", "protocols", "networks", "days"}``; the answer has the password.

        Raises: AppPasswordRefused, StoreUnavailable.
        """
        if not self._enabled:
            raise AppPasswordRefused("app passwords are not in use: app_passwords.enabled is false")
        wanted = self._wanted(arguments)
        made = await self._maker.make(account, wanted, actor)
        self._tell("app password made", account, made.kept, actor)
        return {**_row(made.kept, self._wall_clock()), "password": made.text}

    async def revoke(self, account: Account, arguments: Arguments, actor: str) -> list[Answer]:
        """``{"numbers": [...] or null}``; null: all of them. Returns what was revoked.

        Raises: AppPasswordRefused (the person has not all of them; none is revoked).
        """
        numbers = arguments.get("numbers")
        if numbers is not None:
            if not isinstance(numbers, list) or not all(type(each) is int for each in numbers):
                raise AppPasswordRefused('expected "numbers": a list of numbers, or null')
            there = {each.number for each in await self._store.of(account.account_id)}
            missing = sorted(set(numbers) - there)
            if missing:
                has = ", ".join(map(str, sorted(there))) or "none"
                raise AppPasswordRefused(
                    f"{called(account)} has no app password {missing[0]}; expected one of: {has}"
                )
        gone = await self._store.remove(account.account_id, numbers)
        for each in gone:
            self._tell("app password revoked", account, each, actor)
        if gone:
            await self._revoked()
        now = self._wall_clock()
        return [_row(each, now) for each in gone]

    def _wanted(self, arguments: Arguments) -> Wanted:
        """Raises: AppPasswordRefused."""
        label = arguments.get("label")
        if not isinstance(label, str) or not label.strip() or not label.isprintable():
            raise AppPasswordRefused("expected a label that says what the password is for")
        if len(label) > MAX_LABEL:
            raise AppPasswordRefused(
                f"found a label of {len(label)} characters; at most {MAX_LABEL}"
            )
        protocols = _texts(arguments, "protocols")
        for each in protocols:
            if each not in PROTOCOLS:
                expected = ", ".join(PROTOCOLS)
                raise AppPasswordRefused(f"found protocol {shown(each)}; expected {expected}")
        networks = _texts(arguments, "networks")
        if len(networks) > MAX_NETWORKS:
            raise AppPasswordRefused(f"found {len(networks)} networks; at most {MAX_NETWORKS}")
        try:
            named(networks, self._networks)
        except UnknownNetworkName as unknown:
            known = f" ({', '.join(sorted(self._networks))})" if self._networks else ""
            raise AppPasswordRefused(
                f"found network {shown(str(unknown))}; expected an address, a network such as"
                f" 192.0.2.0/24, or a name of [networks]{known}"
            ) from None
        days = arguments.get("days", 0)
        if type(days) is not int or not 0 <= days <= MAX_DAYS:
            raise AppPasswordRefused(f"expected 1 to {MAX_DAYS} days")
        return Wanted(label.strip(), protocols, networks, days)

    def _tell(self, kind: str, account: Account, kept: AppPassword, actor: str) -> None:
        fields: dict[str, FieldValue] = {
            "login": account.login,
            "account_id": account.account_id,
            "number": kept.number,
            "label": kept.label,
        }
        self.log.info(
            "{kind} by {actor}: {number} of {login}, {label}",
            kind=kind,
            actor=actor,
            number=kept.number,
            login=called(account),
            label=escaped(kept.label),
        )
        at = self._wall_clock()
        keys = tuple(
            search_key(each)
            for each in (account.login, account.primary_address, account.account_id)
            if each
        )
        trace_id = f"app-password-{kept.number}-{at:.6f}"  # a record of its own: no message's
        self._trace.note(TraceRecord(trace_id, at, kind, keys, {"by": actor, **fields}))


def called(account: Account) -> str:
    """For texts: people who are gone have an id only."""
    return account.login or f"id:{account.account_id}"


def _texts(arguments: Arguments, name: str) -> tuple[str, ...]:
    """Each once. Raises: AppPasswordRefused."""
    values = arguments.get(name, [])
    if not isinstance(values, list) or not all(isinstance(each, str) for each in values):
        raise AppPasswordRefused(f'expected "{name}": a list of texts')
    return tuple(dict.fromkeys(values))


def _row(kept: AppPassword, now: float) -> Answer:
    """Never with the hash or the verifier."""
    return {
        "number": kept.number,
        "label": kept.label,
        "begins_with": kept.handle,
        "protocols": list(kept.protocols),
        "networks": list(kept.networks),
        "made_by": kept.made_by,
        "made_at": kept.made_at,
        "expires_at": kept.expires_at or None,
        "expired": kept.has_expired(now),
        "used_at": kept.used_at or None,
        "used_from": kept.used_from,
        "used_protocol": kept.used_protocol,
    }
