"""Alice and bob, and mailboxes that are shared with them as a test says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from twisted.cred.portal import Portal
from twisted.internet.defer import Deferred

from gateway.core.account import Account
from gateway.core.errors import GatewayError
from gateway.core.ids import AccountId
from gateway.core.ports.store import QuotaStore
from gateway.core.shared_mailboxes import Rights, SharedMailbox
from tests.support.imap_client import Bench, CountingRealm
from tests.support.plain_checker import DirectoryChecker

INFO = AccountId("group=info")


class Shares:
    """Implements ``core.ports.sharing.SharesMailboxes``; counts what it is asked."""

    def __init__(self) -> None:
        self.rights: dict[tuple[str, str], Rights] = {}
        self.trouble: GatewayError | None = None
        self.asked = 0

    async def find(self, account_id: AccountId, name: str) -> SharedMailbox | None:
        self._ask()
        rights = self.rights.get((account_id, name))
        return _mailbox(name, rights) if rights else None

    async def shared_with(self, account_id: AccountId) -> Sequence[SharedMailbox]:
        self._ask()
        return [
            _mailbox(name, rights)
            for (who, name), rights in sorted(self.rights.items())
            if who == account_id and rights
        ]

    def _ask(self) -> None:
        self.asked += 1
        if self.trouble is not None:
            raise self.trouble


def _mailbox(name: str, rights: Rights) -> SharedMailbox:
    address = f"{name}@example.test"
    account = Account(AccountId(f"group={name}"), address, address, (address,))
    return SharedMailbox(account, name, rights)


class SharedBench(Bench):
    """A bench on which group=info has a mailbox with a subfolder, Done."""

    def __init__(self, **rights: Rights) -> None:
        super().__init__()
        self.shares = Shares()
        for who, granted in rights.items():
            self.shares.rights[who, "info"] = granted
        self.realm = CountingRealm(self.store, shares=self.shares)
        realm: Any = self.realm
        checker: Any = DirectoryChecker(self.people)
        self.services = replace(self.services, portal=Portal(realm, [checker]))
        Deferred.fromCoroutine(self.store.ensure_account(INFO))
        Deferred.fromCoroutine(self.store.create_mailbox(INFO, "Done"))

    def grant(self, rights: Rights, who: str = "alice") -> None:
        self.shares.rights[who, "info"] = rights

    def mail(self, count: int = 1, name: str = "INBOX") -> None:
        self.deliver(count, account_id=INFO, name=name)

    def use_quota(self, store: QuotaStore) -> None:
        self.services = replace(self.services, quota=store)
