"""The policies of a process, on what the process has: memory for counting, DNS, a thread for files.

Owns which resolver the checks ask: their own one without the cache of Twisted's, which strangers
could fill without end, and without the local hosts file.
"""

from __future__ import annotations

import secrets
import time
from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.names.client import Resolver
from twisted.names.dns import DNSDatagramProtocol

from gateway.app.counting import MARKS
from gateway.auth.login_memory import LoginMemory
from gateway.core.settings.checks import split_host_port
from gateway.core.settings.model import Settings
from gateway.core.shared_counters import SLOTS, SharedCounters
from gateway.core.shared_marks import WORDS, SharedMarks, Words
from gateway.policy.connections import ConnectionLimits
from gateway.policy.dns import Dns
from gateway.policy.engine import Policy
from gateway.policy.from_settings import (
    Lists,
    PolicyMaker,
    connection_bounds,
    names_in_use,
    read_lists,
)
from gateway.policy.open_connections import OpenLimits
from gateway.store.payloads import Nothing
from gateway.store.readers import Closable, Pool
from gateway.store.store import Store

T = TypeVar("T")

MAX_WAITING = 100
"""Looks at lists' files that wait for the thread."""


@dataclass(frozen=True, slots=True)
class Counting:
    """How this process counts.

    Args:
        open_limits: makes the bounds of the check with this number, from ``total`` and
            ``per_address``.
    """

    counters: SharedCounters
    logins: LoginMemory
    open_limits: Callable[[int, int, int], OpenLimits]


def counting_alone() -> Counting:
    """For one process."""
    counters = SharedCounters(array("d", bytes(8 * SLOTS)), secrets.token_bytes(16), time.monotonic)
    tables = [array("Q", bytes(8 * WORDS)) for _ in range(MARKS)]
    logins = login_memory(counters, tables, secrets.token_bytes(16))
    return Counting(
        counters, logins, lambda _, total, per_address: ConnectionLimits(total, per_address)
    )


def login_memory(counters: SharedCounters, tables: Sequence[Words], key: bytes) -> LoginMemory:
    """Of MARKS tables."""
    marks = (SharedMarks(table, key, time.monotonic) for table in tables)
    return LoginMemory(counters, *marks)


def policy_lists(settings: Settings, reactor: Any) -> Lists:
    """The lists of the policies that listeners have. Raises: SettingsError (a list's file)."""
    return read_lists(
        settings.policies,
        names_in_use(settings.listen),
        timers=reactor,
        in_thread=_FileThread(reactor.callFromThread),
    )


def make_policies(
    settings: Settings, reactor: Any, store: Store, counting: Counting, lists: Lists
) -> Mapping[str, Policy]:
    """The policies that listeners have."""
    names = names_in_use(settings.listen)
    bounds = connection_bounds(settings.policies, names)
    open_limits = [
        counting.open_limits(number, total, per_address)
        for number, (total, per_address) in enumerate(bounds)
    ]
    maker = PolicyMaker(
        hostname=settings.hostname,
        networks=settings.networks,
        counters=counting.counters,
        open_limits=iter(open_limits),
        dns=cache(lambda: Dns(_resolver(settings, reactor), reactor)),
        greylist=store.greylist,
        timers=reactor,
        wall_clock=time.time,
        lists=lists,
    )
    return maker.policies(settings.policies, names)


class _FileThread:
    """One thread that reads lists' files, begun when the first is to be looked at."""

    def __init__(self, call_from_thread: Any) -> None:
        self._call_from_thread = call_from_thread
        self._pool: Pool[Closable] | None = None

    def __call__(self, work: Callable[[], T], /) -> Deferred[T]:
        if self._pool is None:
            nothing: list[Closable] = [Nothing()]
            self._pool = Pool("policy-files", nothing, self._call_from_thread, MAX_WAITING)
            self._pool.start()
        return self._pool.run(lambda _: work())


def _resolver(settings: Settings, reactor: Any) -> Any:
    DNSDatagramProtocol.noisy = False  # two lines in the log for each question, without its name
    servers = [split_host_port(address) for address in settings.outbound.resolvers]
    resolv = None if servers else "/etc/resolv.conf"
    return Resolver(resolv=resolv, servers=servers, reactor=reactor)
