"""A store, a directory in memory that can be away, a clock, and what follows people over them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from twisted.internet.defer import Deferred

from gateway.core.account import Account
from gateway.core.address import Address
from gateway.core.errors import DirectoryUnavailable
from gateway.core.ids import AccountId
from gateway.core.ports.people import PersonChange
from gateway.core.ports.people_notes import FormerAddress, PersonNote
from gateway.people.desk import LeaversDesk
from gateway.people.following import Compared, PeopleFollower
from gateway.people.mail import LeaverMail, LeaverPolicy
from gateway.people.removal import Remover
from gateway.routing.domains import Domain, DomainRouter
from tests.store.house import NOW, House
from tests.support.people import People
from tests.support.trace_fakes import FakeTrace

DAY_S = 86_400


def someone(name: str, *others: str, enabled: bool = True, id_: str = "") -> Account:
    """With an id of their own, whatever they are called."""
    addresses = tuple(f"{each}@example.test" for each in (name, *others))
    return Account(AccountId(id_ or f"id-{name}"), name, addresses[0], addresses, enabled=enabled)


ALICE, BOB = someone("alice", "al"), someone("bob")


class Folk(People):
    """People by address and by id."""

    def __init__(self, *accounts: Account) -> None:
        super().__init__()
        self.by_id: dict[AccountId, Account] = {}
        self.asked: list[AccountId] = []
        self.gate: Deferred[None] | None = None
        for each in accounts:
            self.put(each)

    def put(self, account: Account) -> None:
        """As they are from now on."""
        self.drop(account.account_id)
        self.by_id[account.account_id] = account
        self.add(account)

    def drop(self, account_id: AccountId) -> None:
        if self.by_id.pop(account_id, None) is None:
            return
        left = {key: one for key, one in self.accounts.items() if one.account_id != account_id}
        self.accounts = left

    async def find_by_id(self, account_id: AccountId) -> Account | None:
        self.asked.append(account_id)
        if self.gate is not None:
            await self.gate
        if self.broken:
            raise DirectoryUnavailable(reason="away")
        return self.by_id.get(account_id)


class World:
    """Args: keep_days: of former addresses."""

    def __init__(
        self,
        folder: Path,
        *accounts: Account,
        keep_days: int = 365,
        policy: LeaverPolicy | None = None,
    ) -> None:
        self.house = House(folder, keep_deleted_s=14 * DAY_S)
        self.folk = Folk(*accounts)
        self.notes = self.house.store.people.notes
        self.listed = 0
        self.trace = FakeTrace()
        self.follower = PeopleFollower(
            self.notes,
            self.folk,
            keep_s=keep_days * DAY_S,
            mass_change_percent=20,
            wall_clock=lambda: self.house.now,
            pause=self._pause,
            on_listed=self._soon,
        )
        policy = policy or LeaverPolicy(keep_s=keep_days * DAY_S)
        self.mail = LeaverMail(policy, self.notes, self.folk, lambda: self.house.now)
        self.router = DomainRouter({"example.test": Domain("example.test")}, self.folk)
        self.router.ask_about_leavers(self.mail)
        remover = Remover(self.notes, self.house.store, self.folk, lambda: self.house.now)
        self.desk = LeaversDesk(
            self.follower, self.notes, remover, self.trace, lambda: self.house.now
        )
        self.wait = self.house.wait

    def __enter__(self) -> World:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.wait(self.house.store.close())

    async def _pause(self) -> None:
        pass

    def _soon(self) -> None:
        self.listed += 1

    # -- what happens

    def move_in(self, *accounts: Account) -> None:
        """They have a mailbox with a message."""
        for each in accounts:
            self.house.deliver(f"first of {each.account_id}", each.account_id)

    def tell(self, before: Account | None, after: Account | None) -> None:
        """The directory has changed, and the refresher tells."""
        if after is not None:
            self.folk.put(after)
        elif before is not None:
            self.folk.drop(before.account_id)
        self.wait(self.follower.changed([PersonChange("", before, after)]))

    def compare(self, *, dry_run: bool = False, accept: bool = False) -> Compared:
        return self.wait(self.follower.compare(dry_run=dry_run, accept=accept))

    # -- what is known

    def note(self, account: Account) -> PersonNote | None:
        known = self.wait(self.notes.known((account.account_id,)))
        return known.notes.get(account.account_id)

    def former(self, account: Account) -> list[tuple[str, int]]:
        found = self.wait(self.notes.former_of((account.account_id,)))
        return [(each.address, each.since) for each in found.get(account.account_id, ())]

    def formers(self, addresses: Sequence[str]) -> dict[str, FormerAddress]:
        return dict(self.wait(self.notes.known((), addresses)).former)

    def later(self, days: float) -> None:
        self.house.now += days * DAY_S


def at(name: str) -> Address:
    return Address(name, "example.test")


__all__ = ["ALICE", "BOB", "DAY_S", "NOW", "Folk", "World", "at", "someone"]
