"""A group of thousands at RCPT: others run meanwhile."""

from __future__ import annotations

from gateway.core.address import Address
from gateway.core.route import Expansion
from gateway.directory.at_once import at_once
from gateway.routing.domains import Domain, DomainRouter
from gateway.routing.expansion import SLICE
from tests.support.people import People

MEMBERS = 4 * SLICE


def test_others_run_while_a_large_group_is_routed() -> None:
    members = [f"p{number}@example.com" for number in range(MEMBERS)]
    people = People(*members)
    people.add_group("all@example.com", *members)
    breaths = 0

    async def breathe() -> None:
        nonlocal breaths
        breaths += 1

    router = DomainRouter({"example.com": Domain("example.com")}, people, pause=breathe)
    found = at_once(router.route(Address("all", "example.com"), may_relay=False))
    assert isinstance(found, Expansion)
    assert len(found.members) == MEMBERS
    assert breaths == MEMBERS / SLICE
    assert len(people.questions) == 1  # and nobody is asked for again
