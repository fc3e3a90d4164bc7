"""Sends domains the daily reports about TLS that they ask for (RFC 8460).

Owns when a report is due, who gets it and that there is one for each domain and day: its id is made
of both, a message with it is accepted once, and its counts go when it is on its way. By mail it
goes through our own queue, with the null sender, so that nothing comes back; by HTTPS only to the
Internet, as strangers choose the address. What fails is tried again every RETRY_S, as long as the
counts are kept. Reports are not signed (DKIM), as nothing is yet.

Nobody asks the owner of an address whether he wants the reports that some record sends him, so one
address or HTTPS server gets MAX_TO_ONE a day; further ones are not made.

Each day's begin at a time of its own between MIN_DELAY_S and MAX_DELAY_S after midnight UTC, so
that not all senders of the world write at once (section 5.5).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from hashlib import sha256
from random import Random
from typing import Protocol
from urllib.parse import urlsplit

from twisted.internet.defer import CancelledError, Deferred, DeferredSemaphore, gatherResults
from twisted.logger import Logger
from twisted.python.failure import Failure

from gateway.core.address import Address, path
from gateway.core.envelope import MessageOptions
from gateway.core.errors import GatewayError
from gateway.core.log_text import escaped
from gateway.core.messages import LOCAL, NewMessage, QueuedRecipient
from gateway.core.ports.clock import Timer, Timers, WallClock
from gateway.core.ports.store import Intake
from gateway.core.ports.tls_policies import Counted, Sessions, TlsCounts
from gateway.delivery.https import HttpsClient, HttpsFailure, Names
from gateway.wire import tlsrpt
from gateway.wire.tlsrpt import DAY_S, Destinations, Policy, PolicyType, Report

LOOK_S = 900.0
RETRY_S = 3600
POST_DEADLINE_S = 30.0
MIN_DELAY_S = 600
MAX_DELAY_S = 4 * 3600
AT_ONCE = 10
MOST = 20_000
MAX_DETAILS = 500
MAX_ANSWER_OCTETS = 65_536
MAX_TO_ONE = 1000


class Counting(Protocol):
    """What has not reached the store yet."""

    async def flush(self) -> None: ...


class TlsReports:
    """Sends reports. Reactor thread; one process at a time (whoever runs the queue).

    Args:
        sender: the address that reports come from, and for questions.
    """

    log = Logger()

    def __init__(
        self,
        names: Names,
        counts: TlsCounts,
        counting: Counting,
        intake: Intake,
        https: HttpsClient,
        *,
        hostname: str,
        sender: str,
        timers: Timers,
        wall_clock: WallClock,
        random: Random,
    ) -> None:
        self._names = names
        self._counts = counts
        self._counting = counting
        self._intake = intake
        self._https = https
        self._hostname = hostname
        self._sender = sender
        self._timers = timers
        self._wall_clock = wall_clock
        self._random = random
        self._timer: Timer | None = None
        self._looking: Deferred[None] | None = None
        self._delays: dict[int, float] = {}
        self._not_before: dict[tuple[int, str], float] = {}
        self._sent_to: Counter[str] = Counter()  # today

    def start(self) -> None:
        self._timer = self._timers.callLater(LOOK_S, self._look)

    async def stop(self) -> None:
        """No report is begun any more; what is counted is kept."""
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None
        looking, self._looking = self._looking, None
        if looking is not None:
            looking.cancel()
        await self._counting.flush()

    def _look(self) -> None:
        self._timer = self._timers.callLater(LOOK_S, self._look)
        if self._looking is None:
            looking = self._looking = Deferred.fromCoroutine(self.send_due())
            looking.addErrback(self._went_wrong)
            looking.addBoth(self._looked)

    def _went_wrong(self, failure: Failure) -> None:
        if not failure.check(CancelledError):
            self.log.failure("reports about TLS went wrong", failure)

    def _looked(self, _: None) -> None:
        self._looking = None

    async def send_due(self) -> None:
        """Send what is due now."""
        now = self._wall_clock()
        today = int(now) // DAY_S
        if today not in self._delays:
            self._delays = {today: self._random.uniform(MIN_DELAY_S, MAX_DELAY_S)}
            self._sent_to.clear()
        if now < today * DAY_S + self._delays[today]:
            return
        await self._counting.flush()
        try:
            days = await self._counts.unreported(today, MOST)
        except GatewayError as error:
            self.log.warn("no reports about TLS: {error}", error=str(error))
            return
        still = set(days)
        self._not_before = {key: at for key, at in self._not_before.items() if key in still}
        due = [key for key in days if not 0 < self._not_before.get(key, 0.0) - now <= RETRY_S]
        semaphore = DeferredSemaphore(AT_ONCE)
        await gatherResults([semaphore.run(self._begin(*key)) for key in due])

    def _begin(self, day: int, domain: str) -> Callable[[], Deferred[None]]:
        def wrong(failure: Failure) -> None:
            # One domain's must not keep those of all others from leaving.
            self._put_off(day, domain)
            self._went_wrong(failure)

        return lambda: Deferred.fromCoroutine(self._one(day, domain)).addErrback(wrong)

    def _put_off(self, day: int, domain: str) -> None:
        self._not_before[(day, domain)] = self._wall_clock() + RETRY_S

    async def _one(self, day: int, domain: str) -> None:
        try:
            done = await self._report(day, domain)
            if done:
                await self._counts.reported(day, domain)
        except GatewayError as error:
            self.log.warn(
                "no report about TLS to {domain}: {error}", domain=escaped(domain), error=str(error)
            )
            done = False
        if not done:
            self._put_off(day, domain)

    async def _report(self, day: int, domain: str) -> bool:
        """False: to be tried again. Raises: StoreUnavailable."""
        answer = await self._names.ask("TXT", f"_smtp._tls.{domain}")
        if answer.failed:
            return False
        wanted = tlsrpt.read_record([text.decode("utf-8", "replace") for text in answer.octets])
        if wanted is None:
            return True  # most domains ask for none
        report = self._made(day, domain, await self._counts.counted(day, domain))
        return await self._send(report, wanted)

    async def _send(self, report: Report, wanted: Destinations) -> bool:
        addresses = [each for each in wanted.addresses if self._may(each.key)]
        urls = [each for each in wanted.urls if self._may(urlsplit(each).hostname or "")]
        if not addresses and not urls:
            return True
        sent = False
        if addresses:
            await self._mail(report, addresses)
            sent = True
        for url in urls:
            sent = await self._post(report, url) or sent
        if sent:
            where = ", ".join((*map(str, addresses), *urls))
            self.log.info(
                "report about TLS with {domain} sent to {where}",
                domain=escaped(report.domain),
                where=escaped(where),
            )
        return sent

    def _may(self, receiver: str) -> bool:
        """Counts."""
        self._sent_to[receiver] += 1
        if self._sent_to[receiver] == MAX_TO_ONE + 1:
            self.log.warn(
                "{receiver} gets no more reports about TLS today: {number} is the most",
                receiver=escaped(receiver),
                number=MAX_TO_ONE,
            )
        return self._sent_to[receiver] <= MAX_TO_ONE

    async def _mail(self, report: Report, addresses: Sequence[Address]) -> None:
        now = int(self._wall_clock())
        body = self._intake.open_body()
        to = ",\r\n ".join(
            map(path, addresses)
        )  # one a line, as RFC 5322 section 2.1.1 bounds them
        body.write(tlsrpt.render_message(report, sender=f"<{self._sender}>", to=to, at=now))
        message = NewMessage(
            ingest_id=report.report_id,
            sender=None,
            local_header=b"Return-Path: <>\r\n",
            trace_header=b"",
            body=body,
            local=(),
            # Routing finds out in the queue where they are, as they may well be here.
            remote=tuple(QueuedRecipient(each, LOCAL) for each in addresses),
            received_at=now,
            # It must arrive where TLS is what is broken (section 3); what these connections come
            # to is not counted.
            options=MessageOptions(tls_optional=True),
            may_exceed_quota=True,
        )
        await self._intake.accept(message)

    async def _post(self, report: Report, url: str) -> bool:
        """Section 5.4."""
        parts = urlsplit(url)
        where = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
        try:
            answer = await self._https.request(
                b"POST",
                (parts.hostname or "").lower(),
                where,
                max_octets=MAX_ANSWER_OCTETS,
                headers={b"Content-Type": b"application/tlsrpt+gzip"},
                body=tlsrpt.compressed(report),
            )
            why = "" if 200 <= answer.status < 300 else f"it answers {answer.status}"
        except HttpsFailure as problem:
            why = str(problem)
        if why:
            self.log.warn(
                "report about TLS not sent to {url}: {why}", url=escaped(url), why=escaped(why)
            )
        return not why

    def _made(self, day: int, domain: str, sessions: Sequence[Sessions]) -> Report:
        digest = sha256(domain.encode()).hexdigest()[:20]
        return Report(
            domain=domain,
            day=day,
            organisation=self._sender.rpartition("@")[2],
            submitter=self._hostname,
            contact=self._sender,
            report_id=f"tlsrpt-{day}-{digest}@{self._hostname}",
            counts=summed(sessions),
        )


def summed(sessions: Sequence[Sessions]) -> tuple[tlsrpt.PolicyCount, ...]:
    """Counts by policy, in an order that is always the same."""
    by_policy: dict[tuple[PolicyType, str, str], list[Sessions]] = {}
    for each in sorted(sessions, key=_order):
        of = each.of
        kind: PolicyType = (
            "sts" if of.policy_kind == "sts" else "tlsa" if of.policy_kind == "tlsa" else _NO_POLICY
        )
        by_policy.setdefault((kind, of.policy_domain, of.policy), []).append(each)
    return tuple(_count(key, group) for key, group in by_policy.items())


_NO_POLICY: PolicyType = "no-policy-found"


def _order(each: Sessions) -> tuple[str, ...]:
    of = each.of
    return (of.policy_kind, of.policy_domain, of.policy, of.result, of.host, of.receiving_ip)


def _count(key: tuple[PolicyType, str, str], group: Sequence[Sessions]) -> tlsrpt.PolicyCount:
    kind, domain, text = key
    lines = tuple(text.split("\n")) if text else ()
    patterns = tuple(line[4:] for line in lines if kind == "sts" and line.startswith("mx: "))
    failed = [each for each in group if each.of.result]
    return tlsrpt.PolicyCount(
        Policy(kind, domain, lines, patterns),
        sum(each.sessions for each in group if not each.of.result),
        sum(each.sessions for each in failed),
        tuple(_detail(each.of, each.sessions) for each in failed[:MAX_DETAILS]),
    )


def _detail(of: Counted, sessions: int) -> tlsrpt.FailureDetail:
    return tlsrpt.FailureDetail(
        of.result, sessions, of.host, of.receiving_ip, of.sending_ip, of.reason
    )
