"""Asks name servers: one after the other, in bounded time, and remembers what they said.

Owns the cache, the joining of equal questions and the patience. Never raises for what DNS says or
does not say: that is an Answer too. Never walks the tree itself: it needs servers that do.

Each round asks every server once, until one answers; a refusal or SERVFAIL counts as no answer, as
another server may know better. Rounds are longer and longer, TOTAL_S is the end of them all. An
answer that was cut off, or that may be a forgery, is asked for again over TCP.

Limits: MAX_ASKING questions are open at a time, MAX_CACHED answers of MAX_CACHED_OCTETS in all are
kept, each for what it says itself (MIN_TTL_S to MAX_TTL_S), that there is none for MAX_NONE_S at
most, failures for FAILURE_S.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from gateway.core.ports.clock import Timers
from gateway.delivery.bounded import Bounded
from gateway.delivery.dns.answers import Answer, Found, Kind, failure, octets_of
from gateway.delivery.dns.exchange import Exchange, NoAnswer, Server
from gateway.delivery.dns.messages import MAX_ALIASES, Fault, Question, question, read_answer
from gateway.delivery.dns.servers import NameServers

ROUNDS_S: Sequence[float] = (2.0, 4.0, 8.0)
"""How long one server may take, by round."""
TOTAL_S = 25.0
MAX_ASKING = 1000
MAX_CACHED = 20_000
MAX_CACHED_OCTETS = 64 * 1024 * 1024
MIN_TTL_S = 5
MAX_TTL_S = 3600
MAX_NONE_S = 900
NONE_S = 30
"""For that there is none, where the answer does not say how long (RFC 2308 section 5)."""
FAILURE_S = 5

_NAME = re.compile(r"(?:[a-z0-9_*-]{1,63}\.)*[a-z0-9_-]{1,63}")
_TRY_TCP = (Fault.CUT, Fault.OTHER_CASE, Fault.FOREIGN)

Random = Callable[[int], bytes]
"""Gives so many octets that nobody can foresee, as ``secrets.token_bytes``."""


class Resolver:
    """Answers questions. Reactor thread."""

    log = Logger()

    def __init__(
        self, servers: NameServers, exchange: Exchange, timers: Timers, random: Random
    ) -> None:
        self._servers = servers
        self._exchange = exchange
        self._timers = timers
        self._random = random
        self._cache: Bounded[tuple[Kind, str], tuple[float, Answer]] = Bounded(
            MAX_CACHED, MAX_CACHED_OCTETS, lambda kept: octets_of(kept[1])
        )
        self._asking: dict[tuple[Kind, str], list[Deferred[Answer]]] = {}
        self._without_edns: set[Server] = set()

    @property
    def proves(self) -> bool:
        """Whether any answer can be ``secure``."""
        return self._servers.trusted

    def known(self, kind: Kind, name: str) -> Answer | None:
        """What is remembered, at once; ``ttl_s`` is as it was."""
        found = self._cache.get((kind, name))
        if found is None or self._timers.seconds() >= found[0]:
            return None
        return found[1]

    async def ask(self, kind: Kind, name: str) -> Answer:
        """Args:
        name: lower case, without the final dot; names no question can be asked about do not exist.
        """
        key = (kind, name)
        found = self.known(kind, name)
        if found is not None:
            return found
        if len(name) > 253 or not _NAME.fullmatch(name):
            return Answer(Found.NO_NAME, name)
        others = self._asking.get(key)
        if others is None:
            if len(self._asking) >= MAX_ASKING:
                return failure(name, "too many questions to DNS are open")
            others = self._asking[key] = []
            # Whoever asked first may give up; the others, and the cache, get the answer.
            Deferred.fromCoroutine(self._ask(key)).addBoth(self._answered, key)
            found = self.known(kind, name)
            if found is not None:
                return found
        waiting: Deferred[Answer] = Deferred()
        others.append(waiting)
        return await waiting

    def _answered(self, outcome: Answer | Failure, key: tuple[Kind, str]) -> None:
        if isinstance(outcome, Failure):
            self.log.failure("a question to DNS went wrong", outcome)
            outcome = failure(key[1], "the question went wrong", FAILURE_S)
        self._cache.put(key, (self._timers.seconds() + _keep_s(outcome), outcome))
        for waiting in self._asking.pop(key):
            if not waiting.called:
                waiting.callback(outcome)

    async def _ask(self, key: tuple[Kind, str]) -> Answer:
        kind, name = key
        end = self._timers.seconds() + TOTAL_S
        answer = await self._ask_servers(kind, name, end)
        aliases = 0
        while answer.found is Found.NO_DATA and answer.name != name and not answer.ttl_s:
            # An alias, and nothing said of what it stands for: some servers leave that to us.
            aliases += 1
            if aliases > MAX_ALIASES or not _NAME.fullmatch(answer.name):
                return failure(key[1], "aliases (CNAME) that lead nowhere")
            secure, name = answer.secure, answer.name
            answer = await self._ask_servers(kind, name, end)
            answer = replace(answer, secure=answer.secure and secure)
        return answer

    async def _ask_servers(self, kind: Kind, name: str, end: float) -> Answer:
        why = ""
        for patience_s in ROUNDS_S:
            for server in self._servers.in_order():
                left = end - self._timers.seconds()
                if left <= 0:
                    break
                try:
                    said = await self._ask_server(server, kind, name, min(patience_s, left))
                except NoAnswer as problem:
                    self._servers.was_silent(server)
                    why = f"{server[0]} {problem}"
                    continue
                self._servers.answered(server)
                if isinstance(said, Answer) and not said.failed:
                    return said
                why = f"{server[0]}: {said.why if isinstance(said, Answer) else said.value}"
            else:
                # All have been heard, and none knows: to ask once more would change little.
                if not self._servers.any_silent:
                    break
        return failure(name, why or "no name server answered in time", FAILURE_S)

    async def _ask_server(
        self, server: Server, kind: Kind, name: str, patience_s: float
    ) -> Answer | Fault:
        edns = server not in self._without_edns
        said = await self._send(server, self._question(kind, name, edns), patience_s)
        if said is Fault.NO_EDNS and edns:
            # RFC 6891 section 6.2.2: what is not known does not get used.
            if len(self._without_edns) > 100:
                self._without_edns.clear()
            self._without_edns.add(server)
            said = await self._send(server, self._question(kind, name, False), patience_s)
        return said

    def _question(self, kind: Kind, name: str, edns: bool) -> Question:
        return question(kind, name, self._random(34), edns=edns)

    async def _send(self, server: Server, asked: Question, patience_s: float) -> Answer | Fault:
        trusted = self._servers.trusted

        def judge(octets: bytes) -> Answer | Fault:
            return read_answer(asked, octets, trusted=trusted)

        def in_any_case(octets: bytes) -> Answer | Fault:
            return read_answer(asked, octets, trusted=trusted, any_case=True)

        said = await self._exchange.udp(server, asked.octets, judge, patience_s)
        if said not in _TRY_TCP:
            return said
        try:
            # Nobody off the path can speak on a connection, so the letters' case proves nothing.
            return await self._exchange.tcp(server, asked.octets, in_any_case, patience_s)
        except NoAnswer:
            if said is not Fault.OTHER_CASE:
                raise
        # Some small servers fold the letters and have no TCP; id and port are left as proof.
        return await self._exchange.udp(server, asked.octets, in_any_case, patience_s)


def _keep_s(answer: Answer) -> float:
    if answer.found is Found.RECORDS:
        return min(max(answer.ttl_s, MIN_TTL_S), MAX_TTL_S)
    if answer.failed:
        return FAILURE_S
    return min(max(answer.ttl_s or NONE_S, MIN_TTL_S), MAX_NONE_S)
