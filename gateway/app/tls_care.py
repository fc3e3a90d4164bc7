"""TLS towards other servers as a process has it: policies, counts and reports, from settings.

Owns their construction, and what runs only in the process that runs the queue.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from random import Random
from typing import Any

from gateway.core.settings.model import Settings
from gateway.delivery.dns.resolver import Resolver
from gateway.delivery.dns.services import make_resolver
from gateway.delivery.endpoints import tcp_endpoints
from gateway.delivery.https import HttpsClient, on_the_internet
from gateway.delivery.sts import FETCH_DEADLINE_S, HttpsPolicyHosts, StsPolicies
from gateway.delivery.targets import TlsPolicies, TlsWitness
from gateway.delivery.tls import ClientTls
from gateway.delivery.tls_counting import TlsCounting, Uncounted
from gateway.delivery.tls_policies import Policies
from gateway.delivery.tls_reports import POST_DEADLINE_S, TlsReports
from gateway.queue.tls_reports_desk import TlsReportsDesk
from gateway.store.store import Store
from gateway.wire.sts import Policy


@dataclass(frozen=True, slots=True)
class TlsCare:
    """Args:
    dns: what policies and routes ask.
    desk: where administrators look at what is counted.
    """

    dns: Resolver
    policies: TlsPolicies
    witness: TlsWitness
    desk: TlsReportsDesk
    _sts: StsPolicies | None
    _reports: TlsReports | None

    def start(self) -> None:
        """This process runs the queue."""
        if self._sts is not None:
            self._sts.start()
        if self._reports is not None:
            self._reports.start()

    async def stop(self) -> None:
        """Before the store is closed."""
        if self._sts is not None:
            self._sts.stop()
        if self._reports is not None:
            await self._reports.stop()


def make_tls_care(settings: Settings, reactor: Any, tls: ClientTls, store: Store) -> TlsCare:
    outbound = settings.outbound
    dns = make_resolver(outbound, reactor)
    endpoints = tcp_endpoints(reactor)
    sts: StsPolicies | None = None

    def policy_of(domain: str) -> Policy | None:
        return sts.remembered(domain) if sts is not None else None

    counted = TlsCounting(store.tls_counts, policy_of, reactor, time.time)
    counting = counted if outbound.tls_reports else Uncounted()
    if outbound.mta_sts:
        client = HttpsClient(reactor, dns, endpoints, tls, deadline_s=FETCH_DEADLINE_S)
        sts = StsPolicies(
            dns,
            HttpsPolicyHosts(client),
            store.sts_policies,
            time.time,
            counting.fetch_failed,
            timers=reactor,
        )
    reports: TlsReports | None = None
    if outbound.tls_reports:
        reports = TlsReports(
            dns,
            store.tls_counts,
            counted,
            store,
            HttpsClient(
                reactor, dns, endpoints, tls, deadline_s=POST_DEADLINE_S, allowed=on_the_internet
            ),
            hostname=settings.hostname,
            sender=outbound.tls_reports_from or _postmaster(settings),
            timers=reactor,
            wall_clock=time.time,
            random=Random(),
        )
    policies = Policies(dns, proves=dns.proves, sts=sts, refusals=counting)
    desk = TlsReportsDesk(store.tls_counts, counted.flush, time.time, counting=outbound.tls_reports)
    return TlsCare(dns, policies, counting, desk, sts, reports)


def _postmaster(settings: Settings) -> str:
    """Who hears of what our own domains' mail does (RFC 5321 section 4.5.1)."""
    return f"postmaster@{next(iter(settings.domains), settings.hostname)}"
