"""A group of thousands out of the picture, on the reactor's thread: worked on in small pieces."""

from __future__ import annotations

from pathlib import Path

from gateway.core.address import Address
from gateway.core.group import Group
from tests.directory.picturing import Servers, Times, directory_over, fill
from tests.support.pump import Pump

MEMBERS = 1000
PERSON = (
    "dn: uid=p{0},dc=example,dc=test\nobjectClass: inetOrgPerson\nuid: p{0}\n"
    "entryUUID: 00000000-0000-0000-0000-{0:012d}\nmail: p{0}@example.test\n\n"
)


def everybody(members: int) -> str:
    people = "".join(map(PERSON.format, range(members)))
    lines = "".join(f"member: uid=p{number},dc=example,dc=test\n" for number in range(members))
    return (
        f"{people}dn: cn=all,dc=example,dc=test\nobjectClass: groupOfNames\ncn: all\n"
        f"entryUUID: 10000000-0000-0000-0000-000000000000\nmail: all@example.test\n{lines}\n"
    )


def test_others_run_while_a_large_group_is_resolved(tmp_path: Path) -> None:
    pump, servers, path = Pump(), Servers(), tmp_path / "directory.sqlite"
    servers.down = True
    fill(path, pump, everybody(MEMBERS))
    directory = directory_over(path, pump, servers, Times())
    others = 0

    def turn() -> None:
        nonlocal others
        others += 1
        if not found:
            pump.call_from_thread(turn)

    found: list[object] = []
    asked = pump.start(directory.find_recipient((Address("all", "example.test"),)))
    asked.addBoth(found.append)
    pump.call_from_thread(turn)
    pump.until(lambda: found)
    group = found[0]
    assert isinstance(group, Group)
    assert len(group.people) == MEMBERS
    assert others > MEMBERS / 50
    # And once it is known, at once.
    again = pump.start(directory.find_recipient((Address("all", "example.test"),)))
    assert again.called
    pump.wait_for(again)
