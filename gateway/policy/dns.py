"""Questions to DNS as checks ask them: bounded in time and number, remembered, never raising.

Owns the cache, the joining of equal questions, and what an answer is: values, none (the name or the
type does not exist, which are the same to a check), or trouble (SERVFAIL, refusal, no answer in
time), which is never taken for either.

Limits (SECURITY N6): MAX_RECORDS of an answer are looked at; CNAMEs are not followed beyond what
the name server has done. MAX_ASKING questions are open at a time, as each takes a socket: beyond
that it is trouble at once (N4). MAX_CACHED answers are kept, for MIN_TTL_S to MAX_TTL_S whatever
their owner says, none for NONE_TTL_S at most and trouble for TROUBLE_TTL_S.
"""

from __future__ import annotations

import ipaddress
import re
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from twisted.internet.defer import Deferred
from twisted.names import dns
from twisted.names.error import DNSNameError
from twisted.python.failure import Failure

from gateway.core.ports.clock import Timers
from gateway.policy.waiting import bounded

MAX_RECORDS = 100
MAX_ASKING = 300
MAX_CACHED = 20_000
FORGOTTEN_S = 60
MAX_VALUE = 500
MIN_TTL_S = 60
MAX_TTL_S = 3600
NONE_TTL_S = 900
TROUBLE_TTL_S = 5

Kind = Literal["A", "AAAA", "MX", "PTR", "TXT"]

_NAME = re.compile(r"[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*\Z")


class Resolver(Protocol):
    """What is used of Twisted's IResolver."""

    def lookupAddress(self, name: bytes, timeout: Sequence[float]) -> Deferred[Any]: ...

    def lookupIPV6Address(self, name: bytes, timeout: Sequence[float]) -> Deferred[Any]: ...

    def lookupMailExchange(self, name: bytes, timeout: Sequence[float]) -> Deferred[Any]: ...

    def lookupPointer(self, name: bytes, timeout: Sequence[float]) -> Deferred[Any]: ...

    def lookupText(self, name: bytes, timeout: Sequence[float]) -> Deferred[Any]: ...


@dataclass(frozen=True, slots=True)
class DnsAnswer:
    """What DNS said.

    Args:
        values: addresses, host names in lower case without final dot (empty for the root), or
            texts; empty: there are none.
        trouble: why nobody knows; empty: it is known.
    """

    values: tuple[str, ...] = ()
    trouble: str = ""


NONE = DnsAnswer()


def is_host_name(name: str) -> bool:
    """Fit to be asked for, and to stand in a log; labels may hold any octets (RFC 2181)."""
    return len(name) <= 253 and _NAME.match(name) is not None


class Dns:
    """Asks one resolver. Reactor thread."""

    def __init__(self, resolver: Resolver, timers: Timers) -> None:
        self._timers = timers
        self._clock: Any = timers
        self._lookups: dict[Kind, Callable[..., Deferred[Any]]] = {
            "A": resolver.lookupAddress,
            "AAAA": resolver.lookupIPV6Address,
            "MX": resolver.lookupMailExchange,
            "PTR": resolver.lookupPointer,
            "TXT": resolver.lookupText,
        }
        self._cache: OrderedDict[tuple[Kind, str], tuple[float, DnsAnswer]] = OrderedDict()
        self._asking: dict[tuple[Kind, str], list[Deferred[DnsAnswer]]] = {}

    def ask(self, kind: Kind, name: str, timeout_s: float) -> DnsAnswer | Deferred[DnsAnswer]:
        """The answer, at once if it is remembered. It has come, or is trouble, by the timeout."""
        name = name.lower().rstrip(".")
        if not is_host_name(name):
            return NONE
        key = (kind, name)
        known = self._cache.get(key)
        if known is not None and self._timers.seconds() < known[0]:
            return known[1]
        if timeout_s <= 0:
            return DnsAnswer(trouble="no time left")
        waiting: Deferred[DnsAnswer] = Deferred()
        others = self._asking.get(key)
        if others is not None:
            others.append(waiting)
        elif len(self._asking) >= MAX_ASKING:
            return DnsAnswer(trouble="too many questions are open")
        else:
            self._asking[key] = [waiting]
            self._begin(key, timeout_s)
        late = DnsAnswer(trouble=f"no answer in {timeout_s:g} s")
        return bounded(waiting, timeout_s, self._timers, lambda: late)

    async def ask_until(self, kind: Kind, name: str, end: float) -> DnsAnswer:
        """The same, by a time of the timers' clock."""
        answer = self.ask(kind, name, end - self._timers.seconds())
        return await answer if isinstance(answer, Deferred) else answer

    def _begin(self, key: tuple[Kind, str], timeout_s: float) -> None:
        kind, name = key
        # The question is repeated once: UDP loses some.
        timeouts = (timeout_s / 3, timeout_s * 2 / 3)
        try:
            asked = self._lookups[kind](name.encode("ascii"), timeouts)
        except Exception:  # no socket left, for one
            asked = Deferred()
            asked.errback(Failure())
        # Whatever the resolver forgets must not count as open for ever.
        asked.addTimeout(FORGOTTEN_S, self._clock)
        asked.addCallbacks(lambda found: _read(kind, found), _failed)
        # What the resolver or our reading chokes on.
        asked.addErrback(lambda failure: (TROUBLE_TTL_S, DnsAnswer(trouble=_kind_of(failure))))
        asked.addCallback(self._answered, key)

    def _answered(self, found: tuple[float, DnsAnswer], key: tuple[Kind, str]) -> None:
        ttl_s, answer = found
        cache = self._cache
        cache[key] = (self._timers.seconds() + ttl_s, answer)
        cache.move_to_end(key)
        while len(cache) > MAX_CACHED:
            cache.popitem(last=False)
        for waiting in self._asking.pop(key):
            if not waiting.called:
                waiting.callback(answer)


def _failed(failure: Failure) -> tuple[float, DnsAnswer]:
    if failure.check(DNSNameError):
        message: Any = next(iter(getattr(failure.value, "args", ())), None)
        return _none_ttl(getattr(message, "authority", ())), NONE
    return TROUBLE_TTL_S, DnsAnswer(trouble=_kind_of(failure))


def _kind_of(failure: Failure) -> str:
    return str(failure.type.__name__) if failure.type is not None else "failure"


def _none_ttl(authority: Sequence[Any]) -> float:
    """RFC 2308 section 5: that there is none may be remembered for the SOA's time."""
    for record in authority[:MAX_RECORDS]:
        if record.type == dns.SOA:
            return float(max(MIN_TTL_S, min(record.ttl, record.payload.minimum, NONE_TTL_S)))
    return float(MIN_TTL_S)


def _read(kind: Kind, found: tuple[Sequence[Any], Sequence[Any], Any]) -> tuple[float, DnsAnswer]:
    answers, authority, _ = found
    wanted = getattr(dns, kind)
    records = [record for record in answers[:MAX_RECORDS] if record.type == wanted]
    if not records:
        return _none_ttl(authority), NONE
    ttl_s = max(MIN_TTL_S, min(min(record.ttl for record in records), MAX_TTL_S))
    return float(ttl_s), DnsAnswer(tuple(_value(kind, record.payload) for record in records))


def _value(kind: Kind, payload: Any) -> str:
    if kind == "A":
        return str(payload.dottedQuad())
    if kind == "AAAA":
        return str(ipaddress.IPv6Address(payload.address))
    if kind == "TXT":
        octets: bytes = b"".join(payload.data)
        return octets[:MAX_VALUE].decode("ascii", "replace")
    name: bytes = payload.name.name
    return name.decode("ascii", "replace").lower().rstrip(".")
