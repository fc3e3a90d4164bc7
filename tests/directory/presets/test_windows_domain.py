"""The NetBIOS name of a domain, asked of its partitions when a login wants it (SECURITY L17)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock

from gateway.directory.at_once import at_once
from gateway.directory.ldap.asking import Asks, BindAnswer, Found, LdapFailed, Listening
from gateway.directory.ldap.windows_domain import KEPT_S, TROUBLE_S, WindowsDomain
from gateway.directory.presets.ad import AD
from gateway.directory.presets.openldap import OPENLDAP
from gateway.directory.schema import Schema
from gateway.wire.ldap.messages import Control, Result, SearchEntry, SearchRequest

CONFIGURATION = "CN=Configuration,DC=example,DC=com"


def partition(name: str, root: str, dns: str) -> SearchEntry:
    told = {"netbiosname": name, "ncname": root, "dnsroot": dns}
    return SearchEntry(
        f"CN={name},CN=Partitions,{CONFIGURATION}",
        {key: [value.encode()] for key, value in told.items()},
    )


class Partitions(Asks):
    def __init__(self, *entries: SearchEntry) -> None:
        self.entries = entries
        self.asked: list[str] = []
        self.code = 0
        self.down = False

    async def search(self, request: SearchRequest, controls: Sequence[Control] = ()) -> Found:
        self.asked.append(request.base)
        if self.down:
            raise LdapFailed("nobody answers")
        if not request.base:
            root = {"configurationnamingcontext": [CONFIGURATION.encode()]}
            return Found(Result(0), (SearchEntry("", root),))
        return Found(Result(self.code), self.entries)

    async def bind(self, dn: str, password: bytes) -> BindAnswer:
        raise AssertionError

    async def listening(self) -> Listening:
        raise AssertionError

    async def close(self) -> None: ...


FOREST = (
    partition("SALES", "DC=sales,DC=example,DC=com", "sales.example.com"),
    partition("EXAMPLE", "DC=example,DC=com", "example.com"),
)


def domain(asks: Asks, base: str, clock: Clock | None = None) -> WindowsDomain:
    return WindowsDomain(asks, base, AD, clock or Clock())


@pytest.mark.parametrize(
    ("base", "names"),
    [
        ("OU=People, DC=Example, DC=com", ["example", "example.com"]),
        ("DC=sales,DC=example,DC=com", ["sales", "sales.example.com"]),
        ("DC=other,DC=test", []),
        ("DC=notexample,DC=com", []),
    ],
)
def test_L17_the_domain_that_people_are_in(base: str, names: list[str]) -> None:
    asks = Partitions(FOREST[1]) if base.startswith("OU") else Partitions(*FOREST)
    assert at_once(domain(asks, base).names()) == names


def test_L17_asked_only_for_such_logins_and_once() -> None:
    asks = Partitions(FOREST[1])
    clock = Clock()
    known = domain(asks, "DC=example,DC=com", clock)
    for login in ("anna", "anna@example.com"):
        assert at_once(known.for_login(login)) == AD
    assert asks.asked == []
    for _ in range(3):
        schema = at_once(known.for_login("EXAMPLE\\anna"))
        assert "(sAMAccountName=anna)" in str(schema.by_login("EXAMPLE\\anna"))
    assert len(asks.asked) == 2
    # A login of another domain asks again only when the names may have changed.
    at_once(known.for_login("OTHER\\anna"))
    assert len(asks.asked) == 2
    clock.advance(KEPT_S + 1)
    at_once(known.for_login("OTHER\\anna"))
    assert len(asks.asked) == 4


def test_L17_what_cannot_be_read_is_unknown_and_asked_again_later(logged: list[str]) -> None:
    asks = Partitions()
    clock = Clock()
    known = domain(asks, "DC=example,DC=com", clock)
    for _ in range(3):
        assert at_once(known.for_login("EXAMPLE\\anna")) == AD
    assert len(asks.asked) == 2
    assert sum("netbios_domain" in line for line in logged) == 1
    clock.advance(TROUBLE_S + 1)
    asks.entries = FOREST
    assert "example" in at_once(known.for_login("EXAMPLE\\anna")).windows_domains


def test_L15_a_server_that_does_not_answer_is_trouble_and_no_wrong_login() -> None:
    asks = Partitions(*FOREST)
    asks.down = True
    known = domain(asks, "DC=example,DC=com")
    for _ in range(3):  # the second one no more than the first
        with pytest.raises(LdapFailed):
            at_once(known.for_login("EXAMPLE\\anna"))
    asks.down = False
    assert "example" in at_once(known.for_login("EXAMPLE\\anna")).windows_domains


def test_L17_who_comes_while_it_is_asked_waits_for_the_answer() -> None:
    class Slow(Partitions):
        def __init__(self, *entries: SearchEntry) -> None:
            super().__init__(*entries)
            self.gate: Deferred[None] = Deferred()

        async def search(self, request: SearchRequest, controls: Sequence[Control] = ()) -> Found:
            if not request.base:
                await self.gate
            return await super().search(request, controls)

    asks = Slow(*FOREST)
    known = domain(asks, "DC=example,DC=com")
    logins = [Deferred.fromCoroutine(known.for_login("EXAMPLE\\anna")) for _ in range(3)]
    hung_up = Deferred.fromCoroutine(known.for_login("EXAMPLE\\bert"))
    hung_up.addErrback(lambda failure: failure.trap(CancelledError))
    hung_up.cancel()
    assert not any(login.called for login in logins)
    asks.gate.callback(None)
    for login in logins:
        assert isinstance(login.result, Schema)
        assert "example" in login.result.windows_domains
    assert len(asks.asked) == 2


def test_other_directories_have_no_such_logins() -> None:
    asks = Partitions(*FOREST)
    known = WindowsDomain(asks, "DC=example,DC=com", OPENLDAP, Clock())
    assert at_once(known.for_login("EXAMPLE\\anna")) == OPENLDAP
    set_by_hand = replace(AD, windows_domains=("example",))
    known = WindowsDomain(asks, "DC=example,DC=com", set_by_hand, Clock())
    assert at_once(known.for_login("Example\\anna")) == set_by_hand
    assert asks.asked == []
