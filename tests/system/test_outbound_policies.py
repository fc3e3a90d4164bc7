"""MTA-STS and DANE for real: name server, policy host and mail hosts with certificates of all kinds
in a private network. No octet of mail goes where a policy forbids it."""

from __future__ import annotations

import contextlib
import gzip
import json
import sqlite3
import sys
import tomllib
from collections.abc import Iterator
from email import message_from_bytes
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from twisted.names import dns

from gateway.store import engine
from gateway.store.layout import Layout
from tests.support.authority import new_authority
from tests.support.bad_peer import Conduct, Peer, bad_peers
from tests.support.gateway_process import Demo
from tests.support.name_server import Tlsa, running_name_server
from tests.support.outbound import running, submit
from tests.support.policy_host import PolicyHost, running_policy_host
from tests.support.private_network import private_network
from tests.support.programs import run
from tests.support.tls_talk import key_of
from tests.support.waiting import eventually

OURS, POLICIES, REPORTS = "192.0.2.1", "192.0.2.2", "9.9.9.9"
HOSTS = {
    "sts": "192.0.2.11",  # as its policy says
    "wrong": "192.0.2.12",  # a certificate for another name
    "clear": "192.0.2.13",  # no TLS
    "other": "192.0.2.14",  # not named by its policy
    "dane": "192.0.2.15",  # a certificate that only TLSA knows
    "false": "192.0.2.16",  # another one than TLSA says
    "bogus": "192.0.2.17",  # TLSA cannot be told
    "trial": "192.0.2.18",  # a policy on trial, and an unknown certificate
    "wish": "192.0.2.19",  # its policy fails, and the sender wishes that it be passed over
    "free": "192.0.2.20",  # for domains whose policies cannot be had
}
NO_POLICY = {
    "moved": "answers 302",
    "typed": "sends text/html, not text/plain",
    "broken": "it names no host",
    "unsafe": "the certificate is not for mta-sts.unsafe.example",
}
WAITING = ("wrong", "clear", "other", "false", "bogus")
MESSAGE = b"From: alice@example.test\r\nSubject: by policy\r\n\r\nhello\r\n"


@pytest.fixture(autouse=True)
def network() -> Iterator[None]:
    with private_network(OURS, POLICIES, REPORTS, *HOSTS.values()):
        yield


def domain(name: str) -> str:
    return f"{name}.example"


def test_S18_mail_goes_where_policies_let_it_and_waits_elsewhere(tmp_path: Path) -> None:
    authority, stranger = new_authority(), new_authority("Nobody knows")
    shown = {name: authority.issue(f"mx.{domain(name)}") for name in HOSTS}
    shown["wrong"] = authority.issue("elsewhere.example")
    for name in ("dane", "false", "trial", "wish"):
        shown[name] = stranger.issue("x.example", expired=name == "dane")
    right = x509.load_pem_x509_certificate(shown["dane"][0])
    (tmp_path / "ca.pem").write_bytes(authority.pem)
    hosts = [f"mta-sts.{domain(name)}" for name in (*HOSTS, *NO_POLICY) if name != "unsafe"]
    hosts += ["reports.example", "near.example"]
    (tmp_path / "policies.pem").write_bytes(b"".join(authority.issue(*hosts)))
    also: dict[str, list[Any]] = {
        f"_mta-sts.{domain(name)}": [dns.Record_TXT(b"v=STSv1; id=1")]
        for name in ("sts", "wrong", "clear", "other", "trial", "wish", *NO_POLICY)
    }
    also["_smtp._tls.sts.example"] = [dns.Record_TXT(b"v=TLSRPTv1; rua=mailto:Tls@FREE.example")]
    for host in ("reports.example", "near.example"):
        also[f"_smtp._tls.{'dane' if host == 'reports.example' else 'wrong'}.example"] = [
            dns.Record_TXT(b"v=TLSRPTv1; rua=https://%s/v1?x=y" % host.encode())
        ]
    for name, key in (("dane", key_of(right)), ("false", b"another"), ("bogus", b"")):
        also[f"_25._tcp.mx.{domain(name)}"] = [Tlsa(3, 1, 1, sha256(key).digest())]
    conducts = {
        ip: Conduct(tls=None if name == "clear" else shown[name]) for name, ip in HOSTS.items()
    }
    with (
        running_name_server(
            mx={domain(name): [(10, f"mx.{domain(name)}")] for name in HOSTS}
            | {domain(name): [(10, "mx.free.example")] for name in NO_POLICY},
            a={f"mx.{domain(name)}": [ip] for name, ip in HOSTS.items()}
            | {f"mta-sts.{domain(name)}": [POLICIES] for name in (*HOSTS, *NO_POLICY)}
            | {"reports.example": [REPORTS], "near.example": [POLICIES]},
            also=also,
        ) as names,
        running_policy_host(tmp_path / "policies.pem", POLICIES) as policies,
        running_policy_host(tmp_path / "policies.pem", REPORTS) as reports,
        bad_peers(conducts) as peers,
    ):
        for name in ("dane", "false", "bogus"):
            mx = f"mx.{domain(name)}"
            names.proven |= {domain(name), mx, f"_25._tcp.{mx}"}
        names.fails.add(f"_25._tcp.mx.{domain('bogus')}")
        for name in ("sts", "wrong", "clear", "trial", "wish"):
            mode = "testing" if name == "trial" else "enforce"
            policies.policy(domain(name), f"mode: {mode}", f"mx: *.{domain(name)}")
        policies.policy(domain("other"), "mode: enforce", "mx: mx9.other.example")
        for name, status, kind in (
            ("moved", 302, "text/plain"),
            ("typed", 200, "text/html"),
            ("broken", 200, "text/plain"),
        ):
            where = f"mta-sts.{domain(name)}/.well-known/mta-sts.txt"
            text = b"version: STSv1\nmode: enforce\nmax_age: 9"
            policies.answers[where] = (status, kind, text)
        settings = f"""\
[outbound]
trusted_resolvers = ["127.0.0.1:{names.port}"]
ca_file = "{tmp_path / "ca.pem"}"
retry_after_s = [3600]
"""
        with running(Demo(tmp_path / "d"), settings) as demo:
            others = [f"x@{domain(name)}" for name in (*HOSTS, *NO_POLICY) if name != "wish"]
            submit(demo, *others, message=MESSAGE)
            # RFC 8689 section 5.
            submit(demo, f"x@{domain('wish')}", message=b"TLS-Required: No\r\n" + MESSAGE)
            by_name = {name: peers[ip] for name, ip in HOSTS.items()}
            for name in ("sts", "dane", "trial", "wish"):
                (taken,) = eventually(lambda name=name: by_name[name].taken)  # type: ignore[misc]
                assert taken.secure and taken.message.endswith(b"hello\r\n")

            def deferred() -> list[str]:
                marks = [f"to=x@{domain(name)} deferred" for name in WAITING]
                lines = [[line for line in demo.output if mark in line] for mark in marks]
                return [line for each in lines for line in each] if all(lines) else []

            said = eventually(deferred)
            for name, words in (
                ("wrong", "the certificate is not for mx.wrong.example"),
                ("clear", "TLS is required"),
                ("other", "does not name its mail host mx.other.example"),
                ("false", "the certificate fits no TLSA record"),
                ("bogus", "DNS gives no proven answer for _25._tcp.mx.bogus.example"),
            ):
                assert any(domain(name) in line and words in line for line in said), (name, said)
            # RFC 8461 section 5: a policy that cannot be had is none.
            eventually(lambda: len(by_name["free"].taken) == len(NO_POLICY) + 1)
            for name, words in NO_POLICY.items():
                line = f"the MTA-STS policy of {domain(name)} cannot be fetched"
                demo.wait_until_said(line, words)
            shown_by_command(demo)
        assert [name for name in WAITING if by_name[name].taken] == []
        # RFC 8460: what was counted is in the store once the gateway has stopped.
        index = Layout(Path(tomllib.loads(demo.config.read_text())["state_dir"])).index
        with contextlib.closing(engine.open_reader(index)) as connection:
            counted = connection.execute(
                "SELECT domain, policy_kind, result, sending_ip <> '' FROM tls_sessions"
            ).fetchall()
        assert set(counted) >= {
            ("sts.example", "sts", "", 0),
            ("dane.example", "tlsa", "", 0),
            ("wrong.example", "sts", "certificate-host-mismatch", 1),
            ("clear.example", "sts", "starttls-not-supported", 1),
            ("other.example", "sts", "validation-failure", 0),
            ("false.example", "tlsa", "validation-failure", 1),
            ("bogus.example", "tlsa", "dnssec-invalid", 0),
            ("trial.example", "sts", "certificate-not-trusted", 1),
            ("moved.example", "sts", "sts-policy-fetch-error", 0),
            ("unsafe.example", "sts", "sts-webpki-invalid", 0),
        }
        assert not any(row[0] == "wish.example" for row in counted)
        assert by_name["bogus"].connections == by_name["other"].connections == 0
        assert len(policies.asked) == 5 + 3, "each once, and no redirect followed"
        reported(demo, index, by_name["free"], reports)
        assert policies.posted == [], "strangers must not point us to networks of ours"


def shown_by_command(demo: Demo) -> None:
    """While it runs, what is only in memory so far is told as well."""
    command = [sys.executable, "-m", "gateway", "tlsrpt", "show"]
    where = ["--config", str(demo.config)]
    text = run([*command, "false.example", *where]).stdout.decode()
    assert "tlsa of mx.false.example: 0 successful, 1 failed" in text
    told = json.loads(run([*command, *where, "--json"]).stdout)
    policies = {each["domain"]: each["policies"][0] for each in told["reports"]}
    assert policies["sts.example"]["successful"] == 1
    assert policies["wrong.example"]["failures"][0]["result"] == "certificate-host-mismatch"


def reported(demo: Demo, index: Path, receiver: Peer, reports: PolicyHost) -> None:
    """The next day domains that ask for it hear how it went, by mail and by HTTPS."""
    with contextlib.closing(sqlite3.connect(index)) as connection, connection:
        connection.execute("UPDATE tls_sessions SET day = day - 2")
    run([sys.executable, "-m", "tests.support.send_tls_reports", str(demo.config)])
    ((where, kind, content),) = reports.posted
    assert (where, kind) == ("reports.example/v1?x=y", "application/tlsrpt+gzip")
    summary = {"total-successful-session-count": 1, "total-failure-session-count": 0}
    (policy,) = json.loads(gzip.decompress(content))["policies"]
    assert policy["policy"]["policy-type"] == "tlsa" and policy["summary"] == summary
    before = len(receiver.taken)
    demo.start()
    try:
        eventually(lambda: len(receiver.taken) > before)
    finally:
        demo.stop()
    taken = receiver.taken[-1]
    assert (taken.sender, taken.recipients) == ("", ("Tls@free.example",))
    (part,) = [
        each
        for each in message_from_bytes(taken.message).walk()
        if each.get_content_type() == "application/tlsrpt+gzip"
    ]
    octets = part.get_payload(decode=True)
    assert isinstance(octets, bytes)
    (policy,) = json.loads(gzip.decompress(octets))["policies"]
    assert policy["policy"]["policy-type"] == "sts" and policy["summary"] == summary
