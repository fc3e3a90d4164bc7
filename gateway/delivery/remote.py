"""One attempt to send a message to one destination, with an outcome for every recipient.

Owns the order in which the destination's hosts are tried, what each attempt tells about it, and the
one repetition that a kept connection may need. Never retries later, never records: that is the
queue's. Who the hosts are is ``routes``' matter, and opening them ``connections``'.

A host that cannot take mail now (no connection, refusing greeting, lost before the message) makes
room for the next one; what a host said about a recipient is final for this attempt.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Protocol

from twisted.logger import Logger

from gateway.core.errors import GatewayError
from gateway.core.ids import BlobId
from gateway.core.next_hop import NextHopSyntax, parse_chain
from gateway.core.ports.clock import WallClock
from gateway.core.queue import Outcome, QueueItem, Trouble, Verdict, WaitingRecipient
from gateway.delivery.body import CHUNK_OCTETS, Body
from gateway.delivery.connections import CannotOpen, Connection, Connections, best
from gateway.delivery.destinations import names_servers
from gateway.delivery.targets import NoRoute, Protection, Routes, Target, TlsDemand
from gateway.wire.smtp_client_envelope import Envelope, EnvelopeRefused, path_octets
from gateway.wire.smtp_client_plan import NotOpened, Obstacle, Result, TransactionEnd
from gateway.wire.smtp_client_results import PeerLimits

UNREADABLE = Result(Verdict.DEFERRED, "4.3.0", "the message cannot be read at the moment")
_REQUIRETLS = "; the sender wants TLS (REQUIRETLS)"

Recipient = tuple[WaitingRecipient, bytes]
"""With the path as it is written to servers."""


class MessageSource(Protocol):
    """Where bodies are read; kept by the queue's store."""

    async def read(self, blob_id: BlobId, offset: int, length: int) -> bytes: ...


@dataclass(frozen=True, slots=True)
class _Tried:
    """What one host came to.

    Args:
        results: of the recipients given to it; None where ``problem`` counts.
        problem: None where each has a result.
        opened: it could be talked to.
        elsewhere: the next host may be tried for those undecided.
        end: of the transaction, if there was one.
        via: which way it went, in words.
    """

    results: Sequence[Result | None]
    problem: Result | None
    opened: bool
    elsewhere: bool
    end: TransactionEnd | None = None
    via: str = ""


class RemoteDelivery:
    """Sends to other servers."""

    log = Logger()

    def __init__(
        self,
        *,
        source: MessageSource,
        routes: Routes,
        connections: Connections,
        wall_clock: WallClock,
    ) -> None:
        self._source = source
        self._routes = routes
        self._connections = connections
        self._wall_clock = wall_clock

    async def attempt(self, item: QueueItem) -> list[Outcome]:
        """Try once. The recipients share one destination; each gets exactly one outcome."""
        outcomes: list[Outcome] = []
        left: list[Recipient] = []
        for recipient in item.recipients:
            try:
                left.append((recipient, path_octets(recipient.address)))
            except EnvelopeRefused as refused:
                outcomes.append(_outcome(recipient, _own(refused.status, str(refused))))
        if not left:
            return outcomes
        trouble = Trouble.NONE
        try:
            sender = path_octets(item.sender)
        except EnvelopeRefused as refused:
            problem = _own("5.1.7", f"the sender: {refused}")
        else:
            try:
                targets = await self._routes.targets(item)
            except NoRoute as no_route:
                problem = Result(no_route.verdict, no_route.status, no_route.text)
                if no_route.unreachable:
                    trouble = Trouble.DEAD
            else:
                body = await self._body(item)
                if body is not None:
                    job = _Job(item, sender, body, self._wall_clock)
                    return outcomes + await self._try_hosts(job, left, targets)
                problem = UNREADABLE
        return outcomes + [_outcome(each, problem, trouble=trouble) for each, _ in left]

    def forget_refusals(self, destination: str) -> None:
        """Let the next attempt log in where a login was refused lately."""
        if not names_servers(destination):
            return
        with suppress(NextHopSyntax):  # then no attempt gets so far
            for hop in parse_chain(destination):
                self._connections.forget_refusal(hop)

    async def stop(self) -> None:
        """Say good-bye on connections that wait for more mail, and keep none any more."""
        await self._connections.stop()

    async def _body(self, item: QueueItem) -> Body | None:
        """A small message is read here, once for all hosts; None: it cannot be."""
        blob_id, start, size = item.blob_id, item.content_offset, item.size_octets

        async def read(offset: int, length: int) -> bytes:
            return await self._source.read(blob_id, start + offset, length)

        if item.content is not None:
            return Body(size, read, item.content)
        if size > CHUNK_OCTETS:
            return Body(size, read)
        try:
            octets = await self._source.read(blob_id, start, size) if size else b""
        except GatewayError as problem:
            self.log.warn("{id} cannot be read for sending: {why}", id=item.queue_id, why=problem)
            return None
        except OSError:
            self.log.failure("{id} cannot be read for sending", id=item.queue_id)
            return None
        if len(octets) != size:
            self.log.warn("{id} is shorter than recorded", id=item.queue_id)
            return None
        return Body(size, read, octets)

    async def _try_hosts(
        self, job: _Job, left: list[Recipient], targets: Sequence[Target]
    ) -> list[Outcome]:
        """Host after host, until every recipient is decided or none is left to try."""
        outcomes: list[Outcome] = []
        weight, problem_host = -1, ""
        last = _own("4.4.1", "no host was tried")
        busy = opened = False
        if job.needs_proof:
            targets = [_proving(target) for target in targets]
        connection, targets = self._at_hand(targets)
        for target in targets:
            tried = await self._host(job, left, target, connection)
            connection = None
            opened = opened or tried.opened
            problem = tried.problem
            if problem is None:
                outcomes += [
                    _outcome(pair[0], result, target.host, tried)
                    for pair, result in zip(left, tried.results, strict=True)
                    if result is not None
                ]
                return _with_again(outcomes)
            undecided: list[Recipient] = []
            for pair, result in zip(left, tried.results, strict=True):
                if result is not None:
                    outcomes.append(_outcome(pair[0], result, target.host, tried))
                else:
                    undecided.append(pair)
            left = undecided
            busy = busy or problem.busy
            heavier = _weight(problem, tried)
            if heavier >= weight:
                weight, problem_host, last = heavier, target.host, problem
            self.log.info(
                "{queue_id} {target}: {text}",
                queue_id=job.item.queue_id,
                target=target,
                text=problem.text,
            )
            if not tried.elsewhere:
                break
        trouble = Trouble.NONE
        if busy:
            trouble = Trouble.BUSY
        elif not opened and last.verdict is Verdict.DEFERRED:
            trouble = Trouble.DEAD
        outcomes += [_outcome(each, last, problem_host, trouble=trouble) for each, _ in left]
        return _with_again(outcomes)

    def _at_hand(self, targets: Sequence[Target]) -> tuple[Connection | None, Sequence[Target]]:
        """An open connection to one of the best hosts, which is tried first then."""
        for target in best(targets):
            connection = self._connections.take(target)
            if connection is not None:
                if target is not targets[0]:
                    targets = [target, *(each for each in targets if each is not target)]
                return connection, targets
        return None, targets

    async def _host(
        self, job: _Job, left: Sequence[Recipient], target: Target, connection: Connection | None
    ) -> _Tried:
        """One host; on a new connection where the kept one turns out to be dead, and without BDAT
        where the host does not know what it offers."""
        try:
            connection = connection or await self._connections.open(target)
            tried = await self._transact(job, left, connection)
            end = tried.end
            if end is not None and (end.stale or end.without_chunking):
                if end.without_chunking:
                    self._connections.avoid_chunking(target)
                connection = await self._connections.open(target)
                tried = await self._transact(job, left, connection)
        except CannotOpen as cannot:
            return _not_opened(cannot.end, len(left), job)
        return tried

    async def _transact(
        self, job: _Job, left: Sequence[Recipient], connection: Connection
    ) -> _Tried:
        client = connection.client
        limits = client.limits
        few = left
        if limits.rcpt_max or limits.rcpt_domain_max:
            few = _within(limits, left)
        end = await client.send(job.envelope(few), job.body)
        self._connections.give_back(connection)
        results: Sequence[Result | None] = end.results
        problem = end.problem
        if len(few) < len(left):
            # RFC 9422: the others come next, if this server served the first ones at all.
            beyond = None if problem is not None else _too_many(limits)
            by_number = {pair[0].number: result for pair, result in zip(few, results, strict=True)}
            results = [by_number.get(pair[0].number, beyond) for pair in left]
        return _Tried(results, problem, True, end.elsewhere, end, connection.via)


class _Job:
    """What stays the same while hosts are tried."""

    __slots__ = ("_sender", "_wall_clock", "body", "item")

    def __init__(self, item: QueueItem, sender: bytes, body: Body, wall_clock: WallClock) -> None:
        self.item = item
        self.body = body
        self._sender = sender
        self._wall_clock = wall_clock

    @property
    def needs_proof(self) -> bool:
        """RFC 8689 section 4.2.1: only over TLS with the right server; section 5 spares reports."""
        return self.item.options.require_tls and self.item.sender is not None

    def envelope(self, recipients: Sequence[Recipient]) -> Envelope:
        item = self.item
        by = item.options.deliver_by
        return Envelope(
            self._sender,
            tuple([path for _, path in recipients]),
            item.size_octets,
            item.options,
            tuple([recipient.options for recipient, _ in recipients]),
            None if by is None else by.at - int(self._wall_clock()),
        )


def _proving(target: Target) -> Target:
    """Routes know which hosts may be believed; none of them is without TLS that proves it."""
    demand = target.demand
    if demand.protection in (Protection.VERIFIED, Protection.DANE) and not demand.testing:
        return target
    return replace(target, demand=TlsDemand(Protection.VERIFIED))


def _not_opened(end: NotOpened, count: int, job: _Job) -> _Tried:
    problem = end.problem
    if job.needs_proof and end.obstacle is Obstacle.TLS:
        # RFC 8689 section 4.2.1: what the sender asks for and this host cannot give is no matter
        # of time, nor of other messages; what the administrator asks for is.
        problem = Result(Verdict.FAILED, "5.7.30", problem.text + _REQUIRETLS)
    return _Tried([None] * count, problem, False, end.elsewhere)


def _within(limits: PeerLimits, left: Sequence[Recipient]) -> Sequence[Recipient]:
    """As many of them as the server takes in one transaction."""
    few: list[Recipient] = []
    domains: set[str] = set()
    for pair in left:
        if limits.rcpt_max and len(few) >= limits.rcpt_max:
            break
        domain = pair[0].address.domain
        if limits.rcpt_domain_max and domain not in domains:
            if len(domains) >= limits.rcpt_domain_max:
                continue
            domains.add(domain)
        few.append(pair)
    return few


def _too_many(limits: PeerLimits) -> Result:
    most = limits.rcpt_max or limits.rcpt_domain_max
    text = f"the server takes {most} in one transaction; the others are sent next"
    return Result(Verdict.DEFERRED, "4.5.3", text, again=True)


def _with_again(outcomes: list[Outcome]) -> list[Outcome]:
    """Only where another recipient was decided by the server: else nothing would come of it."""
    if not any(each.again for each in outcomes):
        return outcomes
    if any(each.remote and not each.again for each in outcomes):
        return outcomes
    return [
        replace(each, again=False, trouble=Trouble.BUSY) if each.again else each
        for each in outcomes
    ]


def _weight(problem: Result, tried: _Tried) -> int:
    """Which of several hosts' problems is told: the higher.

    A host that may take mail later outweighs those that never talk to us; one that answered tells
    more than one that could not be reached; what was said to the transaction is the last word.
    """
    if not tried.elsewhere:
        return 3
    if problem.verdict is Verdict.FAILED:
        return 0
    return 1 if problem.status == "4.4.1" else 2


def _own(status: str, text: str) -> Result:
    """Our own words; the verdict follows the status class."""
    return Result(Verdict.FAILED if status[0] == "5" else Verdict.DEFERRED, status, text)


def _outcome(
    recipient: WaitingRecipient,
    result: Result,
    host: str = "",
    tried: _Tried | None = None,
    trouble: Trouble = Trouble.NONE,
) -> Outcome:
    end = tried.end if tried is not None and result.verdict is Verdict.DELIVERED else None
    return Outcome(
        recipient.number,
        result.verdict,
        result.status,
        result.text,
        host if result.answered else "",
        reports_on=end is not None and end.reports_on,
        timed=end is not None and end.timed,
        trouble=Trouble.BUSY if result.busy else trouble,
        again=result.again,
        via=tried.via if tried is not None else "",
    )
