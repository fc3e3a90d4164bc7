"""The MTA-STS policies of domains (RFC 8461): found, fetched, kept, and fetched again in time.

Owns the cache, in memory before the store. A policy that was fetched stays in force up to its
max_age, whatever becomes of DNS or of the policy host: else whoever breaks either could undo it
(section 10.2). A new id in DNS has it fetched anew; one in use is also fetched anew in the
background, and where that fails the old one stays.

Limits: MAX_KNOWN domains are remembered, also those without a policy, and MAX_KNOWN_OCTETS of
policies, the rest being in the store; MAX_FETCHING fetches run at a time; after a failing one there
is none for FAILED_S.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from typing import Any, Protocol

from twisted.internet.defer import Deferred, DeferredSemaphore
from twisted.logger import Logger
from twisted.python.failure import Failure

from gateway.core.errors import GatewayError
from gateway.core.log_text import escaped
from gateway.core.ports.clock import Timer, Timers, WallClock
from gateway.core.ports.tls_policies import KeptPolicy, StsStore
from gateway.delivery.bounded import Bounded
from gateway.delivery.https import HttpsClient, HttpsFailure, Names
from gateway.wire.sts import MAX_POLICY_OCTETS, Policy, PolicyMalformed, read_policy, read_record
from gateway.wire.tlsrpt import ResultType

MAX_KNOWN = 20_000
MAX_KNOWN_OCTETS = 32 * 1024 * 1024
MAX_FETCHING = 50
FETCH_DEADLINE_S = 20.0
FAILED_S = 600
"""Section 3.3: the policy host is not asked again and again."""
REFRESH_S = 86_400
USED_S = 14 * 86_400
"""Policies that no mail went by for so long are left to expire."""
SWEEP_S = 3600.0
SWEPT = 200


class FetchFailed(Exception):
    """No policy was got; the text says why, printable.

    Args:
        kind: for reports.
    """

    def __init__(self, kind: ResultType, text: str) -> None:
        self.kind = kind
        super().__init__(text)


class PolicyHosts(Protocol):
    """Where policies come from."""

    async def fetch(self, domain: str) -> bytes:
        """Raises: FetchFailed."""
        ...


class HttpsPolicyHosts:
    """Asks ``mta-sts.`` below each domain (section 3.3)."""

    def __init__(self, client: HttpsClient) -> None:
        self._client = client

    async def fetch(self, domain: str) -> bytes:
        """Raises: FetchFailed."""
        try:
            answer = await self._client.request(
                b"GET",
                f"mta-sts.{domain}",
                "/.well-known/mta-sts.txt",
                max_octets=MAX_POLICY_OCTETS,
            )
        except HttpsFailure as problem:
            kind = (
                ResultType.STS_WEBPKI_INVALID
                if problem.certificate
                else ResultType.STS_POLICY_FETCH_ERROR
            )
            raise FetchFailed(kind, str(problem)) from None
        if answer.status != 200:  # also redirects, which must not be followed
            text = f"mta-sts.{domain} answers {answer.status}"
            raise FetchFailed(ResultType.STS_POLICY_FETCH_ERROR, text)
        if answer.content_type != "text/plain":
            text = f"mta-sts.{domain} sends {escaped(answer.content_type, 50)}, not text/plain"
            raise FetchFailed(ResultType.STS_POLICY_INVALID, text)
        return answer.body


@dataclass(frozen=True, slots=True)
class StsAnswer:
    """Args:
    unknown: there may be a policy, and nobody can say now which.
    """

    policy: Policy | None = None
    unknown: bool = False


@dataclass(frozen=True, slots=True)
class _Known:
    """A policy that may be used till ``kept.expires_at``."""

    kept: KeptPolicy
    policy: Policy


class StsPolicies:
    """Knows policies. Reactor thread.

    Args:
        failed: told of each fetch that failed.
    """

    log = Logger()

    def __init__(
        self,
        names: Names,
        hosts: PolicyHosts,
        store: StsStore,
        wall_clock: WallClock,
        failed: Callable[[str, ResultType, str], None],
        *,
        timers: Timers,
    ) -> None:
        self._names = names
        self._hosts = hosts
        self._store = store
        self._wall_clock = wall_clock
        self._failed = failed
        self._timers = timers
        self._timer: Timer | None = None
        self._known: Bounded[str, _Known | None] = Bounded(MAX_KNOWN, MAX_KNOWN_OCTETS, _octets_of)
        self._not_before: OrderedDict[str, float] = OrderedDict()
        self._fetching: dict[str, list[Deferred[_Known | None]]] = {}
        self._fetches = DeferredSemaphore(MAX_FETCHING)

    def start(self) -> None:
        """Refresh by ourselves from now on."""
        self._timer = self._timers.callLater(SWEEP_S, self._sweep)

    def stop(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None

    def _sweep(self) -> None:
        self.start()
        self._in_background(self.refresh())

    async def policy(self, domain: str) -> StsAnswer:
        """What is in force for a domain (A-labels, lower case)."""
        known = await self._look_up(domain)
        announced = await self._names.ask("TXT", f"_mta-sts.{domain}")
        texts = [octets.decode("utf-8", "replace") for octets in announced.octets]
        policy_id = read_record(texts)
        if known is not None:
            if policy_id is not None and policy_id != known.kept.policy_id:
                known = await self._fetch(domain, policy_id) or known
            elif self._is_due(known.kept):
                self._in_background(self._fetch(domain, known.kept.policy_id))
            self._used(known)
            return StsAnswer(known.policy)
        if policy_id is None:
            return StsAnswer(unknown=announced.failed)
        known = await self._fetch(domain, policy_id)
        if known is None:
            return StsAnswer(unknown=True)
        return StsAnswer(known.policy)

    def remembered(self, domain: str) -> Policy | None:
        """The policy as last used, at once."""
        known = self._known.get(domain)
        return known.policy if known is not None else None

    async def refresh(self) -> None:
        """Fetch anew what is in use and will soon expire."""
        now = int(self._wall_clock())
        try:
            ageing = await self._store.ageing(now + 7 * REFRESH_S, now - USED_S, SWEPT)
        except GatewayError as error:
            self.log.warn("MTA-STS policies are not refreshed: {error}", error=str(error))
            return
        for kept in ageing:
            if self._is_due(kept) and kept.expires_at > now:
                await self._fetch(kept.domain, kept.policy_id)

    # -- what is kept

    async def _look_up(self, domain: str) -> _Known | None:
        """What may still be used."""
        if domain not in self._known:
            try:
                kept = await self._store.known(domain)
            except GatewayError as error:
                self.log.warn("MTA-STS policies cannot be read: {error}", error=str(error))
                return None
            # A fetch may have ended meanwhile.
            if domain not in self._known:
                self._known.put(domain, _read(kept))
        known = self._known.get(domain)
        if known is None or known.kept.expires_at <= self._wall_clock():
            return None
        return known

    def _used(self, known: _Known) -> None:
        now = int(self._wall_clock())
        if abs(now - known.kept.used_at) > REFRESH_S:
            kept = replace(known.kept, used_at=now)
            self._known.put(kept.domain, _Known(kept, known.policy))
            self._in_background(self._keep(kept))

    async def _keep(self, kept: KeptPolicy) -> None:
        try:
            await self._store.keep(kept)
        except GatewayError as error:
            self.log.warn(
                "the MTA-STS policy of {domain} is not kept: {error}",
                domain=kept.domain,
                error=str(error),
            )

    def _is_due(self, kept: KeptPolicy) -> bool:
        """In use for a day, or half of its life; also where the clock was set back."""
        life_s = kept.expires_at - kept.fetched_at
        return not 0 <= self._wall_clock() - kept.fetched_at < min(REFRESH_S, life_s // 2)

    # -- fetching

    async def _fetch(self, domain: str, policy_id: str) -> _Known | None:
        """One fetch for all who ask at the same time; None: none, or not now."""
        now = self._wall_clock()
        # Not longer ahead than we ever say: the clock may have been set back.
        if 0 < self._not_before.get(domain, 0.0) - now <= FAILED_S:
            return None
        others = self._fetching.get(domain)
        waiting: Deferred[_Known | None] = Deferred()
        if others is not None:
            others.append(waiting)
            return await waiting
        self._fetching[domain] = [waiting]
        # Whoever asked first may give up; the others, and the cache, get the policy.
        fetched = self._fetches.run(
            lambda: Deferred.fromCoroutine(self._fetch_one(domain, policy_id))
        )
        fetched.addBoth(self._fetched, domain)
        return await waiting

    def _fetched(self, outcome: _Known | Failure | None, domain: str) -> None:
        if isinstance(outcome, Failure):
            self.log.failure("fetching an MTA-STS policy went wrong", outcome)
            self._put_off(domain)
            outcome = None
        for waiting in self._fetching.pop(domain):
            if not waiting.called:
                waiting.callback(outcome)

    async def _fetch_one(self, domain: str, policy_id: str) -> _Known | None:
        try:
            octets = await self._hosts.fetch(domain)
            try:
                policy = read_policy(octets)
            except PolicyMalformed as problem:
                raise FetchFailed(ResultType.STS_POLICY_INVALID, str(problem)) from None
        except FetchFailed as problem:
            self._put_off(domain)
            self.log.warn(
                "the MTA-STS policy of {domain} cannot be fetched: {why}",
                domain=escaped(domain),
                why=escaped(problem),
            )
            self._failed(domain, problem.kind, str(problem))
            return None
        now = int(self._wall_clock())
        text = octets.decode("utf-8")
        kept = KeptPolicy(domain, policy_id, text, now, now + policy.max_age_s, now)
        known = _Known(kept, policy)
        self._known.put(domain, known)
        self._not_before.pop(domain, None)
        await self._keep(kept)
        self.log.info(
            "the MTA-STS policy of {domain} is {mode}", domain=domain, mode=policy.mode.value
        )
        return known

    def _put_off(self, domain: str) -> None:
        self._not_before[domain] = self._wall_clock() + FAILED_S
        self._not_before.move_to_end(domain)
        while len(self._not_before) > MAX_KNOWN:
            self._not_before.popitem(last=False)

    def _in_background(self, work: Coroutine[Deferred[Any], Any, object]) -> None:
        running: Deferred[object] = Deferred.fromCoroutine(work)
        running.addErrback(lambda failure: self.log.failure("MTA-STS went wrong", failure))


def _read(kept: KeptPolicy | None) -> _Known | None:
    if kept is None:
        return None
    try:
        return _Known(kept, read_policy(kept.text.encode()))
    except PolicyMalformed:
        return None  # kept by a version that read it otherwise: it is fetched anew


def _octets_of(known: _Known | None) -> int:
    """What it takes in memory, about: a policy is kept as text and as patterns."""
    return 500 + (3 * len(known.kept.text) if known is not None else 0)
