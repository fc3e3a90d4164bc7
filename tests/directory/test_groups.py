"""Groups beyond the contract: questions to a server, bounds, and spellings of addresses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from gateway.core.account import Account
from gateway.core.address import Address
from gateway.core.errors import ExpansionFailed
from gateway.core.group import Group
from gateway.directory.at_once import at_once
from gateway.directory.dn import dn_key
from gateway.directory.groups.asking import BATCH, Ambiguous
from gateway.directory.ldap.asking import Found
from gateway.directory.ldap.groups import ServerEntries
from gateway.directory.ldap.results import SIZE_LIMIT_EXCEEDED, SUCCESS
from gateway.directory.ldif.directory import LdifDirectory
from gateway.directory.presets.openldap import OPENLDAP
from gateway.wire.ldap.filters import attributes_of
from gateway.wire.ldap.messages import Control, Result, Scope, SearchEntry, SearchRequest
from tests.support.pump import Pump


def entry(dn: str) -> SearchEntry:
    return SearchEntry(dn, {"objectclass": (b"inetOrgPerson",)})


class Asks:
    """A server with some entries; it may not know ``entryDN``."""

    def __init__(self, *dns: str, knows_entry_dn: bool = True) -> None:
        self.entries = {dn_key(dn): entry(dn) for dn in dns}
        self.knows_entry_dn = knows_entry_dn
        self.searches = 0
        self.reads = 0
        self.code = SUCCESS

    async def search(self, request: SearchRequest, controls: Sequence[Control] = ()) -> Found:
        found: list[SearchEntry] = []
        keys: list[str] = []
        if request.scope is Scope.BASE:
            self.reads += 1
            keys = [dn_key(request.base)]
        else:
            self.searches += 1
            if attributes_of(request.wanted) == {"entrydn"} and self.knows_entry_dn:
                keys = [dn_key(each.value) for each in cast(Any, request.wanted).operands]
        found = [self.entries[key] for key in keys if key in self.entries]
        return Found(Result(self.code), tuple(found))


def entries_of(asks: Asks) -> ServerEntries:
    return ServerEntries(cast(Any, asks), "dc=test", OPENLDAP)


def test_many_members_are_few_questions() -> None:
    dns = [f"uid=p{number},dc=test" for number in range(5 * BATCH)]
    worker = Asks(*dns)
    entries = entries_of(worker)
    assert len(at_once(entries.named(dns))) == 5 * BATCH
    assert (worker.searches, worker.reads) == (5, 0)


def test_a_server_without_entry_dn_is_asked_one_by_one() -> None:
    dns = [f"uid=p{number},dc=test" for number in range(7)]
    worker = Asks(*dns[:5], knows_entry_dn=False)
    entries = entries_of(worker)
    assert set(at_once(entries.named(dns))) == set(map(dn_key, dns[:5]))
    assert worker.reads == 7


def test_L5_more_entries_than_were_asked_for_are_ambiguous() -> None:
    worker = Asks()
    worker.code = SIZE_LIMIT_EXCEEDED
    entries = entries_of(worker)
    address = Address("a", "x.test")
    with pytest.raises(Ambiguous):
        at_once(entries.having((address,), OPENLDAP.recipients((address,))))


PERSON = """\
dn: uid={0},dc=test
objectClass: inetOrgPerson
uid: {0}
mail: {0}@x.test
{1}
"""
GROUP = """\
dn: cn={0},dc=test
objectClass: groupOfNames
cn: {0}
mail: {0}@x.test
{1}
"""


class Place:
    """A file as a directory."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "people.ldif"
        self.pump = Pump()
        self.directory: LdifDirectory | None = None

    def load(self, text: str, members: int = 100) -> None:
        self.path.write_text(text)
        schema = replace(OPENLDAP, members=members)
        call = self.pump.call_from_thread
        self.directory = LdifDirectory(self.path, call_from_thread=call, schema=schema)

    def find(self, address: str) -> Account | Group | None:
        assert self.directory is not None
        local, _, domain = address.partition("@")
        return self.pump.wait(self.directory.find_recipient((Address(local, domain),)))


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    place = Place(tmp_path)
    yield place
    assert place.directory is not None
    place.pump.wait(place.directory.close())


def test_a_group_that_is_too_large_is_trouble(place: Place) -> None:
    people = "".join(PERSON.format(f"p{number}", "") for number in range(12))
    members = "".join(f"member: uid=p{number},dc=test\n" for number in range(12))
    text = people + GROUP.format("all", members)
    place.load(text, members=12)
    found = place.find("all@x.test")
    assert isinstance(found, Group)
    assert len(found.people) == 12
    assert place.find("all@x.test") is found
    place.load(text, members=11)
    with pytest.raises(ExpansionFailed):
        place.find("all@x.test")


def test_a_person_tells_of_groups_that_do_not_tell_of_them(place: Place) -> None:
    text = PERSON.format("ann", "memberOf: cn=One,dc=test\nmemberOf: cn=gone,dc=test\n")
    place.load(text + GROUP.format("one", "member: cn=x\n") + GROUP.format("two", "member: cn=x\n"))
    ann = place.find("ann@x.test")
    assert isinstance(ann, Account)
    assert place.directory is not None
    groups = place.pump.wait(place.directory.groups_of(ann))
    assert [each.addresses[0] for each in groups] == ["one@x.test"]


def test_a_contact_elsewhere_is_a_member_by_address(place: Place) -> None:
    contact = (
        "dn: cn=joe,dc=test\nobjectClass: organizationalRole\ncn: joe\nmail: Joe@else.test\n\n"
    )
    text = PERSON.format("ann", "") + contact
    place.load(text + GROUP.format("all", "member: uid=ann,dc=test\nmember: cn=joe,dc=test\n"))
    found = place.find("all@x.test")
    assert isinstance(found, Group)
    assert found.members == ("ann@x.test", "joe@else.test")
    assert list(found.people) == ["ann@x.test"]


def test_L25_members_may_be_anything(place: Place) -> None:
    bad = "member:: /w==\nmember:: AAAA\nmember: " + "x" * 3000 + "\nmember: a@b@c\nmember: ,,=\n"
    bad += "member: uid=ann,dc=test\nmember: ../../etc/passwd\n"
    place.load(PERSON.format("ann", "") + GROUP.format("all", bad))
    found = place.find("all@x.test")
    assert isinstance(found, Group)
    assert found.members == ("ann@x.test",)
    assert all(text.isascii() and text.isprintable() for text in found.dead)


def test_S31_a_directory_may_have_u_labels(place: Place) -> None:
    place.load(
        PERSON.format("ann", "mail: ann@münchen.example\nproxyAddresses: smtp:a@bücher.example\n")
    )
    for address in ("ann@xn--mnchen-3ya.example", "A@xn--bcher-kva.example"):
        found = place.find(address)
        assert isinstance(found, Account)
        assert found.login == "ann"
    assert place.find("ann@xn--mnchen-x.example") is None
