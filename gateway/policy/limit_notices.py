"""Tells people once a day that mail of theirs waits, as they have sent very much.

Owns the step from a hold to the message in INBOX. The store takes each notice's id once, and the id
is the person's and the day's, so it is one a day whatever number of processes and restarts. Words
are in ``wire.limit_notice``. A notice that cannot be stored is only logged: mail goes on as it
does.

Limits: MOST_TOLD people of a day are remembered so that the store is not asked again for each.
"""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger

from gateway.core.account import Account
from gateway.core.envelope import Hold
from gateway.core.errors import GatewayError
from gateway.core.ids import AccountId
from gateway.core.ports.clock import WallClock
from gateway.core.ports.store import Intake
from gateway.policy.notices import put_into_inbox
from gateway.wire.limit_notice import LimitNotice, render

DAY_S = 86_400
MOST_TOLD = 10_000


class LimitNotices:
    """Writes to people whose mail is held.

    Args:
        ask: an address that people can turn to; empty: their administrator.
    """

    log = Logger()

    def __init__(self, intake: Intake, *, hostname: str, ask: str, wall_clock: WallClock) -> None:
        self._intake = intake
        self._hostname = hostname
        self._ask = ask
        self._wall_clock = wall_clock
        self._told: set[AccountId] = set()
        self._day = 0

    def tell(self, account: Account, hold: Hold) -> None:
        """Write to them, unless they know. Nobody waits for it."""
        now = int(self._wall_clock())
        day = now // DAY_S
        if day != self._day or len(self._told) >= MOST_TOLD:
            self._day = day
            self._told.clear()
        if account.account_id in self._told or hold.until is None:
            return
        self._told.add(account.account_id)
        told = Deferred.fromCoroutine(self._tell(account, hold, hold.until, now))
        told.addErrback(
            lambda failure: self.log.failure("telling {id} failed", failure, id=account.account_id)
        )

    async def _tell(self, account: Account, hold: Hold, until: int, now: int) -> None:
        notice_id = f"limit-{now // DAY_S}-{account.account_id}"
        try:
            notice = LimitNotice(
                notice_id,
                self._hostname,
                account.primary_address,
                hold.reason.removeprefix("limit: "),
                self._ask,
                now,
                until,
            )
            await put_into_inbox(self._intake, notice_id, account.account_id, render(notice), now)
        except (GatewayError, CancelledError) as error:
            self._told.discard(account.account_id)
            self.log.warn(
                "{id} could not be told that their mail waits: {error}",
                id=account.account_id,
                error=error,
            )
