"""App passwords in memory, one person whose state changes, and what checks logins with both."""

from __future__ import annotations

import random
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

from gateway.auth.app_passwords import AppPasswords
from gateway.auth.app_passwords_making import AppPasswordMaker, Made, Wanted
from gateway.core.account import Account
from gateway.core.app_passwords import AppPassword, Place
from gateway.core.errors import DirectoryUnavailable, WrongCredentials
from gateway.core.ids import AccountId
from gateway.core.login_secret import LoginSecret
from gateway.core.networks import Networks
from gateway.directory.threads import WorkerThreads
from tests.support.pop3_fakes import ALICE
from tests.support.pump import Pump

IMAP = Place("imap", "192.0.2.1")
NOW = 1_700_000_000.0


class Rows:
    """The port AppPasswordStore."""

    def __init__(self) -> None:
        self.rows: list[AppPassword] = []
        self.reads = 0
        self.uses: list[tuple[int, int, Place]] = []
        self.now = NOW
        self.next = 1

    async def of(self, account_id: AccountId) -> Sequence[AppPassword]:
        self.reads += 1
        return [each for each in self.rows if each.account_id == account_id]

    async def add(self, new: AppPassword, *, most: int) -> AppPassword | None:
        if len(await self.of(new.account_id)) >= most:
            return None
        number, self.next = self.next, self.next + 1
        kept = replace(new, number=number, verifier=replace(new.verifier, app_password=number))
        self.rows.append(kept)
        return kept

    async def remove(
        self, account_id: AccountId, numbers: Collection[int] | None = None
    ) -> Sequence[AppPassword]:
        gone = [
            each
            for each in self.rows
            if each.account_id == account_id and (numbers is None or each.number in numbers)
        ]
        self.rows = [each for each in self.rows if each not in gone]
        return gone

    async def used(self, number: int, at: int, place: Place) -> None:
        self.uses.append((number, at, place))
        self.rows = [
            replace(each, used_at=at, used_from=place.peer_ip, used_protocol=place.protocol)
            if each.number == number
            else each
            for each in self.rows
        ]

    async def live(self, numbers: Collection[int]) -> frozenset[int]:
        there = {each.number for each in self.rows if not each.has_expired(self.now)}
        return frozenset(there & set(numbers))


class OnePerson:
    """A directory with alice in it. Nobody may ask it about a password."""

    def __init__(self) -> None:
        self.alice: Account | None = ALICE
        self.own: LoginSecret | None = None
        self.away = False

    async def find(self, login: str) -> Account | None:
        if self.away:
            raise DirectoryUnavailable
        return self.alice if login.lower() in ("alice", "alice@example.test") else None

    async def secret(self, login: str) -> LoginSecret | None:
        return self.own if await self.find(login) is not None else None

    def secret_kinds(self) -> Any:
        raise NotImplementedError

    common_secret_kinds = secret_kinds


class World:
    def __init__(self, **options: Any) -> None:
        self.pump = Pump()
        self.store = Rows()
        self.directory = OnePerson()
        self.monotonic = 100.0
        self.threads = WorkerThreads(
            "t", threads=1, waiting=9, call_from_thread=self.pump.call_from_thread
        )
        self.exempt = options.pop("exempt", ())
        self.apps = AppPasswords(
            self.store,
            self.directory,
            threads=self.threads,
            wall_clock=lambda: self.store.now,
            monotonic=lambda: self.monotonic,
            networks={"office": ("198.51.100.0/24",)},
            exempt=Networks(self.exempt),
            **options,
        )
        self.maker = self.make_maker()

    def make_maker(self, most: int = 5, expire_days: int = 0) -> AppPasswordMaker:
        return AppPasswordMaker(
            self.store,
            self.directory,
            threads=self.threads,
            wall_clock=lambda: self.store.now,
            most=most,
            expire_days=expire_days,
            iterations=4096,
            salt_octets=16,
            draw=random.Random(len(self.store.rows)).randrange,
        )

    def make(self, label: str = "phone", **wanted: Any) -> Made:
        return self.pump.wait(self.maker.make(ALICE, Wanted(label, **wanted), "root"))

    def say(self, text: str, place: Place = IMAP, login: str = "alice") -> str:
        """``in``, or why not."""
        try:
            self.pump.wait(self.apps.log_in(login, text, place))
        except WrongCredentials as error:
            return error.reason.name
        return "in"
