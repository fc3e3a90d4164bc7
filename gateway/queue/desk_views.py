"""What administrators see of the queue: pages, its shape, destinations, one message with its route.

Owns which sources a view is made of: the store for what waits, the runner for what destinations do
now, the routes for where mail would go now, the trace for what happened. Changes nothing. Where
nobody runs the queue, or routes and trace are not to be had, their part of the answer says so.

Limits: MAX_PAGE messages and MAX_ROWS rows in one answer; MAX_ROUTES routes of one message,
asked for at once and found within ROUTE_S.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from twisted.internet.defer import CancelledError, Deferred

from gateway.core.errors import GatewayError
from gateway.core.ids import QueueId
from gateway.core.messages import LOCAL
from gateway.core.ports.clock import Timers, WallClock
from gateway.core.ports.queue import QueueControl
from gateway.core.ports.trace import TraceStore
from gateway.core.queue import (
    SHAPE_AGES_S,
    DestinationStatus,
    QueueEntry,
    QueueItem,
    QueueState,
    ShapeRow,
    WaitingStatus,
)
from gateway.delivery.destinations import Destinations
from gateway.delivery.targets import NoRoute, Routes, Target
from gateway.queue.desk_forms import (
    Answer,
    Arguments,
    CallRefused,
    argument,
    entry_of,
    filter_of,
    limit_in,
    part_of,
    recipient_of,
    row_of,
    shape_row_of,
    status_of,
)
from gateway.queue.desk_history import history_of

MAX_PAGE = 1000
MAX_ROWS = 1000
MAX_ROUTES = 20
MAX_HOSTS = 20
ROUTE_S = 15.0


class Snapshot(Protocol):
    """The runner, as far as views concern it."""

    def snapshot(self) -> Sequence[DestinationStatus]: ...


RuleOf = Callable[[QueueItem], str]
"""What decides where the item goes, in words."""


class Views:
    """Args:
    runner: None where nobody sends.
    rule_of: None where no configuration is at hand.
    routes: None where nobody is there to ask name servers.
    timers: for the time that routes may take.
    """

    def __init__(
        self,
        control: QueueControl,
        wall_clock: WallClock,
        runner: Snapshot | None,
        trace: TraceStore | None,
        rule_of: RuleOf | None,
        routes: Routes | None,
        timers: Timers | None,
    ) -> None:
        self._control = control
        self._wall_clock = wall_clock
        self._runner = runner
        self._trace = trace
        self._rule_of = rule_of
        self._routes = routes
        self._timers = timers

    async def listed(self, arguments: Arguments) -> Answer:
        limit = limit_in(arguments, 100, MAX_PAGE)
        after = argument(arguments, "after", str, "")
        which = filter_of(arguments)
        found = await self._control.listed(which, after=QueueId(after) or None, limit=limit)
        more = found[-1].queue_id if len(found) == limit else ""
        return {"messages": [row_of(each) for each in found], "more_after": more}

    # -- destinations

    async def shape(self, arguments: Arguments) -> Answer:
        """Rows by age, the fullest first; what is behind the limit is summed up."""
        limit = limit_in(arguments, 50, MAX_ROWS)
        by = argument(arguments, "by", str, "destination")
        if by not in ("destination", "sender"):
            raise CallRefused(f"by: found {by}; expected destination or sender")
        found = await self._control.shape(int(self._wall_clock()), by_sender=by == "sender")
        rows = sorted(found, key=lambda each: (-sum(each.messages), each.name))
        return {
            "ages_s": list(SHAPE_AGES_S),
            "rows": [shape_row_of(each) for each in rows[:limit]],
            "more_rows": max(0, len(rows) - limit),
            "rest": shape_row_of(_sum(rows[limit:])),
            "total": shape_row_of(_sum(rows)),
        }

    async def destinations(self, arguments: Arguments) -> Answer:
        """What waits for each destination, and what the runner does about it: those in trouble
        first, then the fullest."""
        limit = limit_in(arguments, 100, MAX_ROWS)
        now = self._wall_clock()
        shape = await self._control.shape(int(now))
        waiting = {each.name: each for each in shape}
        seen = self._statuses()
        names = [each.name for each in shape]
        names += [name for name in seen if name not in waiting]
        rows: list[Answer] = []
        for name in names:
            row = waiting.get(name) or ShapeRow(name, (0,), 0)
            status = seen.get(name) or DestinationStatus(name, 0, 0)
            told = {"waiting": sum(row.messages), "octets": row.octets, "known": name in seen}
            rows.append({**status_of(status), **told})
        rows.sort(key=lambda row: (not is_dead(row, now), -row["waiting"], row["destination"]))
        return {
            "runs_here": self._runner is not None,
            "destinations": rows[:limit],
            "more_rows": max(0, len(rows) - limit),
        }

    def _statuses(self) -> Mapping[str, DestinationStatus]:
        if self._runner is None:
            return {}
        return {each.destination: each for each in self._runner.snapshot()}

    # -- one message

    async def message(self, entry: QueueEntry) -> Answer:
        now = self._wall_clock()
        seen = self._statuses()
        parts = {each.destination: each for each in entry.parts}
        answer = entry_of(entry)
        answer["recipients"] = [
            {
                **recipient_of(each),
                "why": _why(
                    entry,
                    each,
                    parts[each.destination].state
                    if each.destination in parts
                    else entry.message.state,
                    seen.get(each.destination),
                    now,
                ),
            }
            for each in entry.recipients
        ]
        routes = [
            Deferred.fromCoroutine(self._route(entry, part.destination))
            for part in entry.parts[:MAX_ROUTES]
        ]
        answer["parts"] = []
        for number, part in enumerate(entry.parts):
            shown = part_of(part)
            if number < len(routes):
                shown["route"] = await routes[number]
            if part.destination in seen:
                shown["now"] = status_of(seen[part.destination])
            answer["parts"].append(shown)
        return {**answer, **await history_of(self._trace, entry)}

    async def _route(self, entry: QueueEntry, destination: str) -> Answer:
        """Which rule and hosts would be used now."""
        theirs = tuple(
            each.recipient for each in entry.recipients if each.destination == destination
        )
        if destination == LOCAL:
            return {"rule": "a mailbox here", "hosts": [], "problem": ""}
        item = replace(entry.item, recipients=theirs, destination=destination)
        rule = self._rule_of(item) if self._rule_of is not None and theirs else ""
        answer: Answer = {"rule": rule, "hosts": [], "problem": ""}
        if self._routes is None or not theirs:
            answer["problem"] = "the running gateway alone finds the hosts"
            return answer
        asked: Deferred[Sequence[Target]] = Deferred.fromCoroutine(self._targets(item))
        limit = None if self._timers is None else self._timers.callLater(ROUTE_S, asked.cancel)
        try:
            targets = await asked
            answer["hosts"] = [_host(each) for each in targets[:MAX_HOSTS]]
        except NoRoute as none:
            answer["problem"] = f"{none.status} {none.text}"
        except GatewayError as error:
            answer["problem"] = str(error)
        except CancelledError:
            answer["problem"] = f"no answer from name servers within {ROUTE_S:g} s"
        finally:
            if limit is not None and limit.active():
                limit.cancel()
        return answer

    async def _targets(self, item: QueueItem) -> Sequence[Target]:
        assert self._routes is not None
        return await self._routes.targets(item)


def rule_from(destinations: Destinations) -> RuleOf:
    """As the configuration has them."""

    def rule_of(item: QueueItem) -> str:
        first = item.recipients[0]  # all of them go there for the same reason, or nearly so
        return destinations.rule(item.sender, first.address, first.next_hop).why

    return rule_of


def is_dead(row: Mapping[str, object], now: float) -> bool:
    """A destination, in JSON's shape, that is put off because nobody there could be talked to."""
    until = row["dead_until"]
    return isinstance(until, int | float) and until > now


def _sum(rows: Sequence[ShapeRow]) -> ShapeRow:
    counts = [0] * (len(SHAPE_AGES_S) + 1)
    for row in rows:
        for index, count in enumerate(row.messages):
            counts[index] += count
    return ShapeRow("", tuple(counts), sum(row.octets for row in rows))


def _host(target: Target) -> Answer:
    return {
        "host": target.host,
        "ip": target.ip,
        "port": target.port,
        "socket": target.socket,
        "preference": target.preference,
        "protocol": target.protocol,
        "implicit_tls": target.implicit_tls,
        "user": "" if target.login is None else target.login.user,
        "tls": target.demand.protection.value,
        "tls_policy": target.demand.policy,
    }


def _why(
    entry: QueueEntry,
    one: WaitingStatus,
    state: QueueState,
    seen: DestinationStatus | None,
    now: float,
) -> str:
    """What the recipient waits for."""
    if state is QueueState.HELD:
        return f"held: {entry.message.hold}"
    if seen is not None and seen.dead_until is not None and seen.dead_until > now:
        return f"nobody at {one.destination} can be talked to: {seen.problem or 'no answer'}"
    at = one.next_attempt_at
    if state is QueueState.SENDING and (at is None or at <= now):
        if seen is not None and not seen.in_flight:
            return f"in the line for {one.destination}"
        return "it is being sent, or about to be"
    if at is not None and at > now:
        return "deferred by the last answer" if one.recipient.attempts else "for its time to come"
    if seen is None:
        return "due"
    if seen.limited_until is not None and seen.limited_until > now:
        if seen.problem:
            return f"{one.destination} asks for less: {seen.problem}"
        return f"as many messages as its rate allows go to {one.destination}"
    if seen.in_flight >= seen.window:
        used = f"{seen.in_flight} of {seen.window} connections to {one.destination} are in use"
        return f"for room: {used}"
    return "due"
