"""Concrete objects from settings: the one place that knows every class of the house.

Owns construction and who is given what; never decides anything at run time.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from random import Random
from typing import Any

from twisted.cred.portal import Portal
from twisted.internet.defer import Deferred
from twisted.internet.ssl import Certificate, trustRootFromCertificates
from twisted.names.client import createResolver
from twisted.names.dns import DNSDatagramProtocol

from gateway.app.free_space import FreeSpace
from gateway.app.policies import Counting, make_policies
from gateway.app.routes import router_from
from gateway.auth.checkers import DirectoryChecker
from gateway.auth.realm import MailRealm
from gateway.core.errors import SettingsError, SettingsProblem
from gateway.core.new_ids import PROCESS_BITS, id_source
from gateway.core.ports.directory import Directory
from gateway.core.ports.queue import QueueStarter
from gateway.core.quota import Quota
from gateway.core.settings.checks import split_host_port
from gateway.core.settings.model import Settings
from gateway.delivery.mx import MxLookup
from gateway.delivery.next_hop import NextHop, parse_next_hop
from gateway.delivery.remote import RemoteDelivery, tcp_endpoints
from gateway.delivery.tls import ClientTls
from gateway.directory.from_settings import directory_from
from gateway.edge.sessions import Limits, Sessions
from gateway.policy.connections import ConnectionLimits
from gateway.policy.engine import Policy
from gateway.policy.quota import QuotaPolicy
from gateway.policy.quota_warnings import QuotaWarner
from gateway.queue.runner import QueueRunner
from gateway.queue.schedule import Schedule
from gateway.routing.domains import DomainRouter
from gateway.store.store import Store


@dataclass(frozen=True, slots=True)
class Parts:
    """What a running gateway consists of, besides its sockets."""

    settings: Settings
    store: Store
    directory: Directory
    portal: Portal
    router: DomainRouter
    sessions: Sessions
    queue: QueueRunner
    quota: QuotaPolicy
    new_id: Callable[[], str]
    policies: Mapping[str, Policy]
    free_space: FreeSpace
    queue_starter: QueueStarter | None = None


def open_alone(settings: Settings, reactor: Any) -> Store:
    """The store, for one process that serves it alone. Raises: StoreUnavailable, SchemaTooNew."""
    return Store.open(
        Path(settings.state_dir),
        call_from_thread=reactor.callFromThread,
        wall_clock=time.time,
        keep_deleted_s=settings.deleted_mail.keep_s,
        keep_traces_s=settings.trace.keep_s,
        trace_octets=settings.trace.max_octets,
    )


def join_store(name: str, settings: Settings, reactor: Any) -> Store:
    """The store that another process holds, for one of several. Raises: StoreUnavailable."""
    return Store.join(
        Path(settings.state_dir),
        name=name,
        care=False,
        call_from_thread=reactor.callFromThread,
        wall_clock=time.time,
        keep_deleted_s=settings.deleted_mail.keep_s,
        keep_traces_s=settings.trace.keep_s,
        trace_octets=settings.trace.max_octets,
    )


def build(
    settings: Settings,
    reactor: Any,
    *,
    open_store: Callable[[Settings, Any], Store] = open_alone,
    limits: Limits | None = None,
    counting: Counting | None = None,
    queue_owner: str = "runner",
) -> Parts:
    """Everything but the doors.

    Args:
        open_store: called once the settings have proved usable, so that nothing is made in vain.
        limits: of connections; None: the settings', for one process.
        counting: of what policies bound; None: for one process.
        queue_owner: names our queue in leases.

    Raises:
        SettingsError: a file named in the settings cannot be used.
        StoreUnavailable, SchemaTooNew: the store cannot be opened.
    """
    smart_host, tls = _outbound_trust(settings)
    directory = directory_from(
        settings.directory,
        call_from_thread=reactor.callFromThread,
        timers=reactor,
        members=settings.recipients.members,
    )
    router = router_from(settings, directory, reactor.callFromThread)
    store = open_store(settings, reactor)
    policies = _policies(settings, reactor, store, counting)
    new_id = id_source(time.time, secrets.randbits(PROCESS_BITS))
    quota = _quota(settings, store, new_id)
    # Any: mypy does not see what zope's @implementer declares.
    realm: Any = MailRealm(store, quota.learn)
    checker: Any = DirectoryChecker(directory)
    portal = Portal(realm, [checker])
    bounds = settings.limits
    sessions = Sessions(
        limits or ConnectionLimits(bounds.connections, bounds.connections_per_address), new_id
    )
    delivery = RemoteDelivery(
        settings.hostname,
        source=store,
        mx=MxLookup(
            _resolver(settings),
            Random(),
            own_names=(settings.hostname,),
            own_addresses=_own_addresses(settings),
        ),
        endpoints=tcp_endpoints(reactor),
        tls=tls,
        timers=reactor,
        smart_host=smart_host,
        smart_host_password=settings.outbound.smart_host_password.get_secret_value().encode(),
    )
    queue = QueueRunner(
        store,
        delivery,
        router,
        hostname=settings.hostname,
        timers=reactor,
        wall_clock=time.time,
        random=Random(),
        schedule=Schedule(settings.outbound.retry_after_s, settings.outbound.lifetime_s),
        owner=queue_owner,
    )
    return Parts(
        settings,
        store,
        directory,
        portal,
        router,
        sessions,
        queue,
        quota,
        new_id,
        policies=policies,
        free_space=FreeSpace(Path(settings.state_dir), reactor),
    )


def _policies(
    settings: Settings, reactor: Any, store: Store, counting: Counting | None
) -> Mapping[str, Policy]:
    try:
        return make_policies(settings, reactor, store, counting)
    except BaseException:
        Deferred.fromCoroutine(store.close())
        raise


def _quota(settings: Settings, store: Store, new_id: Callable[[], str]) -> QuotaPolicy:
    section = settings.quota
    policy = QuotaPolicy(
        store.quota,
        default=Quota(section.octets, section.messages),
        check=section.check,
        rejects=section.answer == "reject",
    )
    warner = QuotaWarner(
        store.quota, store, policy, hostname=settings.hostname, new_id=new_id, wall_clock=time.time
    )
    warner.start()
    return policy


def _outbound_trust(settings: Settings) -> tuple[NextHop | None, ClientTls]:
    outbound = settings.outbound
    smart_host = parse_next_hop(outbound.smart_host) if outbound.smart_host else None
    if not outbound.ca_file:
        return smart_host, ClientTls()
    try:
        blocks = Path(outbound.ca_file).read_text("ascii").split("-----END CERTIFICATE-----")[:-1]
        end = "-----END CERTIFICATE-----\n"
        authorities = [Certificate.loadPEM(f"{block}{end}".encode()) for block in blocks]
        if not authorities:
            raise ValueError("no certificate in it")
    except (OSError, ValueError) as error:
        problem = SettingsProblem(
            outbound.ca_file, "outbound.ca_file", str(error), "a file of PEM certificates"
        )
        raise SettingsError([problem]) from None
    return smart_host, ClientTls(trustRootFromCertificates(authorities))


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
