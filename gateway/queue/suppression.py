"""Addresses elsewhere that are written to no more for a while, refused again and again.

Owns the counting: what refusal counts, when an address is suppressed, and when it is tried again.
Visible and reversible by ``suppression_desk``; a delivery forgets all that was counted. Only what a
server itself says of the mailbox counts: not what it says of the message, of us or of its own
state, and not what DNS says, as asking that again harms nobody. All is kept in memory, and in the
store soon after; what a crash forgets is counted again.

Limits: MAX_ROWS addresses; where there are more, those counted longest ago are forgotten.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from email.utils import formatdate
from heapq import nsmallest

from twisted.internet.defer import Deferred, DeferredLock
from twisted.logger import Logger

from gateway.core.address import Address
from gateway.core.errors import GatewayError
from gateway.core.log_text import escaped
from gateway.core.ports.clock import WallClock
from gateway.core.ports.queue_lists import SuppressionStore
from gateway.core.queue import Outcome, QueueItem, Verdict
from gateway.core.suppression import Suppression
from gateway.queue.journal import Journal

MAX_ROWS = 50_000
MAX_REPLY = 200
KEPT_S = 90 * 86_400
"""What was counted is forgotten when nothing was heard for so long."""

# RFC 3463 section 3.2 and 3.3, RFC 7505: no such mailbox, domain or account; mailbox closed.
HARD = frozenset({"5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10", "5.2.1"})
BY_HAND_STATUS = "5.1.0"


@dataclass(frozen=True, slots=True)
class SuppressionRules:
    """Args:
    after: refusals of different messages in a row; 0: nothing is counted.
    over_s: the first and the last of them lie at least so far apart.
    for_s: after this one more message is tried.
    """

    after: int = 5
    over_s: int = 2 * 86_400
    for_s: int = 7 * 86_400


class Suppressions:
    """What is known, in the process that runs the queue. The reactor's thread."""

    log = Logger()

    def __init__(
        self,
        store: SuppressionStore,
        rules: SuppressionRules,
        journal: Journal,
        wall_clock: WallClock,
        *,
        max_rows: int = MAX_ROWS,
    ) -> None:
        self._store = store
        self._rules = rules
        self._journal = journal
        self._wall_clock = wall_clock
        self._max_rows = max_rows
        self._rows: dict[str, Suppression] = {}
        self._unwritten: set[str] = set()
        self._lock = DeferredLock()

    async def load(self) -> None:
        """What is kept, with what is about to be. Raises: StoreUnavailable."""
        await self._lock.acquire()
        try:
            now = int(self._wall_clock())
            rows = {each.address: _not_ahead(each, now) for each in await self._store.all()}
            for key in self._unwritten:
                rows.pop(key, None)
                if key in self._rows:
                    rows[key] = self._rows[key]
            self._rows = rows
        finally:
            self._lock.release()
        self._forget([key for key, each in self._rows.items() if self._is_old(each, now)])

    # -- before and after attempts

    def judge(self, item: QueueItem) -> Sequence[Outcome]:
        """The end of those of its recipients who are not written to now."""
        if not self._rows:
            return ()
        now = int(self._wall_clock())
        outcomes = []
        for recipient in item.recipients:
            known = self._rows.get(recipient.address.key)
            if known is None or not self.is_active(known, now):
                continue
            if recipient.next_hop and not known.made_by:
                continue  # as ``_address_of``
            self._put(replace(known, turned_away=known.turned_away + 1))
            status = known.status if known.status in HARD else BY_HAND_STATUS
            outcomes.append(Outcome(recipient.number, Verdict.FAILED, status, words_of(known)))
        return outcomes

    def learn(self, item: QueueItem, outcomes: Sequence[Outcome]) -> None:
        """How an attempt at another server ended."""
        counts = self._rules.after > 0
        for outcome in outcomes:
            if not outcome.remote:
                continue
            if outcome.verdict is Verdict.FAILED:
                if counts and outcome.status in HARD:
                    self._refused(item, _address_of(item, outcome.number), outcome)
            elif self._rows and outcome.verdict is Verdict.DELIVERED:
                self._delivered(item, _address_of(item, outcome.number))

    def _refused(self, item: QueueItem, address: Address | None, outcome: Outcome) -> None:
        if address is None:
            return
        now = int(self._wall_clock())
        known = self._rows.get(address.key)
        if known is None or self._is_old(known, now):
            known = Suppression(address.key, first_at=now)
        if known.made_by:
            return  # it was put there by hand during the attempt
        counted = replace(
            known,
            failures=known.failures + 1,
            first_at=min(known.first_at, now),
            last_at=now,
            status=outcome.status,
            reply=outcome.reply[:MAX_REPLY],
            remote=outcome.remote,
        )
        rules = self._rules
        if counted.failures >= rules.after and now - counted.first_at >= rules.over_s:
            counted = replace(counted, suppressed_at=now)
            self._tell(item, address, counted)
        self._put(counted)

    def _delivered(self, item: QueueItem, address: Address | None) -> None:
        known = self._rows.get(address.key) if address is not None else None
        if known is None or known.made_by:
            return
        self._forget([known.address])
        if known.suppressed_at:
            self.log.info(
                "{address} takes mail again and is suppressed no more",
                address=escaped(known.address),
            )
            self._journal.handled(item, "suppression ended", "a delivery", address=known.address)

    def _tell(self, item: QueueItem, address: Address, row: Suppression) -> None:
        self.log.warn(
            "{address} is written to no more until {until}, as {failures} messages in a row were"
            " refused: {reply}",
            address=escaped(address),
            until=formatdate(row.suppressed_at + self._rules.for_s),
            failures=row.failures,
            reply=escaped(row.reply),
        )
        self._journal.handled(
            item, "suppressed", "repeated refusals", address=row.address, failures=row.failures
        )

    # -- by hand

    def is_active(self, row: Suppression, now: int) -> bool:
        """Nothing is sent to it now. What was put there by hand ends by hand."""
        if not row.suppressed_at:
            return False
        return bool(row.made_by) or now - row.suppressed_at < self._rules.for_s

    def ends_at(self, row: Suppression) -> int | None:
        """When the next message is tried; None: when it is removed."""
        return None if row.made_by else row.suppressed_at + self._rules.for_s

    def listed(self) -> Sequence[Suppression]:
        """All, in the order of their addresses."""
        return [self._rows[key] for key in sorted(self._rows)]

    def find(self, address: Address) -> Suppression | None:
        return self._rows.get(address.key)

    async def add(self, address: Address, reason: str, actor: str) -> Suppression | None:
        """Suppressed from now on, and kept when this returns; None: there are too many.

        Raises: StoreUnavailable.
        """
        now = int(self._wall_clock())
        known = self._rows.get(address.key) or Suppression(address.key)
        row = replace(known, suppressed_at=now, made_by=actor, reason=reason)
        if not self._put(row):
            return None
        await self.written()
        return row

    async def remove(self, address: Address) -> Suppression | None:
        """Written to again from now on; what was known of it. Raises: StoreUnavailable."""
        known = self._rows.get(address.key)
        if known is not None:
            self._forget([known.address])
            await self.written()
        return known

    # -- keeping

    def _put(self, row: Suppression) -> bool:
        if row.address not in self._rows and len(self._rows) >= self._max_rows:
            self._make_room()
            if len(self._rows) >= self._max_rows:
                self.log.warn("no more addresses can be suppressed: {most}", most=self._max_rows)
                return False
        self._rows[row.address] = row
        self._changed([row.address])
        return True

    def _make_room(self) -> None:
        counted = [each for each in self._rows.values() if not each.suppressed_at]
        oldest = nsmallest(max(1, self._max_rows // 10), counted, key=lambda each: each.last_at)
        self._forget([each.address for each in oldest])

    def _is_old(self, row: Suppression, now: int) -> bool:
        last = max(row.last_at, row.suppressed_at + self._rules.for_s)
        return not row.made_by and now - last > KEPT_S

    def _forget(self, addresses: Sequence[str]) -> None:
        for address in addresses:
            self._rows.pop(address, None)
        self._changed(addresses)

    def _changed(self, addresses: Sequence[str]) -> None:
        self._unwritten.update(addresses)
        if self._unwritten and not self._lock.locked:
            Deferred.fromCoroutine(self._write())

    async def _write(self) -> None:
        try:
            await self.written()
        except GatewayError as error:
            # With the next change; what is lost by a crash till then is counted again.
            self.log.warn("suppressed addresses are not kept yet: {why}", why=error)
        except Exception:
            self.log.failure("suppressed addresses are not kept yet")

    async def written(self) -> None:
        """All that is known is kept. Raises: StoreUnavailable."""
        await self._lock.acquire()
        try:
            while self._unwritten:
                keys, self._unwritten = self._unwritten, set()
                changed = [self._rows[key] for key in keys if key in self._rows]
                try:
                    await self._store.keep(changed, [key for key in keys if key not in self._rows])
                except BaseException:
                    self._unwritten |= keys
                    raise
        finally:
            self._lock.release()


def words_of(row: Suppression) -> str:
    """Why nothing is sent to it, for the sender and whoever is asked about it."""
    since = formatdate(row.suppressed_at)[5:16]
    lift = "; the postmaster of this server can lift that"
    if row.made_by:
        why = f": {row.reason}" if row.reason else ""
        return f"not sent, as the administrator stopped mail for it on {since}{why}{lift}"
    said = f"{row.remote} last answered: {row.reply}" if row.reply else "nobody said why"
    return (
        f"not sent, as this server writes to it no more since {since}, when {row.failures}"
        f" messages in a row had been refused; {said}{lift}"
    )


def _address_of(item: QueueItem, number: int) -> Address | None:
    """None where routing or an administrator has named the server: it is one of ours, so nobody
    there takes us for a spammer, and what it gets wrong is not held against people."""
    for each in item.recipients:
        if each.number == number and not each.next_hop:
            return each.address
    return None


def _not_ahead(row: Suppression, now: int) -> Suppression:
    """A clock that was set back makes nothing last longer (SECURITY D7)."""
    return replace(
        row,
        first_at=min(row.first_at, now),
        last_at=min(row.last_at, now),
        suppressed_at=min(row.suppressed_at, now),
    )
