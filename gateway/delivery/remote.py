"""One attempt to send a message to one destination, with an outcome for every recipient.

Owns the choice of the hosts and the order in which they are tried: the named next hop, else the
smart host, else the domain's MX hosts. Never retries later, never records: that is the queue's.

A host that cannot take mail now (no connection, refusing greeting, lost before the message) makes
room for the next one; what a host said about a recipient is final for this attempt.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from twisted.internet import error
from twisted.internet.defer import CancelledError
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint, wrapClientTLS
from twisted.internet.protocol import Factory
from twisted.logger import Logger

from gateway.core.ids import BlobId
from gateway.core.ports.clock import Timers, WallClock
from gateway.core.queue import Outcome, QueueItem, Verdict, WaitingRecipient
from gateway.delivery.mx import MxLookup, NoRoute, Target
from gateway.delivery.next_hop import NextHop, NextHopSyntax, parse_next_hop
from gateway.delivery.smtp_client import SmtpClient, Timeouts
from gateway.delivery.tls import ClientTls
from gateway.wire.smtp_client import ClientSession
from gateway.wire.smtp_client_envelope import (
    Envelope,
    EnvelopeRefused,
    Login,
    hello_octets,
    path_octets,
)
from gateway.wire.smtp_client_plan import Result, SessionEnd, SessionPlan, TlsRule

UNREACHABLE = "4.4.1"  # RFC 3463 section 3.5: no answer from host


class MessageSource(Protocol):
    """Where bodies are read; kept by the queue's store."""

    async def read(self, blob_id: BlobId, offset: int, length: int) -> bytes: ...


class Endpoints(Protocol):
    """Makes the IStreamClientEndpoint for one address."""

    def __call__(self, ip: str, port: int, timeout_s: float) -> Any: ...


def tcp_endpoints(reactor: Any) -> Endpoints:
    """Endpoints over plain TCP, IPv4 or IPv6 by the address."""

    def endpoint(ip: str, port: int, timeout_s: float) -> Any:
        family = TCP6ClientEndpoint if ":" in ip else TCP4ClientEndpoint
        return family(reactor, ip, port, timeout=timeout_s)

    return endpoint


@dataclass(frozen=True, slots=True)
class _Job:
    """What stays the same while hosts are tried."""

    item: QueueItem
    hello: bytes
    sender: bytes
    next_hop: NextHop | None
    login: Login | None


class RemoteDelivery:
    """Sends to other servers.

    Args:
        hostname: our name for EHLO.
        smart_host: takes everything that has no next hop of its own.
        smart_host_password: for the user of ``smart_host``.
    """

    log = Logger()

    def __init__(
        self,
        hostname: str,
        *,
        source: MessageSource,
        mx: MxLookup,
        endpoints: Endpoints,
        tls: ClientTls,
        timers: Timers,
        wall_clock: WallClock,
        timeouts: Timeouts | None = None,
        smart_host: NextHop | None = None,
        smart_host_password: bytes = b"",
    ) -> None:
        self._hostname = hostname
        self._source = source
        self._mx = mx
        self._endpoints = endpoints
        self._tls = tls
        self._timers = timers
        self._wall_clock = wall_clock
        self._timeouts = timeouts or Timeouts()
        self._smart_host = smart_host
        self._smart_host_password = smart_host_password

    def destination(self, recipient: WaitingRecipient) -> str:
        """Recipients of one message with the same destination may share an attempt."""
        if recipient.next_hop:
            return recipient.next_hop
        if self._smart_host is not None:
            return str(self._smart_host)
        return recipient.address.domain

    async def attempt(
        self, item: QueueItem, recipients: Sequence[WaitingRecipient], next_hop: str
    ) -> list[Outcome]:
        """Try once. The recipients share one destination; each gets exactly one outcome."""
        outcomes: list[Outcome] = []
        left: list[tuple[WaitingRecipient, bytes]] = []
        for recipient in recipients:
            try:
                left.append((recipient, path_octets(recipient.address)))
            except EnvelopeRefused as refused:
                outcomes.append(_outcome(recipient, _own(refused.status, str(refused))))
        if not left:
            return outcomes
        try:
            job = self._job(item, next_hop)
            targets = await self._targets(job, left[0][0].address.domain)
        except EnvelopeRefused as refused:
            problem = _own(refused.status, str(refused))
        except NextHopSyntax as wrong:
            problem = _own("4.3.5", f"the next hop {next_hop or 'smart host'} is unusable: {wrong}")
        except NoRoute as no_route:
            problem = Result(no_route.verdict, no_route.status, no_route.text)
        else:
            return outcomes + await self._try_hosts(job, left, targets)
        return outcomes + [_outcome(recipient, problem) for recipient, _ in left]

    async def _try_hosts(
        self, job: _Job, left: list[tuple[WaitingRecipient, bytes]], targets: list[Target]
    ) -> list[Outcome]:
        """Host after host, until every recipient is decided or none is left to try."""
        outcomes: list[Outcome] = []
        weight, problem_host, last = 0, "", _own(UNREACHABLE, "no host was tried")
        for target in targets:
            end = await self._host(job, left, target)
            undecided: list[tuple[WaitingRecipient, bytes]] = []
            for pair, result in zip(left, end.results, strict=True):
                if result is not None:
                    outcomes.append(_outcome(pair[0], result, target.host, end))
                else:
                    undecided.append(pair)
            left = undecided
            if end.problem is not None and _weight(end.problem, end.elsewhere) >= weight:
                weight = _weight(end.problem, end.elsewhere)
                problem_host, last = target.host, end.problem
            self.log.info(
                "{queue_id} {target}: {text}",
                queue_id=job.item.queue_id,
                target=target,
                text=end.problem.text if end.problem is not None else "answered for all",
            )
            if not left or not end.elsewhere:
                break
        outcomes += [_outcome(recipient, last, problem_host) for recipient, _ in left]
        return outcomes

    def _job(self, item: QueueItem, next_hop: str) -> _Job:
        hop = parse_next_hop(next_hop) if next_hop else self._smart_host
        login = None
        if hop is not None and hop.user:
            if hop != self._smart_host or not self._smart_host_password:
                raise NextHopSyntax("there is no password for its user")
            login = Login(hop.user, self._smart_host_password)
        try:
            sender = path_octets(item.sender)
        except EnvelopeRefused as refused:
            raise EnvelopeRefused("5.1.7", f"the sender: {refused}") from None
        return _Job(item, hello_octets(self._hostname), sender, hop, login)

    async def _targets(self, job: _Job, domain: str) -> list[Target]:
        if job.next_hop is not None:
            return await self._mx.explicit(job.next_hop.host, job.next_hop.port)
        if not domain:
            raise EnvelopeRefused("5.1.3", "an address without a domain leads nowhere")
        targets = await self._mx.targets(domain)
        return targets if not _needs_proof(job.item) else _proven(targets, domain)

    async def _host(
        self, job: _Job, recipients: Sequence[tuple[WaitingRecipient, bytes]], target: Target
    ) -> SessionEnd:
        """One host; once more without TLS where only the handshake failed and TLS is a bonus.

        Postfix does the same: what a broken TLS library keeps from flowing in cipher would
        otherwise not flow at all, and an attacker can strip opportunistic STARTTLS anyway.
        """
        rule = job.next_hop.tls if job.next_hop is not None else TlsRule.OPPORTUNISTIC
        if _needs_proof(job.item):
            rule = TlsRule.REQUIRED
        end = await self._session(job, recipients, target, rule)
        if end.without_tls:
            end = await self._session(job, recipients, target, TlsRule.NEVER)
        return end

    async def _session(
        self,
        job: _Job,
        recipients: Sequence[tuple[WaitingRecipient, bytes]],
        target: Target,
        rule: TlsRule,
    ) -> SessionEnd:
        item, hop = job.item, job.next_hop
        paths = tuple(path for _, path in recipients)
        implicit = hop is not None and hop.implicit_tls
        by = item.options.deliver_by
        session = ClientSession(
            SessionPlan(
                job.hello,
                Envelope(
                    job.sender,
                    paths,
                    item.size_octets,
                    item.options,
                    tuple(recipient.options for recipient, _ in recipients),
                    None if by is None else by.at - int(self._wall_clock()),
                ),
                tls=rule,
                secure=implicit,
                login=job.login,
                clear_text_login=hop is not None and hop.on_loopback,
                refuse_self=hop is None,
            )
        )
        try:
            creator = self._tls.creator(target.host, verified=rule is TlsRule.REQUIRED)
        except ValueError:  # a name that only DNS allows
            status = "5.7.30" if item.options.require_tls else "4.7.5"
            untrusted = _own(status, f"no certificate can be for the host name {target.host}")
            return SessionEnd((None,) * len(paths), untrusted, elsewhere=True)
        client = SmtpClient(
            session,
            lambda offset, length: self._source.read(
                item.blob_id, item.content_offset + offset, length
            ),
            item.size_octets,
            tls=creator,
            timers=self._timers,
            timeouts=self._timeouts,
        )
        endpoint = self._endpoints(target.ip, target.port, self._timeouts.connect_s)
        if implicit:
            endpoint = wrapClientTLS(creator, endpoint)
        try:
            await endpoint.connect(Factory.forProtocol(lambda: client))
        except (CancelledError, error.ConnectingCancelledError):
            raise CancelledError() from None
        except Exception as problem:
            # Besides ConnectError also what the socket layer raises: no IPv6 here, no descriptors.
            text = f"no connection to {target}: {_words(problem)}"
            return SessionEnd((None,) * len(paths), _own(UNREACHABLE, text), elsewhere=True)
        return await client.ended


def _needs_proof(item: QueueItem) -> bool:
    """RFC 8689 section 4.2.1: only over TLS with the right server; section 5 spares reports."""
    return item.options.require_tls and item.sender is not None


def _proven(targets: list[Target], domain: str) -> list[Target]:
    """Those whose certificate proves that they stand for the domain, as it is for that very name.

    What an MX record says is worth no more than DNS: section 4.2.1 wants it proven by DNSSEC or
    MTA-STS, and neither is looked at yet. Raises: NoRoute.
    """
    named = [target for target in targets if target.host == domain or domain.startswith("[")]
    if not named:
        text = (
            f"the sender wants TLS with the right server (REQUIRETLS), and that {targets[0].host}"
            f" is the one for {domain} is said by an MX record alone, which anybody may forge"
        )
        raise NoRoute(Verdict.FAILED, "5.7.30", text)
    return named


def _weight(problem: Result, elsewhere: bool) -> int:
    """Which of several hosts' problems is told: the higher.

    A host that may take mail later outweighs those that never talk to us; one that answered tells
    more than one that could not be reached; what was said to the transaction is the last word.
    """
    if not elsewhere:
        return 3
    if problem.verdict is Verdict.FAILED:
        return 0
    return 1 if problem.status == UNREACHABLE else 2


def _words(problem: Exception) -> str:
    """Why there is no connection, for the sender's report."""
    match problem:
        case error.ConnectionRefusedError():
            return "connection refused"
        case error.TimeoutError() | error.TCPTimedOutError():
            return "no answer in time"
        case error.NoRouteError():
            return "no route to the host"
        case _:
            return type(problem).__name__


def _own(status: str, text: str) -> Result:
    """Our own words; the verdict follows the status class."""
    return Result(Verdict.FAILED if status[0] == "5" else Verdict.DEFERRED, status, text)


def _outcome(
    recipient: WaitingRecipient, result: Result, host: str = "", end: SessionEnd | None = None
) -> Outcome:
    remote = host if result.answered else ""
    taken = end is not None and result.verdict is Verdict.DELIVERED
    return Outcome(
        recipient.number,
        result.verdict,
        result.status,
        result.text,
        remote,
        reports_on=taken and end is not None and end.reports_on,
        timed=taken and end is not None and end.timed,
    )
