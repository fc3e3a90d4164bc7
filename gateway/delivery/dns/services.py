"""The servers of a domain as the resolver tells them: ``core.ports.services``.

Owns the step from an answer to that port's values, and the resolver that settings describe, for
the gateway and for commands.
"""

from __future__ import annotations

import secrets
from typing import Any

from gateway.core.ports.services import Services
from gateway.core.settings.checks import split_host_port
from gateway.core.settings.outbound import OutboundSettings
from gateway.delivery.dns.answers import Found
from gateway.delivery.dns.exchange import Sockets
from gateway.delivery.dns.resolver import Resolver
from gateway.delivery.dns.servers import NameServers


def make_resolver(outbound: OutboundSettings, reactor: Any) -> Resolver:
    """Asks the name servers of the settings, else the system's."""
    trusted = bool(outbound.trusted_resolvers)
    servers = [split_host_port(each) for each in outbound.trusted_resolvers or outbound.resolvers]
    return Resolver(
        NameServers(reactor, servers, trusted=trusted),
        Sockets(reactor),
        reactor,
        secrets.token_bytes,
    )


class ServicesByDns:
    """Implements ``FindsServices``."""

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver

    async def services(self, name: str) -> Services:
        answer = await self._resolver.ask("SRV", name)
        if answer.failed:
            return Services(False, ttl_s=answer.ttl_s, why=answer.why)
        hosts = answer.services if answer.found is Found.RECORDS else ()
        return Services(True, hosts, answer.ttl_s)
