"""A directory, its picture and whoever follows people, all in memory and under a virtual clock."""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from gateway.core.account import Account
from gateway.core.errors import StoreUnavailable
from gateway.core.ports.people import PersonChange
from gateway.core.ports.picture import EntryKind, SourceState
from gateway.directory.picture.briefs import Depiction
from gateway.directory.picture.cursor import Cursor
from gateway.directory.picture.refresh import Refresher
from gateway.directory.picture.round import Memory, Round
from gateway.directory.picture.source import Source
from gateway.directory.picture.strategies.stamps import ServerTime
from gateway.directory.presets.openldap import OPENLDAP
from gateway.directory.schema import Schema
from tests.support.ldap_fakes import BASE, FakeAsks, FakeServer
from tests.support.picture_memory import MemoryPicture

T = TypeVar("T")
NOW = 1_800_000_000.0


class Followers:
    """Implements PeopleChanged; ``refuses`` so many calls."""

    def __init__(self) -> None:
        self.told: list[PersonChange] = []
        self.listings: list[str] = []
        self.refuses = 0

    async def changed(self, changes: Sequence[PersonChange]) -> None:
        if self.refuses:
            self.refuses -= 1
            raise StoreUnavailable
        self.told += changes

    async def listed(self, source: str) -> None:
        self.listings.append(source)

    def take(self) -> list[PersonChange]:
        told, self.told = self.told, []
        return told


class World:
    """Args: offers: what the server offers, as ``FakeServer`` has them."""

    def __init__(self, *offers: str, schema: Schema = OPENLDAP, people: int = 0) -> None:
        self.clock = Clock()
        self.jumped_s = 0
        self.server = FakeServer(offers=set(offers), seconds=self.clock.seconds)
        self.asks = FakeAsks(self.server)
        self.picture = MemoryPicture()
        self.followers = Followers()
        self.memory = Memory(ServerTime(self.clock))
        self.source = Source("", BASE, schema, Depiction("", schema))
        for number in range(people):
            self.server.add(f"p{number:03}")

    def wall(self) -> float:
        return NOW + self.jumped_s + self.clock.seconds()

    def change_source(self, **changes: Any) -> None:
        schema = changes.get("schema", self.source.schema)
        self.source = replace(self.source, **changes, depicts=Depiction("", schema))

    def run(self, coroutine: Coroutine[Deferred[Any], Any, T]) -> T:
        """To the end, without time passing."""
        outcome: list[T | Failure] = []
        Deferred.fromCoroutine(coroutine).addBoth(outcome.append)
        for _ in range(100_000):
            if outcome:
                break
            self.clock.advance(0)
        (result,) = outcome
        if isinstance(result, Failure):
            result.raiseException()
        return result

    def refresh(self, *, accepted: bool = False) -> list[str]:
        """Refresh once; returns the bases and filters that the server was asked for."""
        before = len(self.server.requests)
        self.run(self._once(accepted))
        return [str(each.wanted) for each in self.server.requests[before:]]

    async def _once(self, accepted: bool) -> None:
        listening = await self.asks.listening()
        try:
            await Round(
                self.source,
                self.picture,
                self.followers,
                listening,
                self.memory,
                timers=self.clock,
                wall_clock=self.wall,
            ).run(accepted=accepted)
        finally:
            await listening.close()

    def refresher(self, refresh_s: float = 30.0) -> Refresher:
        return Refresher(
            self.source,
            self.asks,
            self.picture,
            self.followers,
            refresh_s=refresh_s,
            timers=self.clock,
            wall_clock=self.wall,
            random=lambda: 0.5,
        )

    def rest(self) -> None:
        """Let everything happen that needs no time."""
        for _ in range(1_000):
            self.clock.advance(0)

    def restart(self) -> None:
        """Another process goes on with the same picture."""
        self.memory = Memory(ServerTime(self.clock))

    # -- looking

    @property
    def state(self) -> SourceState:
        return self.picture.state("")

    @property
    def cursor(self) -> Cursor:
        cursor = Cursor.parse(self.state.cursor)
        assert cursor is not None
        return cursor

    def people(self) -> dict[str, Account]:
        """By login."""
        accounts = [
            self.source.depicts.account(each)
            for each in self.picture.entries.values()
            if each.kind is EntryKind.PERSON
        ]
        return {each.login: each for each in accounts}


def asked_for_everybody(asked: Sequence[str], world: World) -> bool:
    """Whether a listing was among these filters."""
    return str(world.source.everybody) in asked
