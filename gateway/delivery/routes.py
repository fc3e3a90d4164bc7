"""From a destination to the addresses that an attempt tries, best first.

Owns the meaning of a destination's text here (a chain of servers, a domain, an address literal),
the order of the addresses, and the memory of both: to a destination that is known, nobody is asked.
Never connects. ``destinations`` chose the text, ``mx`` finds hosts, the TLS policies say what they
must prove.

Order: by preference; among equals by lot, one address of each host in turn, IPv4 first, as many
servers still judge senders by IPv4 reputation only, then IPv6, so that two attempts that fail are
not of one host or family where there are others. What could not be reached lately comes last.

Limits: a route is kept for its records' time, KEEP_S at most; MAX_KEPT routes of MAX_KEPT_OCTETS in
all; MAX_TARGETS targets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, zip_longest
from random import Random

from gateway.core.hosts import parse_ip
from gateway.core.next_hop import NextHop, NextHopSyntax, TlsLevel, parse_chain
from gateway.core.ports.clock import Timers
from gateway.core.queue import QueueItem, Verdict
from gateway.delivery.bounded import Bounded
from gateway.delivery.by_domain import ByDomain
from gateway.delivery.demands import at_least, demand_of
from gateway.delivery.destinations import names_servers
from gateway.delivery.mx import FoundHost, MailHosts, MxLookup, together
from gateway.delivery.reachability import Reachability
from gateway.delivery.targets import MailHost, NoRoute, Target, TlsDemand, TlsPolicies
from gateway.wire.smtp_client_envelope import EnvelopeRefused, Login

MIN_KEEP_S = 10
KEEP_S = 300
MAX_KEPT = 20_000
MAX_KEPT_OCTETS = 64 * 1024 * 1024
MAX_TARGETS = 10
MAX_OF_A_HOST = 4
"""Addresses, where there are other hosts."""

OwnDoor = Callable[[str, int], bool]
"""Whether mail that is sent to this address and port comes in to this gateway."""

HostsFile = Callable[[str], Sequence[str]]
"""Addresses that this machine's own table has for a name; for named servers only."""


@dataclass(frozen=True, slots=True)
class Way:
    """One host of a route, with a target for each of its addresses."""

    host: str
    preference: int
    demand: TlsDemand
    targets: tuple[Target, ...]


@dataclass(frozen=True, slots=True)
class Route:
    """Where a destination's mail goes, till ``until`` of the timers' clock.

    Args:
        mail_hosts: where MX or the domain itself decides.
    """

    ways: tuple[Way, ...]
    until: float
    mail_hosts: MailHosts | None = None


@dataclass(frozen=True, slots=True)
class TlsRules:
    """What the settings ask of TLS to hosts that DNS names.

    Args:
        of_all: where nothing else is said.
        of_domains: by recipient domain.
    """

    of_all: TlsLevel = "opportunistic"
    of_domains: ByDomain[TlsLevel] = ByDomain({})  # noqa: RUF009 - it never changes

    def of(self, domain: str) -> TlsLevel:
        return (self.of_domains.get(domain) if self.of_domains else None) or self.of_all


class MailRoutes:
    """Implements ``targets.Routes``.

    Args:
        passwords: by ``login_name`` of user and server.
    """

    def __init__(
        self,
        mx: MxLookup,
        policies: TlsPolicies,
        *,
        timers: Timers,
        random: Random,
        reachability: Reachability,
        tls: TlsRules | None = None,
        passwords: Mapping[str, bytes] | None = None,
        hosts_file: HostsFile = lambda _: (),
        own_door: OwnDoor = lambda _ip, _port: False,
    ) -> None:
        self._mx = mx
        self._policies = policies
        self._timers = timers
        self._random = random
        self._reachability = reachability
        self._tls = tls or TlsRules()
        self._passwords = passwords or {}
        self._hosts_file = hosts_file
        self._own_door = own_door
        self._kept: Bounded[tuple[str, bool, bool], Route] = Bounded(
            MAX_KEPT, MAX_KEPT_OCTETS, _octets_of
        )

    async def targets(self, item: QueueItem) -> Sequence[Target]:
        """See the port. Waits for nothing where the route is known."""
        # RFC 8689 section 5 spares reports.
        proof = item.options.require_tls and item.sender is not None
        lenient = item.options.tls_optional and not proof
        return self._arranged(await self.route(item.destination, proof=proof, lenient=lenient))

    async def route(self, destination: str, *, proof: bool = False, lenient: bool = False) -> Route:
        """All that is known of a destination.

        Args:
            proof: the sender asked for TLS with the right server (REQUIRETLS).
            lenient: the sender asked that it be delivered whatever policy on TLS the domain has
                (RFC 8689 section 5); how that goes is not counted.

        Raises:
            NoRoute: there is none, or nobody can say now.
        """
        key = (destination, proof, lenient)
        route = self._kept.get(key)
        if route is not None and self._timers.seconds() < route.until:
            return route
        if names_servers(destination):
            route = await self._named(destination, proof)
        else:
            route = await self._by_mx(destination.rstrip("."), proof, lenient)
        self._kept.put(key, route)
        return route

    # -- servers that somebody named

    async def _named(self, destination: str, proof: bool) -> Route:
        try:
            hops = parse_chain(destination)
            logins = [self._login(hop) for hop in hops]
        except (NextHopSyntax, EnvelopeRefused) as wrong:
            text = f"the next hop {destination} is unusable: {wrong}"
            raise NoRoute(Verdict.DEFERRED, "4.3.5", text, unreachable=True) from None
        found = await together([self._addresses(hop) for hop in hops])
        ways: list[Way] = []
        ours = ""
        for place, (hop, login, each) in enumerate(zip(hops, logins, found, strict=True)):
            if any(self._own_door(ip, hop.port) for ip in each.addresses):
                ours = f"{hop.host}:{hop.port}"
                continue
            if not each.addresses:
                continue
            demand = demand_of(hop.tls or "opportunistic")
            if proof:
                demand = at_least(demand, "verified")
            shape = Target(
                hop.host,
                "",
                hop.port,
                place,
                "lmtp" if hop.lmtp else "smtp",
                hop.implicit_tls,
                login,
                demand,
                named=True,
                socket=hop.socket,
            )
            ways.append(_way(shape, each.addresses))
        # A slip in the configuration or in DNS, not the recipients' fault.
        if not ways and ours:
            why = f"the next hop {ours} is this gateway itself: name the server behind it"
            raise NoRoute(Verdict.DEFERRED, "4.4.6", why, unreachable=True)
        if not ways:
            why = found[0].why or f"the server {hops[0].host} has no address"
            raise NoRoute(Verdict.DEFERRED, "4.4.3", why, unreachable=True)
        whole = len(ways) == len(hops)
        return self._route(ways, min(e.ttl_s for e in found if e.addresses) if whole else 0)

    async def _addresses(self, hop: NextHop) -> FoundHost:
        host = MailHost(0, hop.host)
        if hop.socket:
            return FoundHost(host, ("",), KEEP_S)
        if hop.host == "localhost":
            return FoundHost(host, ("127.0.0.1", "::1"), KEEP_S)
        if parse_ip(hop.host) is not None:
            return FoundHost(host, (hop.host,), KEEP_S)
        here = tuple(each for each in self._hosts_file(hop.host) if parse_ip(each) is not None)
        if here:
            return FoundHost(host, here, MIN_KEEP_S)
        return await self._mx.addresses(hop.host)

    def _login(self, hop: NextHop) -> Login | None:
        if not hop.user:
            return None
        for name in hop.login_names:
            if name in self._passwords:
                return Login(hop.user, self._passwords[name])
        raise NextHopSyntax("there is no password for its user (outbound.logins)")

    # -- hosts that DNS names

    async def _by_mx(self, domain: str, proof: bool, lenient: bool) -> Route:
        if not domain:
            text = "an address without a domain leads nowhere"
            raise NoRoute(Verdict.FAILED, "5.1.3", text)
        found = await self._mx.find(domain)
        level = self._tls.of(domain)
        hosts = [each.host for each in found.hosts]
        if lenient or (level == "none" and not proof):
            demands: Iterable[tuple[MailHost, TlsDemand]] = [(h, demand_of(level)) for h in hosts]
        else:
            demands = await self._policies.demands(
                domain, hosts, secure=found.secure, require_tls=proof
            )
            level = "opportunistic" if level == "none" else level
            demands = [(host, at_least(demand, level)) for host, demand in demands]
        addresses = {each.host.name: each.addresses for each in found.hosts}
        ways = [
            _way(Target(host.name, "", 25, host.preference, demand=demand), addresses[host.name])
            for host, demand in demands
        ]
        return self._route(ways, found.ttl_s, found)

    def _route(self, ways: Sequence[Way], ttl_s: int, found: MailHosts | None = None) -> Route:
        keep_s = min(max(ttl_s, MIN_KEEP_S), KEEP_S)
        return Route(tuple(ways), self._timers.seconds() + keep_s, found)

    # -- order

    def _arranged(self, route: Route) -> Sequence[Target]:
        ways = route.ways
        if len(ways) == 1 and len(ways[0].targets) == 1:
            return ways[0].targets
        groups: dict[int, list[Sequence[Target]]] = {}
        for way in ways:
            targets = self._of_one_host(way.targets)
            if len(ways) > 1:
                targets = targets[:MAX_OF_A_HOST]
            groups.setdefault(way.preference, []).append(targets)
        arranged: list[Target] = []
        for preference in sorted(groups):
            group = groups[preference]
            self._random.shuffle(group)
            rounds = chain.from_iterable(zip_longest(*group))
            arranged += [target for target in rounds if target is not None]
        comes_last = self._reachability.comes_last
        arranged.sort(key=lambda target: comes_last(target.ip))
        return arranged[:MAX_TARGETS]

    def _of_one_host(self, targets: Sequence[Target]) -> Sequence[Target]:
        """The families in turn, IPv4 first; inside a family by lot, as DNS may always give the
        same order."""
        if len(targets) < 2:
            return targets
        four = [each for each in targets if ":" not in each.ip]
        six = [each for each in targets if ":" in each.ip]
        self._random.shuffle(four)
        self._random.shuffle(six)
        both = chain.from_iterable(zip_longest(four, six))
        return [target for target in both if target is not None]


def _way(shape: Target, addresses: Sequence[str]) -> Way:
    """Args:
    shape: a target without its address.
    """
    targets = tuple(replace(shape, ip=ip) for ip in addresses)
    return Way(shape.host, shape.preference, shape.demand, targets)


def _octets_of(route: Route) -> int:
    """What it takes in memory, about."""
    return 1000 + sum(500 + 500 * len(way.targets) for way in route.ways)
