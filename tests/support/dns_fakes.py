"""DNS in memory: answers out of a dictionary, and name servers without a network."""

from __future__ import annotations

from collections.abc import Sequence

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from gateway.delivery.dns.answers import Answer, Found, Kind, MailExchanger, failure
from gateway.delivery.dns.exchange import Judge, NoAnswer, Server
from gateway.delivery.dns.messages import Fault
from tests.support.name_server import Zones

Trouble = Exception("no answer")


class FakeNames:
    """What ``dns.resolver.Resolver`` is to others. A name in any table exists."""

    def __init__(
        self,
        *,
        mx: dict[str, Sequence[tuple[int, str]] | Exception] | None = None,
        a: dict[str, Sequence[str] | Exception] | None = None,
        aaaa: dict[str, Sequence[str] | Exception] | None = None,
        ttl_s: int = 60,
    ) -> None:
        self.mx = mx or {}
        self.a = a or {}
        self.aaaa = aaaa or {}
        self.ttl_s = ttl_s
        self.proven: set[str] = set()
        self.asked: list[tuple[str, str]] = []

    async def ask(self, kind: Kind, name: str) -> Answer:
        self.asked.append((kind, name))
        tables: dict[str, dict[str, Sequence[str] | Exception]] = {"A": self.a, "AAAA": self.aaaa}
        secure = name in self.proven
        if kind == "MX":
            found = self.mx.get(name, ())
            if isinstance(found, Exception):
                return failure(name, "SERVFAIL")
            hosts = tuple(MailExchanger(preference, host) for preference, host in found)
            if hosts:
                return Answer(
                    Found.RECORDS, name, exchangers=hosts, secure=secure, ttl_s=self.ttl_s
                )
        else:
            texts = tables[kind].get(name, ())
            if isinstance(texts, Exception):
                return failure(name, "SERVFAIL")
            if texts:
                return Answer(Found.RECORDS, name, tuple(texts), secure=secure, ttl_s=self.ttl_s)
        known = any(name in table for table in (self.mx, self.a, self.aaaa))
        none = Found.NO_DATA if known else Found.NO_NAME
        return Answer(none, name, secure=secure, ttl_s=self.ttl_s)


class FakeExchange:
    """Name servers by address; one that is not there is silent."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.servers: dict[Server, Zones] = {}
        self.silent: set[Server] = set()
        self.no_tcp = False
        self.talks: list[str] = []

    def add(self, ip: str, zones: Zones) -> Zones:
        self.servers[(ip, 53)] = zones
        return zones

    async def udp(
        self, server: Server, octets: bytes, judge: Judge, timeout_s: float
    ) -> Answer | Fault:
        self.talks.append(f"{server[0]} udp")
        await self._there(server, timeout_s)
        said: Answer | Fault = Fault.FOREIGN
        for answer in self.servers[server].answers(octets)[:20]:
            said = judge(answer)
            if said is not Fault.FOREIGN:
                break
        return said

    async def tcp(
        self, server: Server, octets: bytes, judge: Judge, timeout_s: float
    ) -> Answer | Fault:
        self.talks.append(f"{server[0]} tcp")
        if self.no_tcp:
            raise NoAnswer("no connection over TCP")
        await self._there(server, timeout_s)
        return judge(self.servers[server].answer(octets, tcp=True))

    async def _there(self, server: Server, timeout_s: float) -> None:
        if server in self.silent or server not in self.servers:
            over: Deferred[None] = Deferred()
            self._clock.callLater(timeout_s, over.callback, None)
            await over
            raise NoAnswer(f"silent for {timeout_s:g} s")
