"""The servers of one directory as one: in order of preference, failing over and failing back.

Owns which server is asked. The best one that is not known to be down is, always: so that when a
better one is back, found so by a probe in the background, the next question goes there. A search
goes on to the next server when one fails, and is asked of two when the first is silent for a third
of the time; a person's bind is sent to one server once, whatever becomes of it (SECURITY L9, L12,
L22). When no server is left, everybody is told at once.

Nothing is opened before the first question, unless they are watched: then those that nobody asks
are probed now and then, so that what is told of them is true. Never judges what servers answer, but
for those answers that say "not now".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from gateway.core.directory_health import DirectoryHealth
from gateway.core.ports.clock import Timer, Timers, WallClock
from gateway.directory.ldap.account import ServiceAccount, ServiceRefused
from gateway.directory.ldap.asking import BindAnswer, Found, LdapFailed, Listening, Server
from gateway.directory.ldap.breaker import State
from gateway.directory.ldap.discovery import Discovery
from gateway.directory.ldap.expiry import Expiry
from gateway.directory.ldap.listening import ListeningTo
from gateway.directory.ldap.member import Member, NotReached, Opens
from gateway.directory.ldap.news import News
from gateway.directory.ldap.opening import Place
from gateway.directory.ldap.patience import within
from gateway.directory.ldap.pool import PoolLimits
from gateway.directory.ldap.race import Patience, Race
from gateway.wire.ldap.messages import Control, SearchRequest

HEDGE_SHARE = 1 / 3
"""Of the deadline, after which a silent server is suspect and a search is asked of the next one."""

FIRST_LOOK_S = 2.0
LOOK_S = 30.0
"""A watched server that nobody has asked for so long is probed."""

Discovers = Callable[[Callable[[Sequence[Place]], None]], Discovery]


class LdapServers:
    """Implements ``asking.Asks`` and ``asking.Watched``.

    Args:
        places: those of the settings, in order.
        discovers: makes what finds more; None: these are all.
        deadline_s: of one question, all servers included.
        connect_s: of one connection, its TLS, or its bind.
        expiry: looks at the certificates that servers show.
        search_controls: with each search.
    """

    def __init__(
        self,
        places: Sequence[Place],
        account: ServiceAccount,
        opens: Opens,
        timers: Timers,
        wall_clock: WallClock,
        *,
        deadline_s: float,
        connect_s: float,
        limits: PoolLimits,
        expiry: Expiry,
        discovers: Discovers | None = None,
        search_controls: Sequence[Control] = (),
    ) -> None:
        self._fixed = tuple(places)
        self._account = account
        self._opens = opens
        self._timers = timers
        self._wall_clock = wall_clock
        self._deadline_s = deadline_s
        self._connect_s = connect_s
        self._limits = limits
        self._expiry = expiry
        self._search_controls = tuple(search_controls)
        self._news = News(wall_clock)
        self._closed = False
        self._returned: Callable[[], None] | None = None
        self._watching: Timer | None = None
        self._members: tuple[Member, ...] = tuple(map(self._member, self._fixed))
        self._discovery = discovers(self._discovered) if discovers is not None else None

    # -- questions

    async def search(self, request: SearchRequest, controls: Sequence[Control] = ()) -> Found:
        await self._ready()
        controls = (*self._search_controls, *controls)
        hedge_s = self._deadline_s * HEDGE_SHARE
        bounded = bool(request.time_limit_s)
        if bounded:
            # The server may take that long, and says so itself when it is over.
            hedge_s = max(hedge_s, request.time_limit_s + 1.0)
        else:
            request = replace(request, time_limit_s=max(1, int(self._deadline_s)))
        patience = Patience(self._deadline_s, hedge_s, hedged=True)

        race: Race[Found] = Race(
            self._timers,
            patience,
            self._following,
            lambda member, left_s: member.search(
                request, controls, deadline_s=left_s, time_may_be_over=bounded
            ),
            lambda error: not isinstance(error, ServiceRefused),
        )
        return await race.run()

    async def bind(self, dn: str, password: bytes) -> BindAnswer:
        await self._ready()
        patience = Patience(self._deadline_s, self._deadline_s * HEDGE_SHARE, hedged=False)

        race: Race[BindAnswer] = Race(
            self._timers,
            patience,
            self._following,
            lambda member, left_s: member.bind(dn, password, deadline_s=left_s),
            lambda error: isinstance(error, NotReached),
        )
        return await race.run()

    async def listening(self) -> Listening:
        await self._ready()
        tried: list[Member] = []
        reasons = []
        while (member := self._following(tried)) is not None:
            tried.append(member)
            try:
                return await self._listening_to(member)
            except ServiceRefused:
                raise
            except LdapFailed as error:
                reasons.append(error.reason)
        raise LdapFailed("; ".join(reasons))

    async def _listening_to(self, member: Member) -> Listening:
        link = await member.open_service(listing=True)
        try:
            root = await member.root_dse(link, deadline_s=self._connect_s)
        except LdapFailed as error:
            link.close()
            member.suspect(error.reason)
            raise
        except BaseException:
            link.close()
            raise
        member.works()
        protection = member.protection.protocol or "clear text"
        return ListeningTo(
            Server(member.name, root, self._account.who, protection),
            link,
            deadline_s=self._deadline_s,
            reply_octets=self._limits.listing_octets,
        )

    async def close(self) -> None:
        self._closed = True
        self.unwatch()
        if self._discovery is not None:
            self._discovery.close()
        for member in self._members:
            member.close()

    # -- watching

    def watch(self, returned: Callable[[], None]) -> None:
        self._returned = returned
        if self._watching is None and not self._closed:
            self._watching = self._timers.callLater(FIRST_LOOK_S, self._look)

    def unwatch(self) -> None:
        self._returned = None
        if self._watching is not None:
            self._watching.cancel()
            self._watching = None

    def _look(self) -> None:
        for member in self._members:
            member.look(LOOK_S)
        self._watching = self._timers.callLater(LOOK_S, self._look)

    # -- choosing

    async def _ready(self) -> None:
        """Raises: LdapFailed (there is nobody to ask)."""
        if self._closed:
            raise LdapFailed("closed")
        if self._discovery is not None and not self._members:
            reason = "DNS did not say in time which servers there are"
            await within(self._timers, self._deadline_s, self._discovery.first_look(), reason)
        elif self._discovery is not None:
            self._discovery.begin_once()
        self._account.check()
        if not any(member.breaker.usable for member in self._members):
            raise LdapFailed(self._why_nobody())

    def _why_nobody(self) -> str:
        if not self._members:
            trouble = self._discovery.trouble if self._discovery is not None else ""
            return f"there is no server to ask{f': {trouble}' if trouble else ''}"
        errors = [member.breaker.last_error for member in self._members]
        return f"no server answers: {'; '.join(dict.fromkeys(errors[:5]))}"

    def _following(self, tried: Sequence[Member]) -> Member | None:
        """The best one that is left."""
        left = [m for m in self._members if m.breaker.usable and m not in tried]
        return min(left, key=lambda m: m.breaker.state is State.SUSPECT, default=None)

    def _lonely(self, member: Member) -> bool:
        return not any(m.breaker.usable for m in self._members if m is not member)

    # -- those there are

    def _member(self, place: Place) -> Member:
        return Member(
            place,
            self._account,
            self._opens,
            self._timers,
            self._wall_clock,
            self._limits,
            connect_s=self._connect_s,
            changed=self._changed,
            lonely=self._lonely,
            showed=partial(self._expiry.saw, place.name),
        )

    def _changed(self, member: Member, before: State, after: State) -> None:
        self._news.changed(member, before, after, self._members)
        if after is State.CLOSED and before is State.HALF_OPEN and self._returned is not None:
            self._returned()
        if after is State.OPEN:
            # Fewer answer now, so whoever is down may have to be asked sooner.
            for other in self._members:
                if other is not member:
                    other.plan_probe()

    def _discovered(self, places: Sequence[Place]) -> None:
        """DNS names others than before; those that are named still keep what is known of them."""
        known = {member.place: member for member in self._members}
        fixed = {(place.host.lower(), place.port) for place in self._fixed}
        wanted = [*self._fixed]
        wanted += [place for place in places if (place.host, place.port) not in fixed]
        members = tuple(
            known.pop(place) if place in known else self._member(place) for place in wanted
        )
        self._members = members
        self._news.found(members)
        for gone in known.values():
            gone.close()
            self._expiry.forget(gone.name)

    # -- what is told

    def health(self) -> DirectoryHealth:
        """As this process has met them."""
        in_use = self._following(())
        best = self._members[0] if self._members else None
        trouble = self._account.trouble
        if self._discovery is not None and not trouble:
            trouble = self._discovery.trouble
        health = DirectoryHealth(
            servers=tuple(member.health(member is in_use) for member in self._members),
            answers=in_use is not None and not self._account.trouble,
            trouble=trouble,
            warnings=self._expiry.warnings(),
        )
        # One that is merely being looked at is none that has been left.
        left = best is not None and best.breaker.state in (State.OPEN, State.HALF_OPEN)
        return replace(health, degraded=left or not health.answers)
