"""A picture filled from LDIF text, and servers beside it that tell what they were asked."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from gateway.core.account import Account
from gateway.core.address import Address
from gateway.core.errors import DirectoryMistake, DirectoryUnavailable
from gateway.core.group import Group
from gateway.core.ids import AccountId
from gateway.core.ports.directory import Directory
from gateway.core.ports.picture import PicturedEntry, SourceState
from gateway.directory.entries import Entry
from gateway.directory.groups.asking import Kind, is_contact, kind_of
from gateway.directory.ldif.reader import read_ldif
from gateway.directory.picture.briefs import Depiction
from gateway.directory.picture.directory import PicturedDirectory
from gateway.directory.picture.lookup import Pictured
from gateway.directory.presets.openldap import OPENLDAP
from gateway.directory.schema import Schema
from gateway.store.picture.file import PictureFile
from gateway.store.picture.reading import PictureReader
from tests.directory.contract import PEOPLE
from tests.directory.contract_groups import GROUPS
from tests.support.pump import Pump

NOW = 1_700_000_000
COMPLETE = SourceState(listed_at=NOW, refreshed_at=NOW)


def entries_of(ldif: str) -> list[Entry]:
    return [record.entry for record in read_ldif(ldif.encode(), "test")]


def pictured(ldif: str, schema: Schema = OPENLDAP, source: str = "") -> list[PicturedEntry]:
    """What a listing makes of the people and groups in the text."""
    depiction = Depiction(source, schema)
    made = []
    for entry in entries_of(ldif):
        if kind_of(entry, schema) is Kind.OTHER and not is_contact(entry, schema):
            continue
        try:
            made.append(depiction.pictured(entry))
        except DirectoryMistake:
            continue
    return made


def fill(
    path: Path,
    pump: Pump,
    ldif: str,
    *,
    schema: Schema = OPENLDAP,
    state: SourceState = COMPLETE,
) -> None:
    writer = PictureFile.open_writing(path, call_from_thread=pump.call_from_thread)
    pump.wait(writer.put(pictured(ldif, schema)))
    pump.wait(writer.note("", state))
    pump.wait(writer.close())


class Breaths:
    """Timers whose only use is to let others run: at once, on the pump."""

    def __init__(self, pump: Pump) -> None:
        self.pump = pump
        self.taken = 0

    def seconds(self) -> float:
        return float(self.taken)

    def callLater(self, delay: float, callable: Any, *args: object, **kw: object) -> Any:
        assert delay == 0
        self.taken += 1
        self.pump.call_from_thread(lambda: callable(*args))
        return None


class Servers:
    """Answers as a directory behind it does, and tells what it was asked.

    Args:
        behind: None: they know nobody.
    """

    def __init__(self, behind: Directory | None = None) -> None:
        self._behind = behind
        self.asked: list[tuple[str, object]] = []
        self.down = False
        self.mistaken = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._behind, name)

    async def _ask(self, name: str, question: object) -> Any:
        self.asked.append((name, question))
        if self.mistaken:
            raise DirectoryMistake
        if self.down:
            raise DirectoryUnavailable
        return None if self._behind is None else await getattr(self._behind, name)(question)

    async def find_recipient(self, addresses: Sequence[Address]) -> Account | Group | None:
        found: Account | Group | None = await self._ask("find_recipient", tuple(addresses))
        return found

    async def find_by_address(self, address: Address) -> Account | None:
        found: Account | None = await self._ask("find_by_address", address)
        return found

    async def find(self, login_or_address: str) -> Account | None:
        found: Account | None = await self._ask("find", login_or_address)
        return found

    async def find_by_id(self, account_id: AccountId) -> Account | None:
        found: Account | None = await self._ask("find_by_id", account_id)
        return found

    async def find_group(self, address: Address) -> Group | None:
        found: Group | None = await self._ask("find_group", address)
        return found

    async def groups_of(self, account: Account) -> Sequence[Group]:
        found: Sequence[Group] | None = await self._ask("groups_of", account)
        return found or ()


class Times:
    """Both clocks, moved by hand."""

    def __init__(self) -> None:
        self.wall = float(NOW)
        self.monotonic = 1000.0

    def pass_s(self, seconds: float) -> None:
        self.wall += seconds
        self.monotonic += seconds


def directory_over(
    path: Path,
    pump: Pump,
    servers: Servers,
    times: Times,
    *,
    schema: Schema = OPENLDAP,
    fingerprint: str = "",
    base: str = "",
    reader: PictureReader | None = None,
    recent_s: float = 600.0,
) -> PicturedDirectory:
    picture = reader or PictureFile.open_reading(path, monotonic=lambda: times.monotonic)
    return PicturedDirectory(
        cast(Any, servers),
        Pictured(picture, "", schema, fingerprint, base, fresh_s=600, recent_s=recent_s),
        timers=cast(Any, Breaths(pump)),
        wall_clock=lambda: times.wall,
        monotonic=lambda: times.monotonic,
    )


def address(local_part: str) -> Address:
    return Address(local_part, "example.test")


class Case:
    """A directory over a picture of everybody, beside servers that know nobody."""

    def __init__(self, folder: Path, pump: Pump, **more: Any) -> None:
        self.path = folder / "directory.sqlite"
        self.pump = pump
        self.times = Times()
        self.servers = Servers()
        self.directory = self.over(**more)

    def over(self, **more: Any) -> PicturedDirectory:
        return directory_over(self.path, self.pump, self.servers, self.times, **more)

    def fill(self, ldif: str = PEOPLE + GROUPS, state: SourceState = COMPLETE) -> None:
        fill(self.path, self.pump, ldif, state=state)

    def ask(self, *local_parts: str) -> Account | Group | None:
        addresses = [address(local_part) for local_part in local_parts]
        return self.pump.wait(self.directory.find_recipient(addresses))

    def known(self, *local_parts: str) -> str:
        found = self.ask(*local_parts)
        assert isinstance(found, Account)
        return found.login
