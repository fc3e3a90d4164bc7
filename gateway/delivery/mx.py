"""Which hosts take a domain's mail, at which addresses (RFC 5321 section 5.1, RFC 7505).

Owns the reading of MX, A and AAAA answers, and the search for ourselves among them. Never connects,
never keeps (the resolver and ``routes`` do). A domain that surely has no mail host fails; whatever
DNS cannot say at the moment defers, as does a host whose address nobody knows now.

Ourselves, and what is no more preferred than we are, are left out, or the mail would go round in
circles (SECURITY S34). We are in the list where a name is ours, or an address is: one we listen on,
or one that our own name has.

Limits (SECURITY N6): MAX_HOSTS hosts are asked about; of each, MAX_ADDRESSES are used.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Coroutine, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Protocol, TypeVar

from twisted.internet.defer import Deferred, gatherResults

from gateway.core.hosts import IpAddress, parse_ip
from gateway.core.queue import Verdict
from gateway.delivery.dns.answers import Answer, Found, Kind
from gateway.delivery.targets import MailHost, NoRoute

T = TypeVar("T")

MAX_HOSTS = 10
MAX_ADDRESSES = 8

# Labels may hold any octets (RFC 2181 section 11); names of hosts that get into logs and reports
# may not (SECURITY S9).
_HOST_NAME = re.compile(r"[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*")


class Asks(Protocol):
    """What is used of ``dns.resolver.Resolver``."""

    async def ask(self, kind: Kind, name: str) -> Answer: ...


@dataclass(frozen=True, slots=True)
class FoundHost:
    """A mail host with its addresses, IPv4 first; none while DNS does not tell (``why``)."""

    host: MailHost
    addresses: tuple[str, ...]
    ttl_s: int
    why: str = ""


@dataclass(frozen=True, slots=True)
class MailHosts:
    """What takes a domain's mail, the most preferred first, ourselves left out.

    Args:
        secure: that these hosts do is proven by DNSSEC.
        by_mx: False: the domain itself or an address literal.
        left_out: hosts of the list that lead back to us or are no more preferred, for people.
    """

    hosts: tuple[FoundHost, ...]
    secure: bool
    ttl_s: int
    by_mx: bool = True
    left_out: tuple[str, ...] = ()


class MxLookup:
    """Finds mail hosts.

    Args:
        own_names: our host names.
        own_addresses: our IP addresses as text; loopback ones need not be listed.
    """

    def __init__(
        self,
        dns: Asks,
        random: Random,
        *,
        own_names: Collection[str] = (),
        own_addresses: Collection[str] = (),
    ) -> None:
        self._dns = dns
        self._random = random
        self._own_names = frozenset(name.casefold().rstrip(".") for name in own_names)
        ours: list[IpAddress | None] = [parse_ip(each) for each in own_addresses]
        self._own_addresses = frozenset(ip for ip in ours if ip is not None)

    async def find(self, domain: str) -> MailHosts:
        """For a domain or an address literal. Raises: NoRoute."""
        if domain.startswith("["):
            return await self._literal(domain)
        answer = await self._dns.ask("MX", domain)
        hosts = _named_hosts(domain, answer)
        self._random.shuffle(hosts)
        hosts.sort(key=lambda each: each.preference)
        hosts = list({each.name: each for each in reversed(hosts)}.values())[::-1]
        asked = [self.addresses(host.name, host.preference) for host in hosts[:MAX_HOSTS]]
        ours = Deferred.fromCoroutine(self._addresses_of_ours())
        found = await together(asked)
        own = await ours
        kept = _before_us(found, lambda each: self._is_own(each, own))
        left_out = tuple(each.host.name for each in found[len(kept) :])
        usable = tuple(each for each in kept if each.addresses)
        if usable:
            # Where a host is missing because DNS does not tell, it is asked about again soon.
            ttl_s = min(answer.ttl_s, *(0 if each.why else each.ttl_s for each in kept))
            by_mx = answer.found is Found.RECORDS
            return MailHosts(usable, answer.secure, ttl_s, by_mx, left_out)
        for each in kept:
            if each.why:
                raise NoRoute(Verdict.DEFERRED, "4.4.3", each.why, unreachable=True)
        if left_out:
            text = f"the mail hosts of {domain} lead back to this server"
            raise NoRoute(Verdict.FAILED, "5.4.6", text)
        raise NoRoute(Verdict.FAILED, "5.4.4", f"the mail hosts of {domain} have no address")

    async def addresses(self, name: str, preference: int = 0) -> FoundHost:
        """Of one host; never raises."""
        four, six = await together([self._dns.ask("A", name), self._dns.ask("AAAA", name)])
        texts = (*four.texts[:MAX_ADDRESSES], *six.texts[:MAX_ADDRESSES])
        told = [each for each in (four, six) if not each.failed]
        why = "" if len(told) == 2 else f"DNS gives no answer for {name} at the moment"
        host = MailHost(preference, name, bool(told) and all(each.secure for each in told))
        return FoundHost(host, texts, min([e.ttl_s for e in told], default=0), "" if texts else why)

    async def _literal(self, literal: str) -> MailHosts:
        text = literal[1:-1].casefold().removeprefix("ipv6:")
        if parse_ip(text) is None:
            raise NoRoute(Verdict.FAILED, "5.1.2", f"{literal} is no address of a server")
        found = FoundHost(MailHost(0, text), (text,), 3600)
        if self._is_own(found, await self._addresses_of_ours()):
            raise NoRoute(Verdict.FAILED, "5.4.6", f"{literal} leads back to this server")
        return MailHosts((found,), False, 3600, by_mx=False)

    async def _addresses_of_ours(self) -> frozenset[IpAddress]:
        """What we listen on, and what the world finds by our name, as behind NAT."""
        own: set[IpAddress] = set(self._own_addresses)
        for name in self._own_names:
            for text in (await self.addresses(name)).addresses:
                if (ip := parse_ip(text)) is not None:
                    own.add(ip)
        return frozenset(own)

    def _is_own(self, found: FoundHost, own: frozenset[IpAddress]) -> bool:
        return found.host.name in self._own_names or any(
            _leads_nowhere_else(ip) or ip in own for ip in map(parse_ip, found.addresses) if ip
        )


def _named_hosts(domain: str, answer: Answer) -> list[MailHost]:
    """MX hosts in any order; the domain itself without MX. Raises: NoRoute."""
    match answer.found:
        case Found.FAILURE:
            text = f"DNS gives no answer for {domain} at the moment"
            raise NoRoute(Verdict.DEFERRED, "4.4.3", text, unreachable=True)
        case Found.NO_NAME:
            text = f"the domain {domain} does not exist"
            raise NoRoute(Verdict.FAILED, "5.1.2", text)
        case Found.NO_DATA:
            return [MailHost(0, domain)]  # RFC 5321 section 5.1: the implicit MX
    named = [each for each in answer.exchangers if each.host]
    if not named:
        # RFC 7505 section 3: "." means that the domain takes no mail.
        text = f"the domain {domain} does not accept mail (null MX)"
        raise NoRoute(Verdict.FAILED, "5.1.10", text)
    usable = [each for each in named if is_host_name(each.host)]
    if not usable:
        # RFC 5321 section 5.1 wants names there; an address has one meaning more than its owner.
        text = f"the MX records of {domain} name no hosts (an address is no name)"
        raise NoRoute(Verdict.FAILED, "5.4.4", text)
    return [MailHost(each.preference, each.host) for each in usable]


async def together(questions: Sequence[Coroutine[Deferred[Any], Any, T]]) -> list[T]:
    """All at once; their results in the order given."""
    return await gatherResults(
        [Deferred.fromCoroutine(each) for each in questions], consumeErrors=True
    )


def is_host_name(name: str) -> bool:
    """Fit to be asked for, and for logs; no IP address."""
    last = name.rpartition(".")[2]
    return _HOST_NAME.fullmatch(name) is not None and len(name) <= 253 and not last.isdigit()


def _before_us(
    found: Sequence[FoundHost], is_own: Callable[[FoundHost], bool]
) -> Sequence[FoundHost]:
    """RFC 5321 section 5.1: those more preferred than the first that is ourselves."""
    for each in found:
        if is_own(each):
            return [other for other in found if other.host.preference < each.host.preference]
    return found


def _leads_nowhere_else(ip: IpAddress) -> bool:
    """An address that can only lead to ourselves or to nobody."""
    zero_net = ip.version == 4 and ip.packed[0] == 0  # RFC 1122 section 3.2.1.3: "this host"
    return ip.is_loopback or ip.is_unspecified or ip.is_multicast or zero_net
