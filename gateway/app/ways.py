"""The ways out of a process: DNS, destinations and routes, from settings.

Owns their construction, and what of this machine they may know: its name servers, its table of
hosts, the addresses it listens on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from random import Random
from socket import AF_INET, AF_INET6, SOCK_DGRAM, socket
from typing import Any

from twisted.names.hosts import searchFileForAll
from twisted.python.filepath import FilePath

from gateway.core.hosts import parse_ip
from gateway.core.next_hop import login_name, parse_next_hop
from gateway.core.settings.checks import split_host_port
from gateway.core.settings.listen import ListenSettings
from gateway.core.settings.model import Settings
from gateway.core.settings.outbound import OutboundSettings
from gateway.delivery.destinations import Destinations, tls_levels
from gateway.delivery.dns.resolver import Resolver
from gateway.delivery.mx import MxLookup
from gateway.delivery.reachability import Reachability
from gateway.delivery.routes import MailRoutes, TlsRules
from gateway.delivery.targets import TlsPolicies

_HOSTS = FilePath("/etc/hosts")


@dataclass(frozen=True, slots=True)
class Ways:
    """What finds the way of outgoing mail."""

    dns: Resolver
    destinations: Destinations
    routes: MailRoutes
    reachability: Reachability


def make_ways(settings: Settings, reactor: Any, dns: Resolver, policies: TlsPolicies) -> Ways:
    """Everything together."""
    outbound = settings.outbound
    reachability = Reachability(reactor)
    mx = MxLookup(
        dns, Random(), own_names=(settings.hostname,), own_addresses=_own_addresses(settings)
    )
    routes = MailRoutes(
        mx,
        policies,
        timers=reactor,
        random=Random(),
        reachability=reachability,
        tls=TlsRules(outbound.tls, tls_levels(outbound)),
        passwords=_passwords(outbound),
        hosts_file=_in_hosts_file,
        own_door=OwnDoors(settings.listen),
    )
    return Ways(dns, Destinations(outbound), routes, reachability)


def _passwords(outbound: OutboundSettings) -> dict[str, bytes]:
    passwords = {
        login_name(name): section.password.get_secret_value().encode()
        for name, section in outbound.logins.items()
    }
    password = outbound.smart_host_password.get_secret_value().encode()
    if password:
        # Of the first one alone that has a user: another server must not be told it.
        users = filter(None, (parse_next_hop(url).login_names for url in outbound.smart_host))
        for name in next(users, ())[:1]:
            passwords[name] = password
    return passwords


def _own_addresses(settings: Settings) -> list[str]:
    """Where mail for us arrives (SECURITY S34); what a wildcard covers is told by DNS under our
    name, and by EHLO's answer."""
    hosts = (
        split_host_port(each.address)[0] for each in settings.listen if each.protocol == "smtp"
    )
    return [host for host in hosts if not ip_address(host).is_unspecified]


class OwnDoors:
    """Implements ``routes.OwnDoor``: a next hop that is one of our own listeners would only have
    the mail go round till it has too many ``Received`` fields (SECURITY S34)."""

    def __init__(self, listeners: Sequence[ListenSettings]) -> None:
        taking = (each for each in listeners if each.protocol in ("smtp", "submission", "lmtp"))
        self._doors = [split_host_port(each.address) for each in taking]

    def __call__(self, ip: str, port: int) -> bool:
        found = [parse_ip(host) for host, number in self._doors if number == port]
        target = parse_ip(ip)
        return target in found or (
            any(host is not None and host.is_unspecified for host in found) and _is_here(ip)
        )


def _is_here(ip: str) -> bool:
    """An address of this machine: a socket can have it. Nothing is sent."""
    with socket(AF_INET6 if ":" in ip else AF_INET, SOCK_DGRAM) as trial:
        try:
            trial.bind((ip, 0))
        except OSError:
            return False
    return True


def _in_hosts_file(name: str) -> Sequence[str]:
    # A small local file, looked at when a route to a named server is made anew.
    found: list[str] = searchFileForAll(_HOSTS, name.encode("ascii"))
    return found
