"""Tells people that their mailbox is nearly full, once each time it comes to that.

Owns the step from the store's word to the message in INBOX and the line in the log. The store says
it once; the message itself may exceed the quota and causes no other. Words are in
``wire.quota_warning``. A warning that cannot be stored is only logged: mail goes on as it does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger

from gateway.core.errors import GatewayError
from gateway.core.ids import AccountId
from gateway.core.log_text import escaped
from gateway.core.ports.clock import WallClock
from gateway.core.ports.store import Intake, QuotaStore
from gateway.core.quota import Usage
from gateway.policy.notices import put_into_inbox
from gateway.wire.quota_warning import QuotaWarning, render, size


class Addresses(Protocol):
    """Who knows people's addresses; kept by ``policy.quota``."""

    def address_of(self, account_id: AccountId) -> str: ...


class QuotaWarner:
    """Watches the store and warns.

    Args:
        new_id: ids for messages, never the same again.
    """

    log = Logger()

    def __init__(
        self,
        quota: QuotaStore,
        intake: Intake,
        addresses: Addresses,
        *,
        hostname: str,
        new_id: Callable[[], str],
        wall_clock: WallClock,
    ) -> None:
        self._quota = quota
        self._intake = intake
        self._addresses = addresses
        self._hostname = hostname
        self._new_id = new_id
        self._wall_clock = wall_clock

    def start(self) -> Callable[[], None]:
        """Begin to watch; returns the stop."""
        return self._quota.watch_filling(self._filling)

    def _filling(self, account_id: AccountId, usage: Usage) -> None:
        address = self._addresses.address_of(account_id)
        self.log.warn(
            "the mailboxes of {id} ({address}) are {percent} percent full: {octets}, {messages}"
            " messages",
            id=account_id,
            address=escaped(address) or "address not known",
            percent=usage.percent,
            octets=f"{size(usage.octets)} of {_bound(size, usage.quota.octets)}",
            messages=f"{usage.messages} of {_bound(str, usage.quota.messages)}",
        )
        warned = Deferred.fromCoroutine(self._warn(account_id, address, usage))
        warned.addErrback(
            lambda failure: self.log.failure("warning {id} failed", failure, id=account_id)
        )

    async def _warn(self, account_id: AccountId, address: str, usage: Usage) -> None:
        now = int(self._wall_clock())
        warning_id = f"quota-{self._new_id()}"
        try:
            warning = QuotaWarning(warning_id, self._hostname, address, usage, now)
            await put_into_inbox(self._intake, warning_id, account_id, render(warning), now)
        except (GatewayError, CancelledError) as error:
            self.log.warn("{id} could not be warned: {error}", id=account_id, error=error)


def _bound(render: Callable[[int], str], bound: int) -> str:
    return render(bound) if bound else "any number"
