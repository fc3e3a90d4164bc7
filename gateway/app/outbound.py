"""The queue and the sending side from settings.

Owns their construction; ``build`` owns everything else.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from random import Random
from secrets import token_bytes
from typing import Any

from gateway.app.paces import outbound_paces
from gateway.app.trust import trust_root
from gateway.app.ways import Ways
from gateway.core.account import Account
from gateway.core.ports.routing import Router
from gateway.core.settings.model import Settings
from gateway.delivery.carrier import Carrier
from gateway.delivery.connections import ConnectionLimits, Connections
from gateway.delivery.endpoints import tcp_endpoints, unix_endpoints
from gateway.delivery.local import LocalDelivery
from gateway.delivery.remote import RemoteDelivery
from gateway.delivery.scram import Scram
from gateway.delivery.targets import TlsWitness
from gateway.delivery.tls import ClientTls
from gateway.directory.threads import WorkerThreads
from gateway.queue.desk import QueueDesk
from gateway.queue.desk_reroute import known_logins
from gateway.queue.desk_views import rule_from
from gateway.queue.guards_from_settings import double_bounces_to, guards_from
from gateway.queue.journal import Journal
from gateway.queue.limits import RunnerLimits
from gateway.queue.reports import ReportWriter
from gateway.queue.runner import QueueRunner
from gateway.queue.tls_reports_desk import TlsReportsDesk
from gateway.store.store import Store
from gateway.wire.smtp_client_envelope import hello_octets


@dataclass(frozen=True, slots=True)
class Trust:
    """What is read from files before anything is opened."""

    tls: ClientTls


def outbound_trust(settings: Settings) -> Trust:
    """Raises: SettingsError."""
    outbound = settings.outbound
    if not outbound.ca_file:
        return Trust(ClientTls())
    return Trust(ClientTls(trust_root(outbound.ca_file, "outbound.ca_file")))


def make_queue(
    settings: Settings,
    reactor: Any,
    trust: Trust,
    store: Store,
    router: Router,
    ways: Ways,
    learn: Callable[[Account], Awaitable[None]],
    owner: str,
    threads: WorkerThreads,
    witness: TlsWitness | None = None,
    tls_reports: TlsReportsDesk | None = None,
) -> tuple[QueueRunner, QueueDesk]:
    """The runner, not started, and the desk beside it.

    Args:
        learn: told of each person before a delivery from the queue.
        owner: names the runner in leases.
        threads: keys for logins at other servers are made there.
        witness: hears of TLS with other servers.
        tls_reports: see ``QueueDesk``.
    """
    outbound = settings.outbound
    connections = Connections(
        hello_octets(settings.hostname),
        endpoints=tcp_endpoints(reactor),
        sockets=unix_endpoints(reactor),
        tls=trust.tls,
        timers=reactor,
        limits=ConnectionLimits(
            idle=outbound.connections, idle_per_target=outbound.connections_per_destination
        ),
        reachability=ways.reachability,
        witness=witness,
        scram=Scram(threads.submit, token_bytes),
    )
    remote = RemoteDelivery(
        source=store, routes=ways.routes, connections=connections, wall_clock=time.time
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
        trace=store.trace,
        rule_of=rule_from(ways.destinations),
        routes=ways.routes,
        timers=reactor,
        router=router,
        logins=known_logins(outbound),
        guards=guards,
        hasten=remote.forget_refusals,
        tls_reports=tls_reports,
    )
    return runner, desk
