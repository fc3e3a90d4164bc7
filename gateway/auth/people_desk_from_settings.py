"""The desk for people as the settings have it: at a running gateway, and on a command's own store.

Owns construction alone.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

from gateway.auth.app_passwords_desk import AppPasswordDesk
from gateway.auth.app_passwords_making import AppPasswordMaker
from gateway.auth.group_mailboxes import GroupMailboxes
from gateway.auth.people_desk import PeopleDesk, Whence
from gateway.auth.person_known import KeptOfPeople, Obstacles, PersonKnown
from gateway.core.ports.clock import WallClock
from gateway.core.ports.directory import Directory
from gateway.core.ports.routing import Router
from gateway.core.ports.standings import Standings
from gateway.core.ports.trace import TraceStore
from gateway.core.settings.groups import shares_in
from gateway.core.settings.model import Settings, each_directory
from gateway.directory.threads import WorkerThreads


class Kept(KeptOfPeople, Protocol):
    """What the store keeps of people."""

    @property
    def standings(self) -> Standings: ...


def people_desk_from(
    settings: Settings,
    directory: Directory,
    router: Router,
    kept: Kept,
    trace: TraceStore,
    threads: WorkerThreads,
    wall_clock: WallClock,
    revoked: Callable[[], Awaitable[None]],
    obstacles: Obstacles | None = None,
    whence: Whence | None = None,
) -> PeopleDesk:
    """See ``PeopleDesk``, ``AppPasswordDesk`` and ``PersonKnown``."""
    section = settings.app_passwords
    maker = AppPasswordMaker(
        kept.app_passwords,
        directory,
        threads=threads,
        wall_clock=wall_clock,
        most=section.most,
        expire_days=section.expire_days,
        iterations=settings.login.scram_iterations,
        salt_octets=settings.login.scram_salt_octets,
    )
    app_passwords = AppPasswordDesk(
        kept.app_passwords,
        maker,
        trace,
        enabled=section.enabled,
        networks=settings.networks,
        wall_clock=wall_clock,
        revoked=revoked,
    )
    outage_days = settings.login.outage_days
    known = PersonKnown(kept, wall_clock, outage_days=outage_days, obstacles=obstacles)
    mailboxes = GroupMailboxes(directory, shares_in(settings.groups, settings.domains))
    return PeopleDesk(
        directory,
        router,
        kept.standings,
        kept.refusals,
        app_passwords,
        known,
        mailboxes,
        [name or "directory" for name, _ in each_directory(settings)],
        whence,
    )
