"""Where administrators look at suppressed addresses, add some and lift some, in JSON's shapes.

Owns the calls and that each deed is logged and traced with who did it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from twisted.logger import Logger

from gateway.core.address import Address
from gateway.core.log_text import escaped
from gateway.core.ports.clock import WallClock
from gateway.core.suppression import Suppression
from gateway.core.trace import FieldValue
from gateway.queue.desk_forms import Answer, Arguments, CallRefused, argument, limit_in
from gateway.queue.journal import Journal
from gateway.queue.suppression import Suppressions
from gateway.wire.address import AddressSyntax, parse_mailbox

MAX_PAGE = 1000
MAX_ADDRESSES = 500
MAX_REASON = 200


class SuppressionDesk:
    """Answers calls.

    Args:
        fresh: makes sure that what is in memory is what is kept.
    """

    CALLS = frozenset({"suppressed", "suppress", "unsuppress"})
    log = Logger()

    def __init__(
        self,
        suppressions: Suppressions,
        journal: Journal,
        wall_clock: WallClock,
        fresh: Callable[[], Awaitable[None]],
    ) -> None:
        self._suppressions = suppressions
        self._journal = journal
        self._wall_clock = wall_clock
        self._fresh = fresh

    async def call(self, name: str, arguments: Arguments, actor: str) -> Answer:
        """Raises: CallRefused, StoreUnavailable."""
        await self._fresh()
        if name == "suppressed":
            return self._listed(arguments)
        addresses = _addresses(arguments)
        done: list[str] = []
        refused: list[Answer] = []
        for address in addresses:
            if name == "suppress":
                why = await self._add(address, arguments, actor)
            else:
                why = await self._remove(address, actor)
            if why:
                refused.append({"address": str(address), "why": why})
            else:
                done.append(address.key)
        return {"done": done, "refused": refused}

    def _listed(self, arguments: Arguments) -> Answer:
        """In the order of addresses; ``all`` counts those that are not suppressed yet as well."""
        limit = limit_in(arguments, 100, MAX_PAGE)
        after = argument(arguments, "after", str, "")
        which = argument(arguments, "which", str, "").casefold()
        everything = argument(arguments, "all", bool, False)
        now = int(self._wall_clock())
        fitting = [
            each
            for each in self._suppressions.listed()
            if each.address > after
            and which in each.address
            and (everything or self._suppressions.is_active(each, now))
        ]
        page = fitting[:limit]
        more = page[-1].address if len(fitting) > len(page) else ""
        return {"addresses": [self._row(each, now) for each in page], "more_after": more}

    def _row(self, row: Suppression, now: int) -> Answer:
        active = self._suppressions.is_active(row, now)
        return {
            "address": row.address,
            "suppressed": active,
            "suppressed_at": row.suppressed_at or None,
            "ends_at": self._suppressions.ends_at(row) if active else None,
            "failures": row.failures,
            "first_at": row.first_at or None,
            "last_at": row.last_at or None,
            "status": row.status,
            "reply": row.reply,
            "remote": row.remote,
            "made_by": row.made_by,
            "reason": row.reason,
            "turned_away": row.turned_away,
        }

    async def _add(self, address: Address, arguments: Arguments, actor: str) -> str:
        reason = argument(arguments, "reason", str, "")[:MAX_REASON]
        row = await self._suppressions.add(address, reason, actor)
        if row is None:
            return "too many addresses are suppressed; remove some"
        self._tell("suppressed", row, actor, reason)
        return ""

    async def _remove(self, address: Address, actor: str) -> str:
        row = await self._suppressions.remove(address)
        if row is None:
            return "it is not suppressed"
        self._tell("suppression ended", row, actor, "")
        return ""

    def _tell(self, kind: str, row: Suppression, actor: str, reason: str) -> None:
        self.log.info(
            "{address} {kind} by {actor}: {reason}",
            address=escaped(row.address),
            kind=kind,
            actor=actor,
            reason=escaped(reason),
        )
        fields: dict[str, FieldValue] = {"address": row.address}
        if reason:
            fields["reason"] = reason
        self._journal.changed(kind, actor, row.address, fields)


def _addresses(arguments: Arguments) -> list[Address]:
    """Raises: CallRefused."""
    texts = arguments.get("addresses")
    if not isinstance(texts, list) or not all(isinstance(each, str) for each in texts):
        raise CallRefused("addresses: expected a list of addresses")
    if not 0 < len(texts) <= MAX_ADDRESSES:
        raise CallRefused(f"addresses: found {len(texts)}; expected 1 to {MAX_ADDRESSES}")
    return addresses_of(texts)


def addresses_of(texts: Sequence[str]) -> list[Address]:
    """Addresses as people write them and lists show them. Raises: CallRefused."""
    found = []
    for text in texts:
        try:
            found.append(parse_mailbox(text.strip().removeprefix("<").removesuffix(">")))
        except AddressSyntax:
            shown = escaped(text, 60)
            raise CallRefused(f"addresses: found {shown}; expected an address") from None
    return found
