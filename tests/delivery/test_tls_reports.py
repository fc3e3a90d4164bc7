"""Counting of TLS and the daily reports about it (RFC 8460): what, to whom, and only once."""

from __future__ import annotations

import gzip
import json
from base64 import b64decode
from email import message_from_bytes
from pathlib import Path
from random import Random
from typing import Any

import pytest
from twisted.logger import capturedLogs

from gateway.core.address import Address
from gateway.core.envelope import MessageOptions
from gateway.core.messages import LOCAL, NewMessage, QueuedRecipient
from gateway.delivery.https import HttpsAnswer, HttpsFailure
from gateway.delivery.targets import Protection, Target, Tlsa, TlsDemand, TlsResult
from gateway.delivery.tls_counting import FLUSH_S, MAX_DETAILS, TlsCounting
from gateway.delivery.tls_reports import LOOK_S, MAX_DELAY_S, RETRY_S, TlsReports
from gateway.wire.sts import Policy, read_policy
from gateway.wire.tlsrpt import DAY_S, ResultType
from tests.support.tls_fakes import NOW, FakeCounts, FakeNames, WallClock, done

GOLDEN = Path(__file__).parent / "tls_report.json"
DOMAIN = "a.example"
POLICY = read_policy(b"version: STSv1\nmode: enforce\nmx: *.a.example\nmax_age: 604800\n")
STS = TlsDemand(Protection.VERIFIED, policy="sts", domain=DOMAIN)
DANE = TlsDemand(
    Protection.DANE, ("mx.a.example", DOMAIN), (Tlsa(3, 1, 1, b"\x0f" * 32),), "tlsa", DOMAIN
)
NONE = TlsDemand(domain=DOMAIN)
GOOD = TlsResult("TLSv1.3", "TLS_AES_256_GCM_SHA384", True)
EXPIRED = TlsResult(
    failure="certificate-expired", reason="the certificate has expired", sending_ip="192.0.2.99"
)
TODAY = NOW // DAY_S


class Body:
    def __init__(self) -> None:
        self.octets = b""

    def write(self, data: bytes) -> None:
        self.octets += data


class FakeIntake:
    """Takes each id once, as the store does."""

    def __init__(self) -> None:
        self.messages: dict[str, NewMessage] = {}

    def open_body(self) -> Any:
        return Body()

    async def accept(self, message: NewMessage) -> Any:
        self.messages.setdefault(message.ingest_id, message)


class FakeHttps:
    def __init__(self) -> None:
        self.status = 200
        self.posted: list[tuple[str, str, bytes]] = []

    async def request(self, method: bytes, host: str, path: str, **how: Any) -> HttpsAnswer:
        assert method == b"POST"
        assert how["headers"] == {b"Content-Type": b"application/tlsrpt+gzip"}
        self.posted.append((host, path, how["body"]))
        if not self.status:
            raise HttpsFailure("nobody there")
        return HttpsAnswer(self.status, "", b"")


class World:
    def __init__(self, record: str = "v=TLSRPTv1; rua=mailto:tls@reports.example") -> None:
        self.names = FakeNames()
        self.counts = FakeCounts()
        self.intake = FakeIntake()
        self.https = FakeHttps()
        self.now = WallClock()
        self.now.offset = float(TODAY * DAY_S + 43_200)
        self.policy: Policy | None = POLICY
        if record:
            self.names.put("TXT", f"_smtp._tls.{DOMAIN}", record.encode())
        self.counting = TlsCounting(self.counts, lambda _: self.policy, self.now.clock, self.now)
        self.restart()

    def restart(self) -> None:
        https: Any = self.https
        intake: Any = self.intake
        self.reports = TlsReports(
            self.names,
            self.counts,
            self.counting,
            intake,
            https,
            hostname="mail.x.example",
            sender="postmaster@x.example",
            timers=self.now.clock,
            wall_clock=self.now,
            random=Random(1),
        )

    def note(self, demand: TlsDemand, result: TlsResult, host: str = "mx.a.example") -> None:
        self.counting.note(Target(host, "192.0.2.1", demand=demand), result)

    def tomorrow(self) -> None:
        self.now.offset = float((TODAY + 1) * DAY_S + MAX_DELAY_S - self.now.clock.seconds())

    def send(self) -> None:
        done(self.reports.send_due())

    def report(self) -> Any:
        """What the one message says."""
        (message,) = self.intake.messages.values()
        body: Any = message.body
        parsed = message_from_bytes(body.octets)
        payload: Any = parsed.get_payload()
        return json.loads(gzip.decompress(b64decode(payload[1].get_payload())))


# -- counting


def test_sessions_reach_the_store_in_one_write_a_minute() -> None:
    world = World()
    for _ in range(1000):
        world.note(STS, GOOD)
    assert world.counts.writes == 0
    world.now.clock.advance(FLUSH_S)
    assert world.counts.writes == 1 and set(world.counts.sessions.values()) == {1000}
    assert world.now.clock.getDelayedCalls() == []


def test_what_was_counted_is_kept_at_the_end() -> None:
    world = World()
    world.reports.start()
    world.note(STS, GOOD)
    done(world.reports.stop())
    assert sum(world.counts.sessions.values()) == 1
    assert world.now.clock.getDelayedCalls() == []


def test_connections_of_no_domain_are_not_counted() -> None:
    world = World()
    world.note(TlsDemand(Protection.VERIFIED), GOOD)  # a smart host, or a report's own way
    done(world.counting.flush())
    assert world.counts.writes == 0


def test_the_number_of_details_is_bounded_and_the_count_is_right(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("gateway.delivery.tls_counting.MAX_DOMAINS", 2)
    world = World()
    for number in range(MAX_DETAILS + 30):
        world.note(STS, EXPIRED, f"mx{number}.a.example")
    for domain in ("b.example", "c.example"):
        world.note(TlsDemand(domain=domain), GOOD)
    done(world.counting.flush())
    mine = {of: n for of, n in world.counts.sessions.items() if of.domain == DOMAIN}
    assert len(mine) == MAX_DETAILS + 1 and sum(mine.values()) == MAX_DETAILS + 30
    assert {of.domain for of in world.counts.sessions} == {DOMAIN, "b.example"}


def test_S9_words_of_strangers_are_made_fit() -> None:
    world = World()
    world.note(STS, TlsResult(failure="validation-failure", reason="x\r\n\x00é" + "y" * 900))
    done(world.counting.flush())
    ((of, _),) = world.counts.sessions.items()
    assert of.reason.isascii() and of.reason.isprintable() and len(of.reason) < 300


# -- reports


def test_a_days_report_says_all_that_was_counted() -> None:
    world = World()
    for _ in range(3):
        world.note(STS, GOOD)
    world.note(STS, EXPIRED)
    world.note(STS, EXPIRED)
    world.note(DANE, GOOD)
    world.note(NONE, TlsResult(failure="starttls-not-supported", reason="not offered"))
    world.counting.refused(STS, "mx.evil.example", ResultType.VALIDATION_FAILURE, "not named")
    world.counting.fetch_failed(DOMAIN, ResultType.STS_POLICY_FETCH_ERROR, "404")
    world.send()
    assert world.intake.messages == {}, "the day is not over"
    world.tomorrow()
    world.send()
    assert world.report() == json.loads(GOLDEN.read_text())


def test_the_message_has_the_form_of_section_5_3() -> None:
    world = World("v=TLSRPTv1; rua=mailto:tls@reports.example,mailto:x%2By@a.example")
    world.note(STS, GOOD)
    world.tomorrow()
    world.send()
    (message,) = world.intake.messages.values()
    assert message.sender is None and message.options == MessageOptions(tls_optional=True)
    assert message.remote == (
        QueuedRecipient(Address("tls", "reports.example"), LOCAL),
        QueuedRecipient(Address("x+y", "a.example"), LOCAL),
    )
    body: Any = message.body
    assert b"\n" not in body.octets.replace(b"\r\n", b"")
    assert max(map(len, body.octets.split(b"\r\n"))) < 200
    parsed = message_from_bytes(body.octets)
    assert parsed["TLS-Report-Domain"] == DOMAIN
    assert parsed["TLS-Report-Submitter"] == "mail.x.example"
    assert parsed["TLS-Required"] == "No"
    assert parsed["From"] == "<postmaster@x.example>"
    assert " ".join(parsed["To"].split()) == "<tls@reports.example>, <x+y@a.example>"
    report_id = parsed["Message-ID"]
    assert " ".join(parsed["Subject"].split()) == (
        f"Report Domain: a.example Submitter: mail.x.example Report-ID: {report_id}"
    )
    assert parsed.get_content_type() == "multipart/report"
    assert parsed.get_param("report-type") == "tlsrpt"
    payload: Any = parsed.get_payload()
    words, part = payload
    assert words.get_content_type() == "text/plain"
    assert part.get_content_type() == "application/tlsrpt+gzip"
    begin = TODAY * DAY_S
    name = f"mail.x.example!a.example!{begin}!{begin + DAY_S - 1}.json.gz"
    assert part.get_filename() == name


def test_a_report_is_sent_once_whatever_restarts_or_comes_late() -> None:
    world = World()
    world.note(STS, GOOD)
    world.tomorrow()
    world.send()
    world.send()
    world.restart()
    world.now.offset -= DAY_S  # the clock is set back
    world.note(STS, GOOD)
    world.now.offset += DAY_S
    world.send()
    assert len(world.intake.messages) == 1
    assert world.report()["policies"][0]["summary"]["total-successful-session-count"] == 1


def test_a_crash_before_the_counts_go_makes_no_second_message() -> None:
    world = World()
    world.note(STS, GOOD)
    done(world.counting.flush())
    kept = dict(world.counts.sessions)
    world.tomorrow()
    world.send()
    world.counts.sessions, world.counts.done = kept, {}
    world.restart()
    world.send()
    assert len(world.intake.messages) == 1 and world.counts.sessions == {}


def test_reports_go_by_https_and_again_when_that_fails() -> None:
    world = World("v=TLSRPTv1;rua=https://reports.example/v1?x=y;")
    world.note(STS, GOOD)
    world.tomorrow()
    for world.https.status in (500, 0):
        world.send()
        world.now.offset += RETRY_S + 1
    assert world.counts.sessions
    world.https.status = 204
    world.send()
    world.send()
    assert [posted[:2] for posted in world.https.posted] == [("reports.example", "/v1?x=y")] * 3
    first, *others = (body for _, _, body in world.https.posted)
    assert others == [first] * 2, "one report, however often it is sent"
    assert json.loads(gzip.decompress(first))["organization-name"] == "x.example"
    assert world.counts.sessions == {} and world.intake.messages == {}


def test_failures_wait_before_they_are_tried_again() -> None:
    world = World("v=TLSRPTv1;rua=https://reports.example/")
    world.https.status = 0
    world.note(STS, GOOD)
    world.tomorrow()
    world.send()
    world.send()
    assert len(world.https.posted) == 1


def test_nobody_who_does_not_ask_gets_a_report() -> None:
    world = World(record="")
    world.note(STS, GOOD)
    world.tomorrow()
    world.send()
    assert world.intake.messages == {} and world.counts.sessions == {}


def test_one_domains_trouble_keeps_no_others_report(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    world.names.put("TXT", "_smtp._tls.b.example", b"v=TLSRPTv1; rua=mailto:t@b.example")
    for domain in (DOMAIN, "b.example"):
        world.note(TlsDemand(domain=domain), GOOD)
    world.tomorrow()
    counted = world.counts.counted

    async def broken(day: int, domain: str) -> Any:
        if domain == DOMAIN:
            raise ValueError
        return await counted(day, domain)

    monkeypatch.setattr(world.counts, "counted", broken)
    with capturedLogs() as logs:
        world.send()
        world.send()
    assert [message.remote[0].address.domain for message in world.intake.messages.values()] == [
        "b.example"
    ]
    assert len([each for each in logs if "log_failure" in each]) == 1, "put off for an hour"


def test_nobody_is_flooded_with_reports(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.delivery.tls_reports.MAX_TO_ONE", 3)
    world = World(record="")
    for number in range(9):
        domain = f"d{number}.example"
        rua = b"mailto:Victim@v.example" if number % 2 else b"https://v.example/"
        world.names.put("TXT", f"_smtp._tls.{domain}", b"v=TLSRPTv1; rua=" + rua)
        world.note(TlsDemand(domain=domain), GOOD)
    world.tomorrow()
    world.send()
    assert len(world.intake.messages) == len(world.https.posted) == 3
    assert world.counts.sessions == {}, "what is left out is not tried again"
    world.note(TlsDemand(domain="d0.example"), GOOD)
    world.now.offset += DAY_S
    world.send()
    assert len(world.https.posted) == 4


def test_counts_stay_while_dns_does_not_answer() -> None:
    world = World()
    world.names.fail("TXT", f"_smtp._tls.{DOMAIN}")
    world.note(STS, GOOD)
    world.tomorrow()
    world.send()
    assert world.counts.sessions
    world.names.put("TXT", f"_smtp._tls.{DOMAIN}", b"v=TLSRPTv1; rua=mailto:t@a.example")
    world.now.offset += RETRY_S + 1
    world.send()
    assert len(world.intake.messages) == 1


def test_reports_come_by_themselves_at_a_time_of_their_own() -> None:
    world = World()
    world.reports.start()
    world.note(STS, GOOD)
    for _ in range(int(DAY_S // LOOK_S)):
        world.now.clock.advance(LOOK_S)
    assert len(world.intake.messages) == 1
    done(world.reports.stop())
