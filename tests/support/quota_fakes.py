"""A store of quotas in memory: what it was told, what it was asked, and what it answers."""

from __future__ import annotations

from collections.abc import Callable

from gateway.core.errors import StoreUnavailable
from gateway.core.ids import AccountId
from gateway.core.quota import Quota, Usage


class FakeQuotaStore:
    """Keeps the port QuotaStore; ``kept`` is set by tests."""

    def __init__(self) -> None:
        self.quotas: dict[AccountId, Quota] = {}
        self.kept: dict[AccountId, tuple[int, int]] = {}
        self.asked: list[AccountId] = []
        self.fails: StoreUnavailable | None = None
        self.watchers: list[Callable[[AccountId, Usage], None]] = []

    async def set_quota(self, account_id: AccountId, quota: Quota) -> None:
        if self.fails is not None:
            raise self.fails
        self.quotas[account_id] = quota

    async def usage(self, account_id: AccountId) -> Usage:
        self.asked.append(account_id)
        if self.fails is not None:
            raise self.fails
        octets, messages = self.kept.get(account_id, (0, 0))
        return Usage(octets, messages, self.quotas.get(account_id, Quota()))

    def watch_filling(self, callback: Callable[[AccountId, Usage], None]) -> Callable[[], None]:
        self.watchers.append(callback)
        return lambda: self.watchers.remove(callback)
