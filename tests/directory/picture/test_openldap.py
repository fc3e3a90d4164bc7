"""OpenLDAP: every kind of change is seen in each way that it offers, without listing everybody."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.directory.ldap.asking import LdapFailed
from gateway.directory.ldap.settings import LdapSettings
from gateway.directory.picture import questions
from gateway.directory.picture.round import GONE_CHECK_S
from gateway.directory.presets.openldap import OPENLDAP
from tests.directory.picture.real_world import RealWorld, by_login
from tests.support.reactor_pump import ReactorPump
from tests.support.slapd import READER_DN, READER_PASSWORD, SUFFIX, Slapd

COUNT = 60
PEOPLE = f"ou=people,{SUFFIX}"


def person(uid: str) -> str:
    return (
        f"dn: uid={uid},{PEOPLE}\nobjectClass: inetOrgPerson\nuid: {uid}\ncn: {uid}\nsn: {uid}\n"
        f"mail: {uid}@example.test\n"
    )


@pytest.fixture(scope="module", params=["sessionlog", "syncprov", ""])
def slapd(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Slapd]:
    everybody = "\n".join(person(f"p{number:03}") for number in range(COUNT))
    overlays = [request.param] if request.param else []
    server = Slapd(tmp_path_factory.mktemp("refresh") / "slapd", everybody, overlays=overlays)
    server.start()
    yield server
    server.stop()


def ways(slapd: Slapd) -> list[str]:
    config = slapd.config.read_text()
    return ["auto", "csn", "timestamps"] if "overlay syncprov" in config else ["auto"]


def world_at(slapd: Slapd, pump: ReactorPump, path: Path, way: str) -> RealWorld:
    settings = LdapSettings(
        uris=(slapd.uri,),
        base_dn=PEOPLE,
        bind_dn=READER_DN,
        bind_password=READER_PASSWORD,
        ca_file=slapd.ca_file,
    )
    return RealWorld(pump, settings, OPENLDAP, path, way)


def test_every_change_is_seen_without_a_listing(
    slapd: Slapd, pump: ReactorPump, tmp_path: Path
) -> None:
    for number, way in enumerate(ways(slapd)):
        world = world_at(slapd, pump, tmp_path / f"{way}.sqlite", way)
        try:
            _follow(slapd, world, number)
        finally:
            world.close()


def _follow(slapd: Slapd, world: RealWorld, number: int) -> None:
    first = number * 10
    gone, moved, renamed, changed, disabled = (f"p{first + step:03}" for step in range(5))
    told = world.refresh()
    assert all(each.came for each in told) and len(told) == world.state.people
    before = world.state.people
    assert not world.refresh(GONE_CHECK_S)
    new = f"new{number}"
    slapd.change(
        person(new).replace("objectClass", "changetype: add\nobjectClass", 1)
        + f"\ndn: uid={gone},{PEOPLE}\nchangetype: delete\n"
        + f"\ndn: uid={moved},{PEOPLE}\nchangetype: modrdn\nnewrdn: uid={moved}\n"
        + f"deleteoldrdn: 1\nnewsuperior: ou=services,{SUFFIX}\n"
        + f"\ndn: uid={renamed},{PEOPLE}\nchangetype: modrdn\nnewrdn: uid={renamed}x\n"
        + "deleteoldrdn: 1\n"
        + f"\ndn: uid={changed},{PEOPLE}\nchangetype: modify\nreplace: mail\n"
        + f"mail: other{number}@example.test\n"
        + f"\ndn: uid={disabled},{PEOPLE}\nchangetype: modify\n"
        + "replace: pwdAccountLockedTime\npwdAccountLockedTime: 000001010000Z\n"
    )
    told_of = by_login(world.refresh(GONE_CHECK_S))
    assert set(told_of) == {new, gone, moved, f"{renamed}x", changed, disabled}
    assert told_of[new].came and told_of[gone].left and told_of[moved].left
    assert told_of[f"{renamed}x"].former_login == renamed
    assert told_of[changed].former_addresses == (f"{changed}@example.test",)
    assert told_of[disabled].was_disabled
    assert world.state.people == before - 1 == len(world.people())
    assert world.followers.listings == [""], "listed once"
    world.restart()
    assert not world.refresh(GONE_CHECK_S)
    assert world.followers.listings == [""]


def test_the_best_way_is_found(slapd: Slapd, pump: ReactorPump, tmp_path: Path) -> None:
    world = world_at(slapd, pump, tmp_path / "auto.sqlite", "auto")
    world.refresh()
    best = "syncrepl" if "overlay syncprov" in slapd.config.read_text() else "timestamps"
    assert world.memory.progress.way == best
    world.close()


def test_a_server_that_is_killed_in_the_middle_loses_nobody(
    slapd: Slapd, pump: ReactorPump, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(questions, "PAGE", 10)
    world = world_at(slapd, pump, tmp_path / "killed.sqlite", "auto")
    world.refresh()
    before = set(world.people())
    put = world.picture.saw
    done: list[bool] = []

    async def saw(*args: object, **kw: object) -> None:
        if not done:
            done.append(True)
            slapd.stop()
        await put(*args, **kw)  # type: ignore[arg-type]

    world.picture.saw = saw  # type: ignore[method-assign]
    world.now += world.source.listing_s
    with pytest.raises(LdapFailed):
        world.refresh()
    assert set(world.people()) == before
    slapd.start()
    world.close()
