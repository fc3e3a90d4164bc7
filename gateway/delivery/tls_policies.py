"""What domains demand of TLS to their mail hosts: DANE before MTA-STS, and REQUIRETLS.

Owns which hosts may be used and what each must prove; ``routes`` raises that to what the settings
ask. Where a policy can be known and is not followed by any host, mail waits; it never goes on in
clear text.

- TLSA records of a host count where its MX record and its addresses are proven by DNSSEC, and
  come before MTA-STS (RFC 7672 section 2.2, RFC 8461 section 2). Where they may be there and nobody
  can say, the host is left out for now.
- A policy of MTA-STS that says ``enforce`` leaves hosts only that it names, with a certificate for
  the host; ``testing`` only counts what would have failed.
- REQUIRETLS (RFC 8689 section 4.2.1) leaves hosts that are proven to be the domain's: by DNSSEC,
  by an enforced policy, or by bearing the domain's own name.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from twisted.internet.defer import Deferred, gatherResults

from gateway.core.queue import Verdict
from gateway.delivery import tlsa
from gateway.delivery.https import Names
from gateway.delivery.sts import StsAnswer, StsPolicies
from gateway.delivery.targets import MailHost, NoRoute, Protection, TlsDemand
from gateway.delivery.tlsa import HostRecords, TlsaUnknown
from gateway.wire.sts import Mode, Policy
from gateway.wire.tlsrpt import ResultType

NO_STS = StsAnswer()


class Refusals(Protocol):
    """Hears of hosts that no connection was made to, as a policy forbids it."""

    def refused(self, demand: TlsDemand, host: str, result: ResultType, reason: str) -> None: ...


class Policies:
    """Implements ``targets.TlsPolicies``.

    Args:
        proves: whether the name servers are trusted to say what DNSSEC proves; else no DANE.
        sts: None: MTA-STS is switched off.
    """

    def __init__(
        self, names: Names, *, proves: bool, sts: StsPolicies | None, refusals: Refusals
    ) -> None:
        self._names = names
        self._proves = proves
        self._sts = sts
        self._refusals = refusals

    async def demands(
        self, domain: str, hosts: Sequence[MailHost], *, secure: bool, require_tls: bool
    ) -> Sequence[tuple[MailHost, TlsDemand]]:
        """See the port."""
        literal = domain.startswith("[")
        secure = secure and self._proves and not literal
        sts = NO_STS if self._sts is None or literal else await self._sts.policy(domain)
        judge = _Judge(domain, secure, require_tls, sts)
        for host, records in zip(hosts, await self._records(hosts, secure), strict=True):
            judge.consider(host, records)
        for demand, name, result, reason in judge.refused:
            self._refusals.refused(demand, name, result, reason)
        if not judge.allowed:
            raise judge.no_route()
        return judge.allowed

    async def _records(
        self, hosts: Sequence[MailHost], secure: bool
    ) -> Sequence[HostRecords | TlsaUnknown | None]:
        """For each host what is known of its TLSA records."""
        if not secure or not any(host.secure for host in hosts):
            return [None] * len(hosts)
        asked = [Deferred.fromCoroutine(self._of_host(host)) for host in hosts]
        return await gatherResults(asked, consumeErrors=True)

    async def _of_host(self, host: MailHost) -> HostRecords | TlsaUnknown | None:
        if not host.secure:
            return None
        try:
            return await tlsa.find(self._names, host.name)
        except TlsaUnknown as problem:
            return problem


class _Judge:
    """Goes through the hosts of one domain."""

    def __init__(self, domain: str, secure: bool, require_tls: bool, sts: StsAnswer) -> None:
        self._domain = domain
        self._secure = secure
        self._require_tls = require_tls
        self._sts = sts
        self._policy = sts.policy if sts.policy and sts.policy.mode is not Mode.NONE else None
        self._temporary = sts.unknown
        self._why = ""
        self.allowed: list[tuple[MailHost, TlsDemand]] = []
        self.refused: list[tuple[TlsDemand, str, ResultType, str]] = []

    def consider(self, host: MailHost, records: HostRecords | TlsaUnknown | None) -> None:
        match records:
            case TlsaUnknown():
                self._temporary = True
                demand = TlsDemand(Protection.DANE, policy="tlsa", domain=self._domain)
                self._refuse(demand, host, ResultType.DNSSEC_INVALID, str(records))
            case HostRecords(base, usable) if usable:
                names = tuple(dict.fromkeys((base, host.name, self._domain)))
                self._allow(host, TlsDemand(Protection.DANE, names, usable, "tlsa", self._domain))
            case HostRecords():
                # RFC 7672 section 2.2: encrypted at least, though there is nothing to prove it by.
                self._without_tlsa(host, Protection.REQUIRED)
            case None:
                self._without_tlsa(host, Protection.OPPORTUNISTIC)

    def _without_tlsa(self, host: MailHost, least: Protection) -> None:
        policy = self._policy
        if policy is None:
            self._without_policy(host, least)
        elif policy.mode is Mode.ENFORCE:
            demand = TlsDemand(Protection.VERIFIED, policy="sts", domain=self._domain)
            if policy.allows(host.name):
                self._allow(host, demand)
            else:
                self._refuse(demand, host, ResultType.VALIDATION_FAILURE, self._not_named(host))
        else:
            self._tested(host, least, policy)

    def _tested(self, host: MailHost, least: Protection, policy: Policy) -> None:
        """RFC 8461 section 5: what fails is told, and mail goes as without the policy."""
        demand = TlsDemand(Protection.VERIFIED, policy="sts", domain=self._domain, testing=True)
        if not policy.allows(host.name):
            fact = (demand, host.name, ResultType.VALIDATION_FAILURE, self._not_named(host))
            self.refused.append(fact)
            # Told once; its connections count under no policy.
            self._without_policy(host, least)
        elif self._require_tls or least is not Protection.OPPORTUNISTIC:
            self._without_policy(host, least)
        else:
            self._allow(host, demand)

    def _without_policy(self, host: MailHost, least: Protection) -> None:
        if not self._require_tls:
            self._allow(host, TlsDemand(least, domain=self._domain))
        elif self._secure or host.name == self._domain or self._domain.startswith("["):
            self._allow(host, TlsDemand(Protection.VERIFIED, domain=self._domain))
        elif not self._why:
            self._why = (
                f"the sender wants TLS with the right server (REQUIRETLS), and that {host.name} is"
                f" the one for {self._domain} is said by an MX record alone, which anybody may"
                " forge"
            )

    def _allow(self, host: MailHost, demand: TlsDemand) -> None:
        self.allowed.append((host, demand))

    def _refuse(self, demand: TlsDemand, host: MailHost, kind: ResultType, reason: str) -> None:
        self.refused.append((demand, host.name, kind, reason))
        self._why = self._why or reason

    def _not_named(self, host: MailHost) -> str:
        return f"the MTA-STS policy of {self._domain} does not name its mail host {host.name}"

    def no_route(self) -> NoRoute:
        """Why no host is left. Only what REQUIRETLS asks and DNS surely does not prove is for good;
        whoever publishes a policy can mend the rest."""
        if self._require_tls and not self._temporary and not self.refused:
            return NoRoute(Verdict.FAILED, "5.7.30", self._why)
        why = self._why or f"the mail hosts of {self._domain} cannot be proven at the moment"
        return NoRoute(Verdict.DEFERRED, "4.7.5", why, unreachable=not self._require_tls)
