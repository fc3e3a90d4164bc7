"""DNS, policy hosts and a store for policies on TLS, out of dictionaries."""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from gateway.core.errors import StoreUnavailable
from gateway.core.ports.tls_policies import Counted, KeptPolicy, Sessions
from gateway.delivery.dns.answers import Answer, Found, Kind, failure
from gateway.delivery.sts import FetchFailed
from gateway.delivery.targets import TlsDemand
from gateway.wire.tlsrpt import ResultType

T = TypeVar("T")
NOW = 1_700_000_000


def done(coroutine: Coroutine[Deferred[Any], Any, T]) -> T:
    """What it returns; it waits for nobody."""
    results: list[Any] = []
    Deferred.fromCoroutine(coroutine).addBoth(results.append)
    (result,) = results
    if isinstance(result, Failure):
        result.raiseException()
    return result  # type: ignore[no-any-return]


class FakeNames:
    """Answers by (type, name); what is not there has no such record."""

    def __init__(self) -> None:
        self.answers: dict[tuple[Kind, str], Answer] = {}
        self.asked: list[tuple[Kind, str]] = []

    def put(
        self,
        kind: Kind,
        name: str,
        *octets: bytes,
        texts: tuple[str, ...] = (),
        secure: bool = False,
        alias_of: str = "",
    ) -> None:
        found = Found.RECORDS if octets or texts else Found.NO_DATA
        self.answers[(kind, name)] = Answer(
            found, alias_of or name, texts=texts, octets=octets, secure=secure
        )

    def fail(self, kind: Kind, name: str) -> None:
        self.answers[(kind, name)] = failure(name, "SERVFAIL")

    async def ask(self, kind: Kind, name: str) -> Answer:
        self.asked.append((kind, name))
        return self.answers.get((kind, name), Answer(Found.NO_NAME, name))


class FakePolicyHosts:
    """Sends policies by domain; a Deferred is waited for."""

    def __init__(self) -> None:
        self.policies: dict[str, bytes | FetchFailed | Deferred[bytes]] = {}
        self.asked: list[str] = []

    async def fetch(self, domain: str) -> bytes:
        self.asked.append(domain)
        found = self.policies.get(domain)
        if isinstance(found, Deferred):
            return await found
        if isinstance(found, bytes):
            return found
        raise found or FetchFailed(ResultType.STS_POLICY_FETCH_ERROR, "404")


class FakeStsStore:
    def __init__(self) -> None:
        self.kept: dict[str, KeptPolicy] = {}
        self.reads = 0
        self.broken = False

    async def known(self, domain: str) -> KeptPolicy | None:
        self.reads += 1
        if self.broken:
            raise StoreUnavailable
        return self.kept.get(domain)

    async def keep(self, policy: KeptPolicy) -> None:
        if self.broken:
            raise StoreUnavailable
        self.kept[policy.domain] = policy

    async def ageing(
        self, expires_before: int, used_since: int, limit: int
    ) -> Sequence[KeptPolicy]:
        found = [
            each
            for each in self.kept.values()
            if each.expires_at < expires_before and each.used_at >= used_since
        ]
        return sorted(found, key=lambda each: each.expires_at)[:limit]


class FakeCounts:
    """As the store's table behaves."""

    def __init__(self) -> None:
        self.sessions: dict[Counted, int] = {}
        self.done: dict[str, int] = {}
        self.writes = 0

    async def add(self, counts: Sequence[Sessions]) -> None:
        self.writes += 1
        for each in counts:
            if self.done.get(each.of.domain, -1) < each.of.day:
                self.sessions[each.of] = self.sessions.get(each.of, 0) + each.sessions

    async def unreported(self, before_day: int, limit: int) -> Sequence[tuple[int, str]]:
        keys = {(of.day, of.domain) for of in self.sessions if of.day < before_day}
        return sorted(keys)[:limit]

    async def counted(self, day: int, domain: str) -> Sequence[Sessions]:
        return [
            Sessions(of, number)
            for of, number in self.sessions.items()
            if (of.day, of.domain) == (day, domain)
        ]

    async def reported(self, day: int, domain: str) -> None:
        self.done[domain] = max(day, self.done.get(domain, -1))
        for of in [of for of in self.sessions if (of.day, of.domain) == (day, domain)]:
            del self.sessions[of]


class Refusals:
    """What was refused, as (domain, policy, host, result)."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str, str, str]] = []

    def refused(self, demand: TlsDemand, host: str, result: ResultType, reason: str) -> None:
        assert reason
        self.told.append((demand.domain, demand.policy, host, result.value))


class WallClock:
    """Unix time that the test moves, with the timers of ``clock``."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.offset = float(NOW)

    def __call__(self) -> float:
        return self.offset + self.clock.seconds()
