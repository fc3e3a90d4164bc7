"""Concrete objects from settings: the one place that knows every class of the house.

Owns construction and who is given what; never decides anything at run time.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from gateway.app import descriptors
from gateway.app.directories import Directories, directories_from
from gateway.app.free_space import FreeSpace
from gateway.app.hurry import Hurry, Starter, revive
from gateway.app.logins import Logins, issuer_from, login_threads, logins_from
from gateway.app.outbound import make_queue, outbound_trust
from gateway.app.people_care import PeopleCare
from gateway.app.picturing import Picturing
from gateway.app.policies import Counting, counting_alone, make_policies, policy_lists
from gateway.app.sharing import sharing_from
from gateway.app.submissions import group_rules, posting_from, send_as_from, submission_from
from gateway.app.tls_care import TlsCare, make_tls_care
from gateway.app.ways import Ways, make_ways
from gateway.auth.people_desk import PeopleDesk
from gateway.auth.people_desk_from_settings import people_desk_from
from gateway.auth.people_followed import ForgetsLogins
from gateway.auth.realm import MailRealm
from gateway.core.new_ids import PROCESS_BITS, id_source
from gateway.core.ports.directory import Directory
from gateway.core.ports.people import PeopleChanged
from gateway.core.ports.queue import QueueStarter
from gateway.core.quota import Quota
from gateway.core.settings.model import Settings
from gateway.delivery.destinations import Destinations
from gateway.delivery.dns.services import ServicesByDns, make_resolver
from gateway.edge.sessions import Limits, Sessions
from gateway.edge.smtp.services import SubmissionServices
from gateway.people.desk import LeaversDesk
from gateway.people.from_settings import leaver_mail_from, leavers_desk_from
from gateway.policy.connections import ConnectionLimits
from gateway.policy.engine import Policy
from gateway.policy.posting import GroupPosting
from gateway.policy.quota import QuotaPolicy
from gateway.policy.quota_warnings import QuotaWarner
from gateway.queue.desk import QueueDesk
from gateway.queue.runner import QueueRunner
from gateway.routing.domains import DomainRouter
from gateway.routing.from_settings import router_from
from gateway.store.store import Store

DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class Parts:
    """What a running gateway consists of, besides its sockets."""

    settings: Settings
    store: Store
    directories: Directories
    directory: Directory
    logins: Logins
    router: DomainRouter
    sessions: Sessions
    queue: QueueRunner
    quota: QuotaPolicy
    new_id: Callable[[], str]
    policies: Mapping[str, Policy]
    free_space: FreeSpace
    queue_desk: QueueDesk
    people_desk: PeopleDesk
    people_care: PeopleCare
    leavers_desk: LeaversDesk
    submission: SubmissionServices
    posting: GroupPosting
    picturing: Picturing
    queue_starter: QueueStarter | None = None
    ways: Ways | None = None
    tls_care: TlsCare | None = None


def open_alone(settings: Settings, reactor: Any) -> Store:
    """The store, for one process that serves it alone. Raises: StoreUnavailable, SchemaTooNew."""
    destinations = Destinations(settings.outbound)
    return Store.open(
        Path(settings.state_dir),
        destination_of=destinations,
        configuration=destinations.fingerprint,
        call_from_thread=reactor.callFromThread,
        wall_clock=time.time,
        keep_deleted_s=settings.deleted_mail.keep_s,
        keep_traces_s=settings.trace.keep_s,
        trace_octets=settings.trace.max_octets,
        keep_passwords_s=settings.login.outage_days * DAY_S,
    )


def join_store(name: str, settings: Settings, reactor: Any) -> Store:
    """The store that another process holds, for one of several. Raises: StoreUnavailable."""
    destinations = Destinations(settings.outbound)
    return Store.join(
        Path(settings.state_dir),
        destination_of=destinations,
        configuration=destinations.fingerprint,
        name=name,
        care=False,
        call_from_thread=reactor.callFromThread,
        wall_clock=time.time,
        keep_deleted_s=settings.deleted_mail.keep_s,
        keep_traces_s=settings.trace.keep_s,
        trace_octets=settings.trace.max_octets,
        keep_passwords_s=settings.login.outage_days * DAY_S,
    )


def build(
    settings: Settings,
    reactor: Any,
    *,
    open_store: Callable[[Settings, Any], Store] = open_alone,
    limits: Limits | None = None,
    counting: Counting | None = None,
    queue_owner: str = "runner",
    hurry: Hurry | None = None,
) -> Parts:
    """Everything but the doors.

    Args:
        open_store: called once the settings have proved usable, so that nothing is made in vain.
        limits: of connections; None: the settings', for one process.
        counting: of what policies bound; None: for one process.
        queue_owner: names our queue in leases.
        hurry: tells whoever runs the queue; None: that is this process.

    Raises:
        SettingsError: a file named in the settings cannot be used.
        StoreUnavailable, SchemaTooNew: the store cannot be opened.
    """
    trust = outbound_trust(settings)
    finds = ServicesByDns(make_resolver(settings.outbound, reactor))
    counting = counting or counting_alone()
    directories = directories_from(settings, reactor, finds, counting.logins.tallies)
    directory = directories.directory
    router = router_from(settings, directory, reactor.callFromThread, whence=directories.whence)
    threads = login_threads(reactor)
    issuer = issuer_from(settings.oauth, threads, reactor)
    send_as = send_as_from(settings, reactor)
    meaning = group_rules(settings, directory)
    lists = policy_lists(settings, reactor)
    store = open_store(settings, reactor)
    router.ask_about_leavers(leaver_mail_from(settings, directory, store.people.notes, time.time))
    care = PeopleCare(settings, directory, store, reactor, time.time)
    policies = make_policies(settings, reactor, store, counting, lists)
    new_id = id_source(time.time, secrets.randbits(PROCESS_BITS))
    quota = _quota(settings, store, new_id)
    sharing = sharing_from(settings, directory, store, quota.learn)
    realm = MailRealm(store, quota.learn, sharing)
    logins = logins_from(
        settings,
        directory,
        realm,
        issuer=issuer,
        threads=threads,
        memory=counting.logins,
        kept=store.people,
        reactor=reactor,
    )
    bounds = settings.limits
    sessions = Sessions(
        limits or ConnectionLimits(bounds.connections, bounds.connections_per_address),
        new_id,
        descriptors.room(),
    )
    tls_care = make_tls_care(settings, reactor, trust.tls, store)
    ways = make_ways(settings, reactor, tls_care.dns, tls_care.policies)
    queue, desk = make_queue(
        settings,
        reactor,
        trust,
        store,
        router,
        ways,
        quota.learn,
        queue_owner,
        threads,
        witness=tls_care.witness,
        tls_reports=tls_care.desk,
    )
    return Parts(
        settings,
        store,
        directories,
        directory,
        logins,
        router,
        sessions,
        queue,
        quota,
        new_id,
        policies=policies,
        free_space=FreeSpace(Path(settings.state_dir), reactor),
        queue_desk=desk,
        people_desk=people_desk_from(
            settings,
            directory,
            router,
            store.people,
            store.trace,
            threads,
            time.time,
            logins.app_passwords.look,
            logins.obstacles,
            directories.whence,
        ),
        people_care=care,
        leavers_desk=leavers_desk_from(store, directory, care.follower, time.time),
        submission=submission_from(
            settings,
            store=store,
            router=router,
            directory=directory,
            send_as=send_as,
            meaning=meaning,
        ),
        posting=posting_from(settings, meaning),
        picturing=Picturing(directories, reactor, _followers(logins, care)),
        queue_starter=Starter(store.queue, hurry or partial(revive, queue)),
        ways=ways,
        tls_care=tls_care,
    )


def _followers(logins: Logins, care: PeopleCare) -> tuple[PeopleChanged, ...]:
    """Who hears of people as the directory changes, in this order."""
    return (ForgetsLogins(logins.aids.remembered, logins.aids.keeper), care.follower)


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
