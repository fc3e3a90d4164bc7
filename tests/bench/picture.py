"""What the picture of a large directory costs: 100,000 people and 5,000 groups, without servers.

Prints how long a recipient takes through the router, what a process that reads the picture needs,
how long it takes to be filled and to be ready at the next start. The servers of this program answer
at once and know nobody; what they would add is measured elsewhere (``outage``, ``login``).

    python -m tests.bench.picture [--people N] [--groups N] [--folder DIR]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from pathlib import Path
from typing import Any, cast

from gateway.core.account import Account
from gateway.core.address import Address
from gateway.core.group import Group
from gateway.core.ports.picture import EntryKind, SourceState
from gateway.core.route import Route
from gateway.directory.entries import Entry
from gateway.directory.picture.briefs import Depiction
from gateway.directory.picture.directory import PicturedDirectory
from gateway.directory.picture.lookup import Pictured
from gateway.directory.presets.openldap import OPENLDAP
from gateway.routing.domains import Domain, DomainRouter
from gateway.store.picture.file import PictureFile
from tests.support.pump import Pump

PAGE = 500
SUFFIX = "dc=example,dc=test"
LARGE = 5000
"""Members of each hundredth group; others have up to 100."""


def person(number: int) -> Entry:
    uid = f"person{number}"
    values: dict[str, tuple[str, ...]] = {
        "objectclass": ("inetOrgPerson", "mailPerson"),
        "entryuuid": (f"11111111-2222-3333-4444-{number:012d}",),
        "uid": (uid,),
        "cn": (f"Person Number {number}",),
        "displayname": (f"Person Number {number}",),
        "mail": (f"{uid}@example.test", f"first.last{number}@example.test"),
        "mailalternateaddress": (f"p{number}@example.test",),
    }
    return Entry(f"uid={uid},ou=people,{SUFFIX}", _octets(values))


def group(number: int, people: int) -> Entry:
    count = min(people, LARGE if number % 100 == 0 else 10 + number % 90)
    members = (f"uid=person{(number * 7919 + n) % people},ou=people,{SUFFIX}" for n in range(count))
    values: dict[str, tuple[str, ...]] = {
        "objectclass": ("groupOfNames", "mailGroup"),
        "entryuuid": (f"99999999-2222-3333-4444-{number:012d}",),
        "cn": (f"Group {number}",),
        "mail": (f"group{number}@example.test",),
        "member": tuple(members),
    }
    return Entry(f"cn=group{number},ou=groups,{SUFFIX}", _octets(values))


def _octets(values: dict[str, tuple[str, ...]]) -> dict[str, tuple[bytes, ...]]:
    return {name: tuple(each.encode() for each in texts) for name, texts in values.items()}


class Nobody:
    """Servers that know nobody, at once."""

    asked = 0

    async def find_recipient(self, addresses: Sequence[Address]) -> Account | Group | None:
        self.asked += 1
        return None


class Breaths:
    """Lets nothing else run, as nothing else is there; counts the pieces of long work."""

    def __init__(self, pump: Pump) -> None:
        self._pump = pump
        self.taken = 0

    def seconds(self) -> float:
        return time.monotonic()

    def callLater(self, delay: float, callable: Any, *args: object) -> None:
        self.taken += 1
        self._pump.call_from_thread(lambda: callable(*args))


def fill(path: Path, people: int, groups: int) -> None:
    pump = Pump(3600)
    writer = PictureFile.open_writing(path, call_from_thread=pump.call_from_thread)
    depiction = Depiction("", OPENLDAP)
    made = time.perf_counter()
    listing = pump.wait(writer.new_listing(""))

    def everybody() -> Iterator[Entry]:
        yield from map(person, range(people))
        for number in range(groups):
            yield group(number, people)

    page = []
    for entry in everybody():
        page.append(depiction.pictured(entry))
        if len(page) == PAGE:
            pump.wait(writer.put(page, listing=listing))
            page = []
    pump.wait(writer.put(page, listing=listing))
    now = int(time.time())
    pump.wait(writer.note("", SourceState(listed_at=now, refreshed_at=now)))
    state = writer.state("")
    print(
        f"filled with {state.people:,} people and {state.groups:,} groups"
        f" in {time.perf_counter() - made:.1f} s"
    )
    again = time.perf_counter()
    listing = pump.wait(writer.new_listing(""))
    after = ""
    while seen := writer.page("", EntryKind.PERSON, after, PAGE):
        pump.wait(writer.saw("", [each.entry_id for each in seen], listing=listing))
        after = seen[-1].entry_id
    unseen = pump.wait(writer.count_unseen("", listing))
    print(f"all people seen again, {unseen[1]:,} groups not: {time.perf_counter() - again:.1f} s")
    pump.wait(writer.close())
    print(f"file: {path.stat().st_size / 1e6:.0f} MB; memory at the end: {_memory_mb():.0f} MB")


def _memory_mb() -> float:
    """Resident now; what ``getrusage`` tells would begin with the parent's."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (resident,) = (line.split()[1] for line in lines if line.startswith("VmRSS:"))
    return int(resident) / 1024


def read(path: Path, people: int, groups: int) -> None:
    before_mb = _memory_mb()
    pump = Pump(3600)
    begun = time.perf_counter()
    servers, breaths = Nobody(), Breaths(pump)
    picture = PictureFile.open_reading(path)
    directory = PicturedDirectory(
        cast(Any, servers),
        Pictured(picture, "", OPENLDAP, fresh_s=86_400),
        timers=cast(Any, breaths),
    )
    router = DomainRouter({"example.test": Domain("example.test")}, directory)
    at_once(router.route(Address("person1", "example.test"), may_relay=False))
    started_ms = (time.perf_counter() - begun) * 1000
    print(f"start with this picture, to the first answer: {started_ms:.1f} ms")

    def known(number: int) -> None:
        at_once(route(f"first.last{number * 7919 % people}"))

    def tagged(number: int) -> None:
        at_once(route(f"person{number * 7919 % people}+tag"))

    def unknown(number: int) -> None:
        assert at_once(find(f"nobody{number % 100}")) is None

    def route(local_part: str) -> Coroutine[Any, Any, Route]:
        return router.route(Address(local_part, "example.test"), may_relay=False)

    def find(local_part: str) -> Coroutine[Any, Any, Account | Group | None]:
        return directory.find_recipient([Address(local_part, "example.test")])

    for name, work in (("known", known), ("known, with a tag", tagged)):
        print(f"recipient {name}: {_microseconds(work):.1f} us, routing included")
    for number in range(100):
        pump.wait(find(f"nobody{number}"))
    asked = servers.asked
    print(f"recipient unknown, asked about before: {_microseconds(unknown):.1f} us")
    assert servers.asked == asked == 100, "only unknown ones are asked about, once"
    print(f"memory: {_memory_mb() - before_mb:.0f} MB more than before")
    for number in (99, 100):
        begun = time.perf_counter()
        taken = breaths.taken
        found = pump.wait(find(f"group{number}"))
        first_ms = (time.perf_counter() - begun) * 1000
        assert isinstance(found, Group)
        pieces = breaths.taken - taken + 1
        again = _microseconds(lambda _, number=number: at_once(find(f"group{number}")))  # type: ignore[misc]
        print(
            f"group of {len(found.members):,}: {first_ms:.1f} ms in {pieces} pieces,"
            f" then {again:.1f} us"
        )
    picture.close()


def at_once(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """The answer of what must not wait for anything."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        return end.value
    raise AssertionError("it waits")


def _microseconds(work: Callable[[int], object], times: int = 20_000) -> float:
    """Of processor time, system calls included: nothing here waits, and others may be running."""
    best = float("inf")
    for _ in range(3):
        begun = time.process_time()
        for number in range(times):
            work(number)
        best = min(best, time.process_time() - begun)
    return best / times * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=100_000)
    parser.add_argument("--groups", type=int, default=5_000)
    parser.add_argument("--folder", default="")
    parser.add_argument("--read", default="", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.read:
        read(Path(given.read), given.people, given.groups)
        return
    with tempfile.TemporaryDirectory(dir=given.folder or None) as folder:
        path = Path(folder) / "directory.sqlite"
        fill(path, given.people, given.groups)
        # In a process of its own: its memory is that of one who only reads.
        command = [sys.executable, "-m", "tests.bench.picture", "--read", str(path)]
        counts = ["--people", str(given.people), "--groups", str(given.groups)]
        subprocess.run([*command, *counts], check=True)


if __name__ == "__main__":
    main()
