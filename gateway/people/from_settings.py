"""What follows people, what becomes of their mail, and the desk, as the settings have it.

Owns construction alone: for a running gateway, and for a command on its own store.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from gateway.core.ports.clock import WallClock
from gateway.core.ports.directory import Directory
from gateway.core.ports.people_notes import PeopleNotes
from gateway.core.ports.trace import TraceStore
from gateway.core.settings.model import Settings, each_directory
from gateway.people.desk import LeaversDesk
from gateway.people.following import PeopleFollower
from gateway.people.mail import DAY_S, LeaverMail, LeaverPolicy
from gateway.people.removal import Mailboxes, Remover
from gateway.wire.address import parse_mailbox


class Kept(Protocol):
    """What the store keeps of people."""

    @property
    def notes(self) -> PeopleNotes: ...


class Keeps(Mailboxes, Protocol):
    """What is needed of a store."""

    @property
    def people(self) -> Kept: ...

    @property
    def trace(self) -> TraceStore: ...


def leaver_mail_from(
    settings: Settings, directory: Directory, notes: PeopleNotes, wall_clock: WallClock
) -> LeaverMail:
    """What routing asks. The address in the settings has been checked."""
    section = settings.leavers
    policy = LeaverPolicy(
        section.mail,
        section.after_days * DAY_S,
        parse_mailbox(section.forward_to) if section.forward_to else None,
        section.gone == "as_disabled",
        section.keep_addresses_days * DAY_S,
    )
    return LeaverMail(policy, notes, directory, wall_clock)


def follower_from(
    settings: Settings,
    directory: Directory,
    notes: PeopleNotes,
    *,
    wall_clock: WallClock,
    pause: Callable[[], Coroutine[Any, Any, None]],
    on_listed: Callable[[], None],
) -> PeopleFollower:
    """See ``PeopleFollower``. Of several directories the most careful one counts."""
    return PeopleFollower(
        notes,
        directory,
        keep_s=settings.leavers.keep_addresses_days * DAY_S,
        mass_change_percent=min(each.mass_change_percent for _, each in each_directory(settings)),
        wall_clock=wall_clock,
        pause=pause,
        on_listed=on_listed,
    )


def leavers_desk_from(
    store: Keeps, directory: Directory, follower: PeopleFollower, wall_clock: WallClock
) -> LeaversDesk:
    notes = store.people.notes
    remover = Remover(notes, store, directory, wall_clock)
    return LeaversDesk(follower, notes, remover, store.trace, wall_clock)
