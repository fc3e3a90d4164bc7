"""A picture in a file, refreshed from a real server over real sockets."""

from __future__ import annotations

import time
from collections.abc import Coroutine, Sequence
from pathlib import Path
from random import Random
from typing import Any, TypeVar

from twisted.internet.defer import Deferred

from gateway.core.account import Account
from gateway.core.ports.people import PersonChange
from gateway.core.ports.picture import EntryKind, SourceState
from gateway.directory.ldap.building import make_servers
from gateway.directory.ldap.settings import LdapSettings
from gateway.directory.picture.briefs import Depiction
from gateway.directory.picture.round import Memory, Round
from gateway.directory.picture.source import Source
from gateway.directory.picture.strategies.stamps import ServerTime
from gateway.directory.schema import Schema
from gateway.store.picture.file import PictureFile
from tests.directory.ldap_bench import ShiftedReactor
from tests.directory.picture.world import Followers
from tests.support.reactor_pump import ReactorPump

T = TypeVar("T")


class RealWorld:
    """Args: way: as ``refresh_by`` in the settings."""

    def __init__(
        self, pump: ReactorPump, settings: LdapSettings, schema: Schema, path: Path, way: str
    ) -> None:
        self.pump = pump
        self.source = Source("", settings.base_dn, schema, Depiction("", schema), way=way)
        self.asks = make_servers(
            settings, ShiftedReactor(pump.reactor), time.time, random=Random(1)
        )
        self.picture = PictureFile.open_writing(path, call_from_thread=pump.call_from_thread)
        self.followers = Followers()
        self.memory = Memory(ServerTime(pump.reactor))
        self.now = time.time()

    def run(self, coroutine: Coroutine[Deferred[Any], Any, T]) -> T:
        return self.pump.wait(coroutine)

    def refresh(self, later_s: float = 0) -> list[PersonChange]:
        """What was told of it."""
        self.now += later_s
        self.run(self._once())
        return self.followers.take()

    async def _once(self) -> None:
        listening = await self.asks.listening()
        try:
            await Round(
                self.source,
                self.picture,
                self.followers,
                listening,
                self.memory,
                timers=self.pump.reactor,
                wall_clock=lambda: self.now,
            ).run()
        finally:
            await listening.close()

    def restart(self) -> None:
        """Another process goes on."""
        self.memory = Memory(ServerTime(self.pump.reactor))

    def close(self) -> None:
        self.run(self.asks.close())
        self.run(self.picture.close())

    @property
    def state(self) -> SourceState:
        return self.picture.state("")

    def people(self) -> dict[str, Account]:
        """By login."""
        found = self.picture.page("", EntryKind.PERSON, "", 10_000)
        return {each.login: each for each in map(self.source.depicts.account, found)}


def by_login(changes: Sequence[PersonChange]) -> dict[str, PersonChange]:
    return {(each.after or each.before).login: each for each in changes}  # type: ignore[union-attr]
