"""Which hosts take a domain's mail, in which order, at which addresses (RFC 5321 section 5.1).

Owns the reading of MX, A and AAAA answers. Never connects, never caches (the resolver does). A
domain that surely has no mail host fails; whatever DNS cannot say at the moment defers.

Limits (SECURITY N6): MAX_RECORDS of an answer are looked at, MAX_HOSTS hosts resolved and
MAX_TARGETS addresses returned. IPv4 comes before IPv6 of the same host, as many servers still
judge senders by IPv4 reputation only.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Protocol

from twisted.internet.defer import CancelledError, Deferred
from twisted.names import dns
from twisted.names.error import DNSNameError

from gateway.core.hosts import parse_ip
from gateway.core.queue import Verdict

MAX_RECORDS = 100
MAX_HOSTS = 10
MAX_TARGETS = 8
TIMEOUTS_S = (3, 7, 15)  # one query and two repetitions

# Labels may hold any octets (RFC 2181 section 11); names of hosts that get into logs and reports
# may not (SECURITY S9).
_HOST_NAME = re.compile(r"[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*")


class Resolver(Protocol):
    """What is used of Twisted's IResolver."""

    def lookupMailExchange(self, name: bytes, timeout: Sequence[int]) -> Deferred[Any]: ...

    def lookupAddress(self, name: bytes, timeout: Sequence[int]) -> Deferred[Any]: ...

    def lookupIPV6Address(self, name: bytes, timeout: Sequence[int]) -> Deferred[Any]: ...


class NoRoute(Exception):
    """No host to try; how that ends for the recipients. Stays inside ``delivery``."""

    def __init__(self, verdict: Verdict, status: str, text: str) -> None:
        self.verdict = verdict
        self.status = status
        self.text = text
        super().__init__(text)


@dataclass(frozen=True, slots=True)
class Target:
    """One address to connect to."""

    host: str
    ip: str
    port: int = 25

    def __str__(self) -> str:
        return f"{self.host}[{self.ip}]:{self.port}"


@dataclass(frozen=True, slots=True)
class _Host:
    preference: int
    name: str


class MxLookup:
    """Finds targets.

    Args:
        own_names: our host names: an MX with such a name is a loop (SECURITY S34).
        own_addresses: our IP addresses as text, loopback ones need not be listed.
    """

    def __init__(
        self,
        resolver: Resolver,
        random: Random,
        *,
        own_names: Collection[str] = (),
        own_addresses: Collection[str] = (),
    ) -> None:
        self._resolver = resolver
        self._random = random
        self._own_names = {name.casefold() for name in own_names}
        self._own_addresses = {ipaddress.ip_address(text) for text in own_addresses}

    async def targets(self, domain: str) -> list[Target]:
        """Where to deliver mail for a domain or address literal. Raises: NoRoute."""
        if domain.startswith("["):
            return [self._literal(domain)]
        hosts = await self._hosts(domain)
        targets: list[tuple[int, Target]] = []
        deferral: NoRoute | None = None
        looped = False
        for host in hosts:
            if len(targets) >= MAX_TARGETS:
                break
            try:
                addresses = await self._addresses(host.name)
            except NoRoute as problem:
                if problem.verdict is Verdict.DEFERRED:
                    deferral = problem
                continue
            if host.name in self._own_names or any(map(self._is_own, addresses)):
                # RFC 5321 section 5.1: where we stand in the list, we and everything less
                # preferred must be left out, or the mail would go round in circles.
                targets = [pair for pair in targets if pair[0] < host.preference]
                looped = True
                break
            targets += [(host.preference, Target(host.name, ip)) for ip in addresses]
        if targets:
            return [target for _, target in targets[:MAX_TARGETS]]
        if deferral is not None:
            raise deferral
        if looped:
            text = f"the mail hosts of {domain} lead back to this server"
            raise NoRoute(Verdict.FAILED, "5.4.6", text)
        raise NoRoute(Verdict.FAILED, "5.4.4", f"the mail hosts of {domain} have no address")

    async def explicit(self, host: str, port: int) -> list[Target]:
        """Addresses of a server that the administrator named; loopback is meant then.

        A name that does not exist is a slip in the configuration or in DNS, not the recipients'
        fault: it defers. Raises: NoRoute.
        """
        if host == "localhost":
            addresses = ["127.0.0.1", "::1"]
        elif parse_ip(host) is not None:
            addresses = [host]
        else:
            try:
                addresses = await self._addresses(host)
            except NoRoute as problem:
                raise NoRoute(Verdict.DEFERRED, "4.4.3", problem.text) from None
        if not addresses:
            raise NoRoute(Verdict.DEFERRED, "4.4.3", f"the server {host} has no address")
        return [Target(host, ip, port) for ip in addresses[:MAX_TARGETS]]

    async def _hosts(self, domain: str) -> list[_Host]:
        """MX hosts, the most preferred first, equals shuffled; the domain itself without MX."""
        answers = await self._ask(self._resolver.lookupMailExchange, domain)
        records = [
            _Host(record.payload.preference, _name(record.payload.name))
            for record in answers
            if record.type == dns.MX
        ]
        if not records:
            return [_Host(0, domain)]  # RFC 5321 section 5.1: the implicit MX
        named = [host for host in records if host.name]
        if not named:
            # RFC 7505 section 3: "." means that the domain takes no mail.
            text = f"the domain {domain} does not accept mail (null MX)"
            raise NoRoute(Verdict.FAILED, "5.1.10", text)
        named = [host for host in named if _HOST_NAME.fullmatch(host.name)]
        self._random.shuffle(named)
        named.sort(key=lambda host: host.preference)
        return named[:MAX_HOSTS]

    async def _addresses(self, name: str) -> list[str]:
        """IPv4, then IPv6; empty for a host without addresses. Raises: NoRoute."""
        addresses: list[str] = []
        deferral: NoRoute | None = None
        for ask, kind in (
            (self._resolver.lookupAddress, dns.A),
            (self._resolver.lookupIPV6Address, dns.AAAA),
        ):
            try:
                answers = await self._ask(ask, name)
            except NoRoute as problem:
                if problem.verdict is Verdict.FAILED:
                    break  # the name does not exist, whatever the type
                deferral = problem
                continue
            addresses += [r.payload.dottedQuad() for r in answers if r.type == kind == dns.A]
            addresses += [
                str(ipaddress.IPv6Address(r.payload.address))
                for r in answers
                if r.type == kind == dns.AAAA
            ]
        if not addresses and deferral is not None:
            raise deferral
        return addresses

    async def _ask(self, lookup: Any, name: str) -> list[Any]:
        """The answer section, empty when the name has no such record. Raises: NoRoute."""
        try:
            answers, _, _ = await lookup(name.encode("ascii"), TIMEOUTS_S)
        except DNSNameError:
            text = f"the domain {name} does not exist"
            raise NoRoute(Verdict.FAILED, "5.1.2", text) from None
        except CancelledError:
            raise
        except Exception:
            # SERVFAIL, refusal, time-out, or an answer that the resolver chokes on: DNS has not
            # said that there is no such domain.
            text = f"DNS gives no answer for {name} at the moment"
            raise NoRoute(Verdict.DEFERRED, "4.4.3", text) from None
        return list(answers[:MAX_RECORDS])

    def _literal(self, literal: str) -> Target:
        text = literal[1:-1].casefold().removeprefix("ipv6:")
        if parse_ip(text) is None:
            raise NoRoute(Verdict.FAILED, "5.1.2", f"{literal} is no address of a server")
        if self._is_own(text):
            raise NoRoute(Verdict.FAILED, "5.4.6", f"{literal} leads back to this server")
        return Target(text, text)

    def _is_own(self, text: str) -> bool:
        """Ourselves, or an address that can only lead to ourselves or to nobody."""
        ip = parse_ip(text)
        assert ip is not None, "callers have read it"
        zero_net = ip.version == 4 and ip.packed[0] == 0  # RFC 1122 section 3.2.1.3: "this host"
        return (
            ip.is_loopback
            or ip.is_unspecified
            or ip.is_multicast
            or zero_net
            or ip in self._own_addresses
        )


def _name(name: dns.Name) -> str:
    return name.name.decode("ascii", "replace").casefold().rstrip(".")
