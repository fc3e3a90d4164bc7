"""Servers found by DNS: which, in what order, what is believed, and what happens without DNS."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from random import Random

from twisted.internet.task import Clock
from twisted.names import dns

from gateway.core.ports.services import ServiceHost, Services
from gateway.delivery.dns.exchange import Sockets
from gateway.delivery.dns.resolver import Resolver
from gateway.delivery.dns.servers import NameServers
from gateway.delivery.dns.services import ServicesByDns
from gateway.directory.ldap.discovery import Discovery
from gateway.directory.ldap.opening import Place, Security
from tests.support.name_server import running_name_server
from tests.support.reactor_pump import ReactorPump

DOMAIN = "_ldap._tcp.example.test"
CONTROLLERS = "_ldap._tcp.dc._msdcs.example.test"
SITE = "_ldap._tcp.berlin._sites.dc._msdcs.example.test"


class FakeServices:
    def __init__(self, known: Mapping[str, Sequence[ServiceHost]]) -> None:
        self.known = dict(known)
        self.broken: set[str] = set()
        self.ttl_s = 600
        self.asked: list[str] = []

    async def services(self, name: str) -> Services:
        self.asked.append(name)
        if name in self.broken:
            return Services(False, why="no answer in time")
        return Services(True, tuple(self.known.get(name, ())), self.ttl_s)


def at(host: str, priority: int = 0, weight: int = 100, port: int = 389) -> ServiceHost:
    return ServiceHost(priority, weight, port, host)


class Bench:
    def __init__(
        self,
        known: Mapping[str, Sequence[ServiceHost]],
        *,
        site: str = "",
        server_name: str = "",
        seed: int = 1,
    ) -> None:
        self.clock = Clock()
        self.finds = FakeServices(known)
        self.told: list[list[str]] = []
        self.places: Sequence[Place] = ()
        self.discovery = Discovery(
            self.finds,
            self.clock,
            Random(seed),
            domain="Example.Test",
            site=site,
            server_name=server_name,
            changed=self._changed,
        )
        self.discovery.begin()

    def _changed(self, places: Sequence[Place]) -> None:
        self.places = places
        self.told.append([place.name for place in places])


def test_the_sites_controllers_go_first_and_the_others_are_spares() -> None:
    made = Bench(
        {
            SITE: [at("dc2.example.test")],
            CONTROLLERS: [at("dc1.example.test"), at("dc2.example.test")],
        },
        site="Berlin",
    )
    assert made.told == [["ldap://dc2.example.test", "ldap://dc1.example.test"]]
    assert made.finds.asked == [SITE, CONTROLLERS]
    assert {place.security for place in made.places} == {Security.START_TLS}
    assert [place.server_name for place in made.places] == ["dc2.example.test", "dc1.example.test"]


def test_a_domain_without_active_directory_is_asked_for_its_own_names() -> None:
    made = Bench({DOMAIN: [at("b.example.test", 10), at("a.example.test", 5, port=1389)]})
    assert made.told == [["ldap://a.example.test:1389", "ldap://b.example.test"]]
    made = Bench(
        {
            "_ldaps._tcp.example.test": [at("a.example.test", port=636)],
            DOMAIN: [at("a.example.test")],
        }
    )
    assert made.told == [["ldaps://a.example.test"]]


def test_weights_share_and_a_draw_holds_while_dns_says_the_same() -> None:
    first = Counter(
        Bench({DOMAIN: [at("a.example.test", weight=90), at("b.example.test", weight=10)]}, seed=n)
        .places[0]
        .host
        for n in range(300)
    )
    assert first["a.example.test"] > 4 * first["b.example.test"] > 0
    made = Bench({DOMAIN: [at(f"{n}.example.test") for n in range(8)]})
    for _ in range(10):
        made.clock.advance(600)
    assert len(made.told) == 1
    assert len(made.finds.asked) >= 33


def test_answers_are_asked_for_again_when_they_end_within_bounds() -> None:
    made = Bench({DOMAIN: [at("a.example.test")]})
    made.finds.known[DOMAIN] = [at("b.example.test")]
    made.clock.advance(599)
    assert made.told == [["ldap://a.example.test"]]
    made.finds.ttl_s = 1
    made.clock.advance(1)
    assert made.told[1:] == [["ldap://b.example.test"]]
    asked = len(made.finds.asked)
    made.clock.advance(29)
    assert len(made.finds.asked) == asked
    made.clock.advance(1)
    assert len(made.finds.asked) > asked


def test_without_dns_the_last_answer_holds() -> None:
    made = Bench({CONTROLLERS: [at("dc1.example.test")]})
    made.finds.broken = {CONTROLLERS, DOMAIN, "_ldaps._tcp.example.test"}
    for _ in range(100):
        made.clock.advance(600)
    assert made.told == [["ldap://dc1.example.test"]]
    assert "no answer in time" in made.discovery.trouble
    made.finds.broken = set()
    made.clock.advance(15)
    assert not made.discovery.trouble


def test_a_root_target_says_that_there_is_none() -> None:
    made = Bench({DOMAIN: [at("")]})
    assert made.places == ()
    assert made.discovery.trouble


def test_a_host_outside_the_domain_is_not_believed(logged: list[str]) -> None:
    """Whoever forges DNS has a certificate for a host of their own."""
    hosts = [
        at("dc1.example.test"),
        at("evil.test"),
        at("evilexample.test"),
        at("a b.example.test"),
    ]
    made = Bench({DOMAIN: hosts})
    assert made.told == [["ldap://dc1.example.test"]]
    assert sum("evil.test" in each for each in logged) == 1
    # With a name that every certificate must carry it may be anywhere.
    made = Bench({DOMAIN: hosts}, server_name="ldap.example.test")
    assert "ldap://evil.test" in made.told[0]
    assert {place.server_name for place in made.places} == {"ldap.example.test"}


def test_a_real_name_server_is_understood(pump: ReactorPump) -> None:
    records = [dns.Record_SRV(10, 60, 389, "dc1.example.test"), dns.Record_SRV(20, 0, 636, b"")]
    with running_name_server(mx={}, a={}, also={CONTROLLERS: records}) as names:
        reactor = pump.reactor
        servers = NameServers(reactor, [("127.0.0.1", names.port)])
        finds = ServicesByDns(Resolver(servers, Sockets(reactor), reactor, Random(1).randbytes))
        found = pump.wait(finds.services(CONTROLLERS))
        assert found.known
        assert sorted(found.hosts, key=lambda each: each.priority) == [
            ServiceHost(10, 60, 389, "dc1.example.test"),
            ServiceHost(20, 0, 636, ""),
        ]
        none = pump.wait(finds.services(DOMAIN))
        assert none.known
        assert none.hosts == ()
        names.fails.add("_ldaps._tcp.example.test")
        assert not pump.wait(finds.services("_ldaps._tcp.example.test")).known
