"""The queue and the sending side from settings.

Owns their construction; ``build`` owns everything else.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from ipaddress import ip_address
from random import Random
from typing import Any

from twisted.names.client import createResolver
from twisted.names.dns import DNSDatagramProtocol

from gateway.app.paces import outbound_paces
from gateway.app.trust import trust_root
from gateway.core.account import Account
from gateway.core.ports.routing import Router
from gateway.core.settings.checks import split_host_port
from gateway.core.settings.model import Settings
from gateway.delivery.carrier import Carrier
from gateway.delivery.local import LocalDelivery
from gateway.delivery.mx import MxLookup
from gateway.delivery.next_hop import NextHop, parse_next_hop
from gateway.delivery.remote import RemoteDelivery, tcp_endpoints
from gateway.delivery.tls import ClientTls
from gateway.queue.desk import QueueDesk
from gateway.queue.guards_from_settings import double_bounces_to, guards_from
from gateway.queue.journal import Journal
from gateway.queue.limits import RunnerLimits
from gateway.queue.reports import ReportWriter
from gateway.queue.runner import QueueRunner
from gateway.store.store import Store


@dataclass(frozen=True, slots=True)
class Trust:
    """What is read from files before anything is opened."""

    smart_host: NextHop | None
    tls: ClientTls


def outbound_trust(settings: Settings) -> Trust:
    """Raises: SettingsError."""
    outbound = settings.outbound
    smart_host = parse_next_hop(outbound.smart_host[0]) if outbound.smart_host else None
    if not outbound.ca_file:
        return Trust(smart_host, ClientTls())
    return Trust(smart_host, ClientTls(trust_root(outbound.ca_file, "outbound.ca_file")))


def make_queue(
    settings: Settings,
    reactor: Any,
    trust: Trust,
    store: Store,
    router: Router,
    learn: Callable[[Account], Awaitable[None]],
    owner: str,
) -> tuple[QueueRunner, QueueDesk]:
    """The runner, not started, and the desk beside it.

    Args:
        learn: told of each person before a delivery from the queue.
        owner: names the runner in leases.
    """
    outbound = settings.outbound
    remote = RemoteDelivery(
        settings.hostname,
        source=store,
        mx=MxLookup(
            _resolver(settings),
            Random(),
            own_names=(settings.hostname,),
            own_addresses=_own_addresses(settings),
        ),
        endpoints=tcp_endpoints(reactor),
        tls=trust.tls,
        timers=reactor,
        wall_clock=time.time,
        smart_host=trust.smart_host,
        smart_host_password=outbound.smart_host_password.get_secret_value().encode(),
    )
    journal = Journal(store.trace, time.time)
    guards = guards_from(outbound, store, journal, time.time)
    last_resort = double_bounces_to(outbound)
    runner = QueueRunner(
        store,
        Carrier(remote, LocalDelivery(router, learn)),
        router,
        hostname=settings.hostname,
        timers=reactor,
        wall_clock=time.time,
        random=Random(),
        paces=outbound_paces(outbound),
        limits=RunnerLimits(attempts=outbound.connections),
        owner=owner,
        rejects_over_quota=settings.quota.answer == "reject",
        trace=store.trace,
        screen=guards,
        hold=store.queue.hold,
        double_bounces_to=last_resort,
    )
    desk = QueueDesk(
        store,
        store.queue,
        ReportWriter(store, router, settings.hostname, journal, double_bounces_to=last_resort),
        journal,
        time.time,
        runner,
        guards=guards,
    )
    return runner, desk


def _resolver(settings: Settings) -> Any:
    DNSDatagramProtocol.noisy = False  # two lines in the log for each question, without its name
    servers = [split_host_port(address) for address in settings.outbound.resolvers]
    return createResolver(servers=servers or None)


def _own_addresses(settings: Settings) -> list[str]:
    """Where mail for us arrives (SECURITY S34); what a wildcard covers only EHLO's answer tells."""
    hosts = (
        split_host_port(each.address)[0] for each in settings.listen if each.protocol == "smtp"
    )
    return [host for host in hosts if not ip_address(host).is_unspecified]
