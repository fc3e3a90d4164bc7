"""The servers of a domain, as DNS has them: names, order, and what is believed of them.

Owns which names are asked for and when again. Active Directory's own come first, the site's before
the whole domain's, then what any other directory publishes; of equal priority the order is drawn by
weight (RFC 2782) and drawn anew only when DNS says something else, so that a server in use stays in
use. While DNS cannot be asked the last answers hold; a root target says "decidedly none".

Whoever can forge an answer of DNS could name a server of their own, with a certificate that any
authority gave them. So a host counts only within the domain that the settings name, and must prove
its own name by certificate; with ``tls_server_name`` that name, and then hosts may be anywhere.

Limits: MOST servers; answers hold from SOONEST_S to LATEST_S, failures FAILED_S.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from random import Random

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger

from gateway.core.log_text import shown
from gateway.core.ports.clock import Timer, Timers
from gateway.core.ports.services import FindsServices, ServiceHost
from gateway.directory.ldap.opening import Place, Security

MOST = 30
SOONEST_S = 30.0
LATEST_S = 1800.0
FAILED_S = 15.0
_HOST = re.compile(r"(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9])?\.)*[a-z0-9-]{1,63}\Z")


class Discovery:
    """Of one domain.

    Args:
        security: of servers that are not found as ``_ldaps``.
        server_name: that certificates must carry; empty: each server's own name.
        changed: is told the servers whenever they are others than before.
    """

    log = Logger()

    def __init__(
        self,
        finds: FindsServices,
        timers: Timers,
        random: Random,
        *,
        domain: str,
        site: str = "",
        security: Security = Security.START_TLS,
        server_name: str = "",
        changed: Callable[[Sequence[Place]], None],
    ) -> None:
        self._finds = finds
        self._timers = timers
        self._random = random
        self._domain = domain.lower()
        self._site = site.lower()
        self._security = security
        self._server_name = server_name
        self._changed = changed
        self._known: dict[str, tuple[ServiceHost, ...]] = {}
        self._drawn: dict[tuple[ServiceHost, ...], tuple[ServiceHost, ...]] = {}
        self._places: tuple[Place, ...] = ()
        self._asking: Deferred[None] | None = None
        self._next: Timer | None = None
        self._waiting: list[Deferred[None]] = []
        self._left_out: set[str] = set()
        self._closed = False
        self.trouble = ""

    def begin(self) -> None:
        """Look, now and then again."""
        if self._asking is None and not self._closed:
            self._asking = Deferred.fromCoroutine(self._look())
            self._asking.addBoth(self._looked)

    def begin_once(self) -> None:
        """Look unless that has begun already."""
        if self._next is None:
            self.begin()

    async def first_look(self) -> None:
        """Returns when DNS has been asked once, whatever it said."""
        if self._next is None and not self._closed:
            waiting: Deferred[None] = Deferred()
            self._waiting.append(waiting)
            self.begin()
            await waiting

    def close(self) -> None:
        self._closed = True
        if self._next is not None and self._next.active():
            self._next.cancel()
        if self._asking is not None:
            self._asking.cancel()

    # -- looking

    def _looked(self, _: object) -> None:
        self._asking = None
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            if not each.called:
                each.callback(None)

    async def _look(self) -> None:
        again_s = LATEST_S
        troubles = []
        try:
            for name in self._names():
                said = await self._finds.services(name)
                if said.known:
                    self._known[name] = said.hosts
                    again_s = min(again_s, max(SOONEST_S, said.ttl_s))
                else:
                    again_s = FAILED_S
                    troubles.append(f"{name}: {said.why}")
        except CancelledError:
            return
        except Exception:
            self.log.failure("looking for directory servers: unexpected error")
            again_s = FAILED_S
            troubles.append("unexpected error")
        places = tuple(self._believed())[:MOST]
        if not troubles and not places:
            troubles.append(f"DNS names no server of {self._domain}")
        self._tell("; ".join(troubles))
        if places != self._places:
            self._places = places
            self._changed(places)
        if not self._closed:
            self._next = self._timers.callLater(again_s, self.begin)

    def _tell(self, trouble: str) -> None:
        if trouble and trouble != self.trouble:
            self.log.warn(
                "looking for directory servers: {trouble}; those known before are kept",
                trouble=trouble[:500],
            )
        self.trouble = trouble

    def _names(self) -> Iterator[str]:
        # [MS-ADTS] section 6.3.2.3: SRV records that domain controllers register.
        if self._site:
            yield f"_ldap._tcp.{self._site}._sites.dc._msdcs.{self._domain}"
        yield f"_ldap._tcp.dc._msdcs.{self._domain}"
        if not any(hosts for name, hosts in self._known.items() if "_msdcs." in name):
            yield f"_ldaps._tcp.{self._domain}"
            yield f"_ldap._tcp.{self._domain}"

    # -- what is believed

    def _believed(self) -> Iterator[Place]:
        seen: set[str] = set()
        for name in self._names():
            hosts = self._known.get(name, ())
            security = Security.TLS if name.startswith("_ldaps.") else self._security
            for each in self._in_order(hosts):
                if each.host and each.host not in seen and self._is_believed(name, each.host):
                    seen.add(each.host)
                    yield self._place(each, security)

    def _is_believed(self, name: str, host: str) -> bool:
        inside = host == self._domain or host.endswith(f".{self._domain}")
        if _HOST.match(host) and len(host) <= 253 and (inside or self._server_name):
            return True
        if host not in self._left_out:
            if len(self._left_out) < MOST:
                self._left_out.add(host)
            self.log.error(
                "{name} names {host}, which is not within {domain} and not asked: anybody who"
                " forges DNS could name it; set directory.tls_server_name if it is right",
                name=name,
                host=shown(host),
                domain=self._domain,
            )
        return False

    def _place(self, each: ServiceHost, security: Security) -> Place:
        scheme, usual = ("ldaps", 636) if security is Security.TLS else ("ldap", 389)
        port = "" if each.port == usual else f":{each.port}"
        name = f"{scheme}://{each.host}{port}"
        return Place(name, each.host, each.port, security, self._server_name or each.host)

    def _in_order(self, hosts: tuple[ServiceHost, ...]) -> Sequence[ServiceHost]:
        key = tuple(sorted(hosts, key=lambda each: (each.priority, each.host, each.port)))
        if key not in self._drawn:
            if len(self._drawn) > MOST:
                self._drawn.clear()
            self._drawn[key] = tuple(self._draw(key))
        return self._drawn[key]

    def _draw(self, hosts: Sequence[ServiceHost]) -> Iterator[ServiceHost]:
        """RFC 2782, "Weight": one after the other, each by its share of what is left."""
        for priority in sorted({each.priority for each in hosts}):
            # Those without weight first, so that a draw of nothing can hit them.
            left = sorted(
                (each for each in hosts if each.priority == priority), key=lambda each: each.weight
            )
            while left:
                drawn = self._random.randint(0, sum(each.weight for each in left))
                for each in left:
                    drawn -= each.weight
                    if drawn <= 0:
                        left.remove(each)
                        yield each
                        break
