"""Where administrators look at the queue and change what waits in it, by calls in JSON's shapes.

Owns the table of calls: the views (``list``, ``show``, ``shape``, ``destinations``) are in
``desk_views``, the deeds (``retry``, ``hold``, ``release``, ``reroute``, ``delete``, ``bounce``) in
``desk_deeds``, what they take and answer in ``desk_forms``; suppressed addresses, hold rules and
reports about TLS have desks of their own. Works beside the runner of this process, or without one
on a store that nobody serves. Never parses a command line.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from gateway.core.log_text import escaped
from gateway.core.ports.clock import Timers, WallClock
from gateway.core.ports.queue import QueueControl, QueueStore
from gateway.core.ports.routing import Router
from gateway.core.ports.trace import TraceStore
from gateway.delivery.targets import Routes
from gateway.queue.desk_deeds import Deeds, Sending
from gateway.queue.desk_forms import Answer, Arguments, CallRefused, argument
from gateway.queue.desk_views import RuleOf, Snapshot, Views
from gateway.queue.guards import Guards
from gateway.queue.hold_rules_desk import HoldRulesDesk
from gateway.queue.journal import Journal
from gateway.queue.reports import ReportWriter
from gateway.queue.suppression_desk import SuppressionDesk
from gateway.queue.tls_reports_desk import TlsReportsDesk


class Runner(Sending, Snapshot, Protocol):
    """Who sends, as far as the desk is concerned."""


class QueueDesk:
    """Answers calls.

    Args:
        reports: for ``bounce``.
        runner: None where nobody sends.
        trace: what happened to messages; None: that is not told.
        rule_of: what decides where messages go; None: likewise.
        routes: the hosts that they would go to now; None: likewise.
        timers: for the time that ``routes`` may take.
        router: where messages go by the settings, for ``reroute``; None: nobody can ask.
        logins: users at servers whose passwords are known, likewise.
        hasten: told of each destination that is to be tried at once.
        tls_reports: what is counted for them; None: that is not told.
    """

    def __init__(
        self,
        store: QueueStore,
        control: QueueControl,
        reports: ReportWriter,
        journal: Journal,
        wall_clock: WallClock,
        runner: Runner | None = None,
        *,
        trace: TraceStore | None = None,
        rule_of: RuleOf | None = None,
        routes: Routes | None = None,
        timers: Timers | None = None,
        router: Router | None = None,
        logins: frozenset[str] = frozenset(),
        guards: Guards | None = None,
        hasten: Callable[[str], None] = lambda _: None,
        tls_reports: TlsReportsDesk | None = None,
    ) -> None:
        self._deeds = Deeds(
            store, control, reports, journal, wall_clock, runner, router, logins, hasten
        )
        self._views = Views(control, wall_clock, runner, trace, rule_of, routes, timers)
        self._others: list[SuppressionDesk | HoldRulesDesk | TlsReportsDesk] = []
        if tls_reports is not None:
            self._others.append(tls_reports)
        if guards is not None:
            fresh, hold = guards.fresh, self._deeds.do
            self._others += [
                SuppressionDesk(guards.suppressions, journal, wall_clock, fresh),
                HoldRulesDesk(guards.rules, control, hold, journal, wall_clock, fresh),
            ]

    async def call(self, name: str, arguments: Arguments, actor: str) -> Answer:
        """Args:
            actor: who asks, for log and trace.

        Raises: CallRefused, StoreUnavailable.
        """
        if name in self._deeds:
            return await self._deeds.do(name, arguments, actor)
        match name:
            case "list":
                return await self._views.listed(arguments)
            case "show":
                return await self._show(arguments)
            case "shape":
                return await self._views.shape(arguments)
            case "destinations":
                return await self._views.destinations(arguments)
        for other in self._others:
            if name in other.CALLS:
                return await other.call(name, arguments, actor)
        raise CallRefused()

    async def _show(self, arguments: Arguments) -> Answer:
        wanted = argument(arguments, "id", str, "")
        entry = await self._deeds.find(wanted)
        if entry is None:
            raise CallRefused(
                f"no message {escaped(wanted, 40)!r} waits in the queue; `gateway trace` tells what"
                " became of it"
            )
        return await self._views.message(entry)
