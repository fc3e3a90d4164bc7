"""One server of a directory: its connections, its breaker and the probes that decide about it.

Owns the way from "ask this server" to an answer or the words for why there is none, and what each
outcome says about the server. Never chooses between servers (``servers``).

A probe is a fresh connection with its TLS, the root DSE and the service account's bind, all within
PROBE_S: a server that accepts connections and says nothing fails it (SECURITY L12). It decides
about a server that is down once its pause is over, and at once about one that has been silent. When
it fails all connections to that server are closed, so that nobody waits there any longer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger

from gateway.core.directory_health import ServerHealth
from gateway.core.log_text import escaped
from gateway.core.ports.clock import Timer, Timers, WallClock
from gateway.directory.ldap.account import ServiceAccount, ServiceRefused
from gateway.directory.ldap.asking import BindAnswer, Found, LdapFailed
from gateway.directory.ldap.breaker import Breaker, State
from gateway.directory.ldap.opening import Place
from gateway.directory.ldap.patience import within
from gateway.directory.ldap.pool import Link, Pool, PoolLimits
from gateway.directory.ldap.tls import Protection
from gateway.wire.ldap.filters import Present
from gateway.wire.ldap.messages import (
    BindRequest,
    Control,
    Scope,
    SearchEntry,
    SearchRequest,
)

PROBE_S = 2.5
ROOT_DSE = SearchRequest("", Scope.BASE, Present("objectClass"), ("*", "+"))
LATENCY_SHARE = 0.2
"""Of the newest answer in the mean that is shown."""

TIME_LIMIT_EXCEEDED = 3
# RFC 4511 appendix A: "not now", which another server may see otherwise.
NOT_NOW = {
    1: "operations error",
    3: "time limit exceeded",
    51: "busy",
    52: "unavailable",
    80: "internal error",
    81: "server down",
}


class NotNow(LdapFailed):
    """The server answered that it cannot answer."""


class NotReached(LdapFailed):
    """Nothing was sent that could be counted as an attempt."""


class Opens(Protocol):
    """Opens a connection to a server, TLS included."""

    async def __call__(
        self, place: Place, *, deadline_s: float, message_octets: int
    ) -> tuple[Link, Protection]:
        """Raises: LdapFailed."""
        ...


class Member:
    """One server.

    Args:
        changed: is told when its breaker changes.
        lonely: whether no other server answers.
        showed: is told what protects each connection.
    """

    log = Logger()

    def __init__(
        self,
        place: Place,
        account: ServiceAccount,
        opens: Opens,
        timers: Timers,
        wall_clock: WallClock,
        limits: PoolLimits,
        *,
        connect_s: float,
        changed: Callable[[Member, State, State], None],
        lonely: Callable[[Member], bool],
        showed: Callable[[Protection], None],
    ) -> None:
        self.place = place
        self.latency_s: float | None = None
        self.protection = Protection()
        self._account = account
        self._opens = opens
        self._timers = timers
        self._limits = limits
        self._connect_s = connect_s
        self._changed = changed
        self._showed = showed
        self._closed = False
        self._heard_at = float("-inf")
        self._next_probe: Timer | None = None
        self._probing: Deferred[None] | None = None
        self.breaker = Breaker(
            timers, wall_clock, changed=self._on_change, lonely=lambda: lonely(self)
        )
        self._pool = Pool(self.open_service, timers, limits, usable=lambda: self.breaker.usable)

    @property
    def name(self) -> str:
        return self.place.name

    # -- questions

    async def search(
        self,
        request: SearchRequest,
        controls: Sequence[Control],
        *,
        deadline_s: float,
        time_may_be_over: bool = False,
    ) -> Found:
        """Args:
            time_may_be_over: that the server's time limit was exceeded is an answer.

        Raises: LdapFailed; NotNow; ServiceRefused.
        """
        began = self._timers.seconds()
        try:
            found = await self._pool.search(request, controls, deadline_s=deadline_s)
        except (ServiceRefused, NotReached):
            raise
        except LdapFailed as error:
            if not self.breaker.usable:
                # Its connections were closed, for this.
                raise LdapFailed(self.breaker.last_error) from None
            # Whatever it was, perhaps this one question alone: a probe knows.
            self.suspect(error.reason)
            raise
        code = found.result.code
        if code in NOT_NOW and not (code == TIME_LIMIT_EXCEEDED and time_may_be_over):
            said = escaped(found.result.diagnostic, 200)
            reason = f"{self.name}: {NOT_NOW[code]} (result code {code}): {said}"
            self.breaker.was_busy(reason)
            raise NotNow(reason)
        self._answered(began)
        return found

    async def bind(self, dn: str, password: bytes, *, deadline_s: float) -> BindAnswer:
        """As a person, on a connection of its own. Raises: NotReached, LdapFailed."""
        began = self._timers.seconds()
        link = await self._open(deadline_s)
        left_s = deadline_s - (self._timers.seconds() - began)
        request = BindRequest(dn, password)
        try:
            answer = await link.bind(request, self._account.bind_controls, deadline_s=left_s)
        except LdapFailed as error:
            self.suspect(error.reason)
            raise
        finally:
            link.close()
        self._answered(began)
        return answer

    async def open_service(self, *, listing: bool = False) -> Link:
        """A fresh connection, bound as the service account.

        Args:
            listing: for entries of any size.

        Raises: LdapFailed.
        """
        self._account.check()
        link = await self._open(self._connect_s, listing=listing)
        reason = ""
        try:
            await self._account.bind(link, self.name, deadline_s=self._connect_s)
        except LdapFailed as error:
            link.close()
            if isinstance(error, ServiceRefused):
                raise
            reason = error.reason
        except BaseException:
            link.close()
            raise
        if reason:
            self.breaker.failed(reason)
            raise NotReached(reason)
        return link

    async def root_dse(self, link: Link, *, deadline_s: float) -> SearchEntry:
        """Raises: LdapFailed."""
        found = await link.search(ROOT_DSE, deadline_s=deadline_s, reply_limit_octets=256 * 1024)
        if len(found.entries) != 1:
            raise LdapFailed(f"{self.name}: no root DSE, result code {found.result.code}")
        return found.entries[0]

    async def _open(self, deadline_s: float, *, listing: bool = False) -> Link:
        deadline_s = min(deadline_s, self._connect_s)
        try:
            return await self._connect(deadline_s, listing=listing)
        except LdapFailed as error:
            self.breaker.failed(error.reason)
            reason = error.reason
        raise NotReached(reason)

    async def _connect(self, deadline_s: float, *, listing: bool = False) -> Link:
        limits = self._limits
        octets = limits.listing_octets if listing else limits.reply_octets
        link, self.protection = await self._opens(
            self.place, deadline_s=deadline_s, message_octets=octets
        )
        self._showed(self.protection)
        return link

    def _answered(self, began: float) -> None:
        took_s = self._timers.seconds() - began
        mean = self.latency_s
        self.latency_s = took_s if mean is None else mean + LATENCY_SHARE * (took_s - mean)
        self.works()

    def works(self) -> None:
        """It has answered as it should."""
        self._heard_at = self._timers.seconds()
        self.breaker.worked()

    # -- probes

    def look(self, silent_s: float) -> None:
        """Probe it if nobody has heard of it for so long."""
        silence_s = self._timers.seconds() - self._heard_at
        if self.breaker.state is State.CLOSED and silence_s >= silent_s:
            self._begin_probe()

    def suspect(self, reason: str) -> None:
        """It has been silent, or lost a connection."""
        if self.breaker.usable and not self._closed:
            self.breaker.suspected(reason)
            self._begin_probe()

    def plan_probe(self) -> None:
        """When its pause is over; whoever learns that pauses are shorter now calls again."""
        if self._next_probe is not None and self._next_probe.active():
            self._next_probe.cancel()
        self._next_probe = None
        if self.breaker.state is State.OPEN and not self._closed:
            wait_s = max(self.breaker.wait_s(), self._account.wait_s())
            self._next_probe = self._timers.callLater(wait_s, self._begin_probe)

    def _begin_probe(self) -> None:
        if self._account.wait_s() > 0:
            self.plan_probe()  # without the account nothing can be told of it
        elif self._probing is None and not self._closed:
            self._probing = Deferred.fromCoroutine(self._probe())
            self._probing.addBoth(self._probed)

    def _probed(self, _: object) -> None:
        self._probing = None
        self.plan_probe()

    async def _probe(self) -> None:
        merely_watched = self.breaker.state is State.CLOSED
        self.breaker.probing()
        reason = ""
        try:
            silence = f"{self.name}: no answer to a probe in {PROBE_S:g} s"
            link = await within(self._timers, PROBE_S, self._try(), silence)
        except ServiceRefused:
            self.breaker.worked()  # it answers; the account is everybody's trouble
            return
        except LdapFailed as error:
            reason = error.reason
        except CancelledError:
            return
        except Exception:
            self.log.failure("probing {name}: unexpected error", name=self.name)
            reason = f"{self.name}: unexpected error"
        else:
            if merely_watched:
                link.close()
            else:
                self._pool.add(link)
            self.works()
            return
        self.breaker.failed(reason)

    async def _try(self) -> Link:
        self._account.check()
        link = await self._connect(PROBE_S)
        try:
            await self._account.bind(link, self.name, deadline_s=PROBE_S)
            root = await self.root_dse(link, deadline_s=PROBE_S)
        except BaseException:
            link.close()
            raise
        # [MS-ADTS] 3.1.1.3.2.18: a domain controller that has started may not have caught up yet.
        if root.attributes.get("issynchronized", ()) == (b"FALSE",):
            link.close()
            raise LdapFailed(f"{self.name}: says that it is not synchronised yet")
        return link

    def _on_change(self, before: State, after: State) -> None:
        if after is State.OPEN:
            self._pool.close()
            self.plan_probe()
        self._changed(self, before, after)

    # -- the rest

    def health(self, in_use: bool) -> ServerHealth:
        breaker = self.breaker
        match breaker.state:
            case State.OPEN | State.HALF_OPEN:
                state: Any = "down"
            case State.SUSPECT:
                state = "suspect"
            case _:
                state = "up" if breaker.worked_ever else "not asked yet"
        return ServerHealth(
            name=self.name,
            state=state,
            since=breaker.since,
            last_error=breaker.last_error,
            latency_ms=round(1000 * self.latency_s, 2) if self.latency_s is not None else None,
            in_use=in_use and breaker.usable,
        )

    def close(self) -> None:
        self._closed = True
        self.plan_probe()
        if self._probing is not None:
            self._probing.cancel()
        self._pool.close()
