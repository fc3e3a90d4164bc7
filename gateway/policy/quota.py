"""How much each person may keep, and whether there is room for a message at the door.

Owns the bounds that are in force (the directory's word, else the settings' default), telling the
store of them whenever a person is resolved, and the verdict at RCPT and after DATA. The store alone
is exact, as other mail may come between the verdict and the message. Never replies.

People without bounds cost nothing: the store is asked about nobody else. A store in trouble refuses
nobody here; it will say so itself when the message comes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from twisted.logger import Logger

from gateway.core.account import Account
from gateway.core.errors import OverQuota, StoreUnavailable
from gateway.core.ids import AccountId
from gateway.core.ports.store import QuotaStore
from gateway.core.quota import Quota

NO_BOUNDS = Quota()
MOST_COMPLAINTS = 10_000
TRACE_OCTETS = 1024
"""More than is put on top of a message that comes in by SMTP (RFC 5321 section 4.4)."""


class QuotaPolicy:
    """The guard of full mailboxes.

    Args:
        default: bounds of people about whom the directory says nothing.
        check: ``rcpt``: who had room at RCPT gets the message whatever its size; ``data``: looked
            at again when all of it is there, and then exactly.
        rejects: a full mailbox is a permanent refusal, not "later".
    """

    log = Logger()

    def __init__(
        self,
        store: QuotaStore,
        *,
        default: Quota = NO_BOUNDS,
        check: Literal["rcpt", "data"] = "rcpt",
        rejects: bool = False,
    ) -> None:
        self._store = store
        self._default = default
        self._promises = check == "rcpt"
        self.rejects = rejects
        self._addresses: dict[AccountId, str] = {}
        self._complaints: set[tuple[AccountId, str]] = set()

    @property
    def store(self) -> QuotaStore:
        """Where usage is kept."""
        return self._store

    def rehearsed(self, store: QuotaStore) -> QuotaPolicy:
        """The same rules over another store, so that nobody's bounds are changed."""
        check: Literal["rcpt", "data"] = "rcpt" if self._promises else "data"
        return QuotaPolicy(store, default=self._default, check=check, rejects=self.rejects)

    @property
    def promises(self) -> bool:
        """Whether a recipient accepted at RCPT gets the message even if it overshoots."""
        return self._promises

    def address_of(self, account_id: AccountId) -> str:
        """Of somebody with bounds, if they were resolved here; otherwise empty."""
        return self._addresses.get(account_id, "")

    async def learn(self, account: Account) -> None:
        """A person was resolved: the store hears what they may keep, if it has changed."""
        allowance = account.allowance
        if allowance.unreadable:
            self._complain(account)
        quota = allowance.or_else(self._default)
        if quota.is_bounded:
            self._addresses[account.account_id] = account.primary_address
        else:
            self._addresses.pop(account.account_id, None)
        try:
            await self._store.set_quota(account.account_id, quota)
        except StoreUnavailable as error:
            self.log.warn(
                "the quota of {id} could not be kept: {error}", id=account.account_id, error=error
            )

    async def admit(self, account: Account, announced_octets: int) -> None:
        """Whether this recipient has room for a message, whose size may be unknown (0).

        Raises: OverQuota.
        """
        await self.learn(account)
        octets = max(announced_octets, 1)
        if announced_octets and not self._promises:
            # Else a message that fits but for these would pass here, and be refused after DATA for
            # all its recipients, each time that its sender comes again.
            octets += TRACE_OCTETS
        await self._look((account.account_id,), octets)

    async def admit_message(self, accounts: Sequence[AccountId], octets: int) -> None:
        """Whether all recipients have room for a message that is there, unless promised already.

        Raises: OverQuota.
        """
        if not self._promises:
            await self._look(accounts, octets)

    async def _look(self, accounts: Sequence[AccountId], octets: int) -> None:
        bounded = [account_id for account_id in accounts if account_id in self._addresses]
        over = [each for each in bounded if not await self._has_room(each, octets)]
        if over:
            raise OverQuota(over)

    async def _has_room(self, account_id: AccountId, octets: int) -> bool:
        try:
            return (await self._store.usage(account_id)).has_room_for(octets)
        except StoreUnavailable:
            return True

    def _complain(self, account: Account) -> None:
        complaint = (account.account_id, account.allowance.unreadable)
        if complaint in self._complaints:
            return
        if len(self._complaints) >= MOST_COMPLAINTS:
            self._complaints.clear()
        self._complaints.add(complaint)
        self.log.warn(
            "the directory says {value} of how much {login} may keep, which is no quota such as"
            " 5368709120, 5G or 5000000000S,9000C; the default holds",
            value=account.allowance.unreadable,
            login=account.login,
        )
