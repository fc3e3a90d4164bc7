"""What filling and freshening the picture costs: a real slapd with many people and groups.

Prints the first listing (seconds, entries a second, the longest time the reactor was held up and
the longest it worked in one piece, the peak of this process's memory and its growth, which holds
client, comparison and the writing of the picture), then a refresh while nothing has changed, one
after some have, and a listing in which nothing is new. The server works on the other core. Where
other programs have the cores, only processor time tells what our own pieces cost.

Nothing is kept of what is told, as the gateway keeps nothing of it: a list of everybody would be
walked by each full garbage collection, which holds up the reactor for as long.

    python -m tests.bench.listing [--people N] [--groups N] [--members N] [--changed N]
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from gateway.core.ports.people import PersonChange
from gateway.directory.ldap.settings import LdapSettings
from gateway.directory.presets.openldap import OPENLDAP
from tests.directory.picture.real_world import RealWorld
from tests.directory.picture.world import Followers
from tests.support.reactor_pump import ReactorPump
from tests.support.slapd import READER_DN, READER_PASSWORD, SUFFIX, Slapd

PEOPLE = f"ou=people,{SUFFIX}"
DEADLINE_S = 3600.0
TICK_S = 0.005


def person(number: int) -> str:
    uid = f"person{number:06}"
    return (
        f"dn: uid={uid},{PEOPLE}\nobjectClass: inetOrgPerson\nobjectClass: mailPerson\n"
        f"uid: {uid}\ncn: Person Number {number}\nsn: Number\n"
        f"displayName: Person Number {number}\nmail: {uid}@example.test\n"
        f"proxyAddresses: smtp:alias{number}@example.test\n\n"
    )


def group(number: int, people: int, members: int) -> str:
    dns = (f"uid=person{(number * 17 + step) % people:06},{PEOPLE}" for step in range(members))
    rows = "".join(f"member: {dn}\n" for dn in dict.fromkeys(dns))
    name = f"group{number:05}"
    return (
        f"dn: cn={name},{SUFFIX}\nobjectClass: groupOfNames\nobjectClass: extensibleObject\n"
        f"cn: {name}\nmail: {name}@example.test\n{rows}\n"
    )


def everybody(people: int, groups: int, members: int) -> Iterator[str]:
    yield from map(person, range(people))
    yield from (group(number, people, members) for number in range(groups))


class Unheeding(Followers):
    """Keeps nothing of what it is told."""

    async def changed(self, changes: Sequence[PersonChange]) -> None:
        pass


class HeldUp:
    """How late a timer that is due all the time comes: what a client would have waited.

    ``worked_s`` is the most processor time of the reactor's thread between two of its turns.
    """

    def __init__(self, pump: ReactorPump) -> None:
        self._reactor = pump.reactor
        self.longest_s = 0.0
        self.worked_s = 0.0
        self._due = 0.0
        self._plan()

    def _plan(self) -> None:
        self._due = self._reactor.seconds() + TICK_S
        self._worked_s = time.thread_time()
        self._timer = self._reactor.callLater(TICK_S, self._tick)

    def _tick(self) -> None:
        self.longest_s = max(self.longest_s, self._reactor.seconds() - self._due)
        self.worked_s = max(self.worked_s, time.thread_time() - self._worked_s)
        self._plan()

    def end(self) -> str:
        self._timer.cancel()
        return (
            f"reactor held up {self.longest_s * 1000:.0f} ms at most,"
            f" working {self.worked_s * 1000:.0f} ms at a stretch"
        )


def memory_mib() -> float:
    """The peak of this process."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measured(pump: ReactorPump, name: str, work: Callable[[], object], entries: int = 0) -> None:
    held = HeldUp(pump)
    began, cpu = time.monotonic(), time.process_time()
    work()
    took_s, cpu_s = time.monotonic() - began, time.process_time() - cpu
    rate = f", {entries / took_s:,.0f} entries/s" if entries else ""
    print(
        f"{name:<38} {took_s:8.2f} s, own CPU {cpu_s:.2f} s{rate},"
        f" {held.end()}, peak {memory_mib():.0f} MiB",
        flush=True,
    )


def changes_of(count: int, people: int) -> str:
    return "".join(
        f"dn: uid=person{number * (people // count):06},{PEOPLE}\nchangetype: modify\n"
        f"replace: displayName\ndisplayName: Changed {time.monotonic_ns()}\n\n"
        for number in range(count)
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--people", type=int, default=100_000)
    parser.add_argument("--groups", type=int, default=5_000)
    parser.add_argument("--members", type=int, default=50, help="of each group")
    parser.add_argument("--changed", type=int, default=100)
    asked = parser.parse_args()
    total = asked.people + asked.groups
    with tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        ldif = "".join(everybody(asked.people, asked.groups, asked.members))
        slapd = Slapd(
            Path(folder) / "slapd", ldif, overlays=["sessionlog", "unlimited"], room_octets=4 << 30
        )
        del ldif
        slapd.start()
        print(f"slapd filled with {total:,} entries in {time.monotonic() - began:.0f} s")
        pump = ReactorPump(DEADLINE_S)
        settings = LdapSettings(
            uris=(slapd.uri,),
            base_dn=SUFFIX,
            bind_dn=READER_DN,
            bind_password=READER_PASSWORD,
            ca_file=slapd.ca_file,
        )
        world = RealWorld(pump, settings, OPENLDAP, Path(folder) / "directory.sqlite", "auto")
        world.followers = Unheeding()
        print(f"this process before: {memory_mib():.0f} MiB")
        try:
            measured(pump, "first listing", world.refresh, total)
            assert (world.state.people, world.state.groups) == (asked.people, asked.groups)
            measured(pump, "refresh, nothing changed", world.refresh)
            slapd.change(changes_of(asked.changed, asked.people))
            measured(pump, f"refresh, {asked.changed} changed", world.refresh)
            world.restart()
            measured(pump, "refresh after a restart", world.refresh)
            assert world.followers.listings == [""], "nothing but the first was a listing"
            measured(
                pump,
                "listing, nothing new",
                lambda: world.refresh(world.source.listing_s),
                total,
            )
            print(f"picture on disk: {_octets(Path(folder)) / 2**20:.0f} MiB")
        finally:
            world.close()
            pump.close()
            slapd.stop()


def _octets(folder: Path) -> int:
    return sum(each.stat().st_size for each in folder.glob("directory.sqlite*"))


if __name__ == "__main__":
    main()
