"""``gateway check`` on names: the host's address, its reverse name, where mail for domains goes."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from twisted.names import dns

from gateway.cli.check_dns import dns_findings
from gateway.core.findings import Finding, Outcome
from gateway.core.settings.model import Settings
from tests.support.name_server import NameServer, running_name_server

OURS, OTHERS = "8.8.4.4", "9.9.9.9"
NAMES = {
    "mx": {
        "first.test": [(10, "mail.example.test")],
        "second.test": [(10, "filter.example.test"), (20, "mail.example.test")],
        "same.test": [(10, "alias.example.test")],
        "away.test": [(10, "filter.example.test")],
        "null.test": [(0, "")],
    },
    "a": {
        "mail.example.test": [OURS],
        "alias.example.test": [OURS],
        "filter.example.test": [OTHERS],
        "bare.test": [OURS],
        "nothing.test": [OTHERS],
    },
}


@pytest.fixture
def names() -> Iterator[NameServer]:
    with running_name_server(mx=NAMES["mx"], a=NAMES["a"]) as running:  # type: ignore[arg-type]
        yield running


def looked_at(
    names: NameServer, monkeypatch: pytest.MonkeyPatch, domain: str, listen: str = "smtp"
) -> list[Finding]:
    def resolved(*_: object, **__: object) -> list[tuple[object, ...]]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (OURS, 25))]

    monkeypatch.setattr(socket, "getaddrinfo", resolved)
    settings = Settings.model_validate(
        {
            "hostname": "mail.example.test",
            "domains": {domain: {}},
            "directory": {"kind": "ldif", "path": "x"},
            "tls": {"self_signed": True},
            "listen": [{"protocol": listen, "address": "127.0.0.1:1125"}],
            "outbound": {"resolvers": [f"127.0.0.1:{names.port}"]},
        }
    )
    return list(dns_findings(settings))


@pytest.mark.parametrize(
    ("domain", "outcome", "words"),
    [
        ("first.test", Outcome.OK, "comes here first: mail.example.test (10)"),
        ("second.test", Outcome.OK, "this host is not the first"),
        ("same.test", Outcome.OK, "comes here first: alias.example.test (10)"),
        ("bare.test", Outcome.OK, "has no MX record, and an address of ours"),
        ("away.test", Outcome.WARNING, "goes to filter.example.test (10), and none of them"),
        ("null.test", Outcome.WARNING, "none of them is this host"),
        ("nothing.test", Outcome.WARNING, "nothing.test has no MX record"),
        ("unknown.test", Outcome.WARNING, "unknown.test has no MX record"),
    ],
)
def test_where_mail_for_a_domain_goes(
    names: NameServer,
    monkeypatch: pytest.MonkeyPatch,
    domain: str,
    outcome: Outcome,
    words: str,
) -> None:
    finding = looked_at(names, monkeypatch, domain)[-1]
    assert (finding.outcome, words in finding.found) == (outcome, True), finding.found
    assert bool(finding.advice) is (outcome is not Outcome.OK)


def test_what_nobody_can_say_is_told_as_that(
    names: NameServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    names.fails.add("first.test")
    finding = looked_at(names, monkeypatch, "first.test")[-1]
    assert "nobody could say" in finding.found and "resolv.conf" in finding.advice


def test_the_reverse_name(names: NameServer, monkeypatch: pytest.MonkeyPatch) -> None:
    reverse = "4.4.8.8.in-addr.arpa"
    assert "is none" in looked_at(names, monkeypatch, "first.test")[1].found
    names.also[reverse] = [dns.Record_PTR("pool-7.provider.test", 1)]
    wrong = looked_at(names, monkeypatch, "first.test")[1]
    assert wrong.outcome is Outcome.WARNING and "is pool-7.provider.test" in wrong.found
    assert "make it mail.example.test" in wrong.advice
    names.also[reverse] = [dns.Record_PTR("mail.example.test", 1)]
    assert looked_at(names, monkeypatch, "first.test")[1].outcome is Outcome.OK


def test_without_smtp_nobody_is_asked_about_mail(
    names: NameServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = looked_at(names, monkeypatch, "first.test", listen="imap")
    assert not any("first.test" in each.found for each in found)
