"""What DNS says of a directory's servers: SRV records of a domain, addresses of a name.

Owns the two looks. Asks as the gateway does: records by the port ``FindsServices`` and
``Discovery``, which decides what of them is believed; addresses by the reactor's own resolver.

Limits: LOOK_S each.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IResolutionReceiver
from zope.interface import implementer

from gateway.core.hosts import parse_ip
from gateway.core.log_text import escaped
from gateway.core.ports.services import FindsServices, Services
from gateway.directory.doctor.step import Look, Step, shortened
from gateway.directory.ldap.asking import LdapFailed
from gateway.directory.ldap.discovery import Discovery
from gateway.directory.ldap.opening import Place
from gateway.directory.ldap.patience import within
from gateway.directory.ldap.settings import LdapSettings

LOOK_S = 10.0
MOST_SHOWN = 20


class _Noted:
    """Asks DNS, and keeps what was said. Implements FindsServices."""

    def __init__(self, finds: FindsServices) -> None:
        self._finds = finds
        self.said: dict[str, Services] = {}

    async def services(self, name: str) -> Services:
        answer = await self._finds.services(name)
        self.said[name] = answer
        return answer


async def discovered(
    settings: LdapSettings, finds: FindsServices, reactor: Any
) -> tuple[Sequence[Place], Step]:
    """The servers that SRV records name, in the order in which they are asked."""
    look = Look("srv", settings.domain, reactor.seconds)
    noted = _Noted(finds)
    found: list[Sequence[Place]] = []
    discovery = Discovery(
        noted,
        reactor,
        Random(),
        domain=settings.domain,
        site=settings.site,
        security=settings.security,
        server_name=settings.tls_server_name,
        changed=found.append,
    )
    late = f"DNS did not answer in {LOOK_S:g} s"
    try:
        await within(reactor, LOOK_S, discovery.first_look(), late)
    except LdapFailed as failed:
        discovery.trouble = failed.reason
    finally:
        discovery.close()
    places = found[-1] if found else ()
    more = shortened(list(_lines(noted.said, settings.site)), MOST_SHOWN)
    believed = {place.host for place in places}
    named = {each.host for said in noted.said.values() for each in said.hosts if each.host}
    if not places:
        trouble = escaped(discovery.trouble) or f"DNS names no server of {settings.domain}"
        advice = "look at directory.domain and directory.site, and at this host's name servers"
        return places, look.failed(trouble, advice, more)
    order = ", ".join(place.name for place in places)
    if left_out := sorted(named - believed):
        hosts = ", ".join(escaped(host, 100) for host in left_out[:MOST_SHOWN])
        return places, look.warning(
            f"asked in this order: {order}; left out: {hosts}",
            f"they are not within {settings.domain}; set directory.tls_server_name if they are"
            " right",
            more,
        )
    return places, look.ok(f"asked in this order: {order}", more)


def _lines(said: dict[str, Services], site: str) -> Sequence[str]:
    lines: list[str] = []
    for name, answer in said.items():
        whose = f" (site {site})" if site and "._sites." in name else ""
        if not answer.known:
            lines.append(f"{name}{whose}: {escaped(answer.why)}")
        elif not answer.hosts:
            lines.append(f"{name}{whose}: no record")
        lines += [
            f"{name}{whose}: {escaped(each.host, 100) or '(decidedly none)'} port {each.port},"
            f" priority {each.priority}, weight {each.weight}"
            for each in answer.hosts
        ]
    return lines


async def addresses_of(place: Place, reactor: Any) -> tuple[Sequence[str], Step | None]:
    """Of the server's host; no step where it is an address itself."""
    if parse_ip(place.host) is not None:
        return (place.host,), None
    look = Look("dns", place.name, reactor.seconds)
    late = f"{place.host}: the resolver of this host did not answer in {LOOK_S:g} s"
    try:
        found = await within(reactor, LOOK_S, _resolved(place.host, reactor), late)
    except LdapFailed as failed:
        return (), look.failed(failed.reason, "look at /etc/resolv.conf and the name servers there")
    if not found:
        advice = "look at directory.uri; make an A or AAAA record for it, or mend /etc/hosts"
        return (), look.failed(f"{place.host} has no address", advice)
    return found, look.ok(f"{place.host} has the address {', '.join(found)}", addresses=list(found))


async def _resolved(host: str, reactor: Any) -> list[str]:
    receiver = _Receiver()
    reactor.nameResolver.resolveHostName(receiver, host)
    return await receiver.done


@implementer(IResolutionReceiver)
class _Receiver:
    """Hears of each address."""

    def __init__(self) -> None:
        self._found: dict[str, None] = {}
        self.done: Deferred[list[str]] = Deferred()

    def resolutionBegan(self, resolutionInProgress: object) -> None:
        """The interface wants it."""

    def addressResolved(self, address: Any) -> None:
        self._found[address.host] = None

    def resolutionComplete(self) -> None:
        if not self.done.called:
            self.done.callback(list(self._found))
