"""Logging in at a smart host that offers SCRAM-SHA-256: a Postfix whose logins Dovecot checks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.authority import new_authority
from tests.support.dovecot_auth import DovecotAuth, running_dovecot_auth
from tests.support.gateway_process import BIN, Demo
from tests.support.outbound import FRIEND, running, submit
from tests.support.postfix import Postfix, Security, running_postfix
from tests.support.programs import need, run
from tests.support.waiting import eventually

USER, PASSWORD = "gateway", "pass-wörd%"


@dataclass(frozen=True)
class SmartHost:
    postfix: Postfix
    dovecot: DovecotAuth
    settings: str

    def methods(self) -> list[str]:
        """By which mechanism each message came."""
        log = self.postfix.log()
        return [
            line.partition("sasl_method=")[2].partition(",")[0]
            for line in log.splitlines()
            if "sasl_method=" in line and f"sasl_username={USER}" in line
        ]

    def arrived(self, mark: str) -> None:
        eventually(
            lambda: [each for each in self.postfix.messages("friend") if mark.encode() in each]
        )


@pytest.fixture(scope="module")
def smart_host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmartHost]:
    authority = new_authority()
    ca_file = tmp_path_factory.mktemp("ca") / "ca.pem"
    ca_file.write_bytes(authority.pem)
    security = Security(*authority.issue("localhost"), USER, PASSWORD)
    with running_dovecot_auth(USER, PASSWORD) as dovecot:
        path = {"smtpd_sasl_path": str(dovecot.socket)}
        with running_postfix(people=(FRIEND,), security=security, settings=path) as postfix:
            yield SmartHost(
                postfix,
                dovecot,
                f"""\
[outbound]
smart_host = "smtp://{USER}@localhost:{postfix.port}"
smart_host_password = "{PASSWORD}"
ca_file = "{ca_file}"
""",
            )


def send(demo: Demo, mark: str) -> None:
    submit(demo, FRIEND, message=f"Subject: {mark}\r\n\r\nhello\r\n".encode())


def test_scram_is_taken_before_plain(tmp_path: Path, smart_host: SmartHost) -> None:
    smart_host.dovecot.keep(USER, PASSWORD)
    before = len(smart_host.methods())
    with running(Demo(tmp_path / "d"), smart_host.settings) as demo:
        send(demo, "by scram")
        smart_host.arrived("by scram")
        demo.wait_for_line(f"to={FRIEND} delivered")
        assert PASSWORD not in "".join(demo.output)
    assert smart_host.methods()[before:] == ["SCRAM-SHA-256"]


def test_who_keeps_a_hash_for_plain_alone_gets_plain(tmp_path: Path, smart_host: SmartHost) -> None:
    """It offers SCRAM all the same, as it cannot know whose login comes."""
    hashed = run([need("doveadm"), "pw", "-s", "SHA512-CRYPT", "-p", PASSWORD]).stdout.decode()
    smart_host.dovecot.keep(USER, hashed.strip())
    before = len(smart_host.methods())
    with running(Demo(tmp_path / "d"), smart_host.settings) as demo:
        send(demo, "by plain")
        smart_host.arrived("by plain")
    assert smart_host.methods()[before:] == ["PLAIN"]


def test_mail_goes_at_once_by_retry_when_the_password_is_mended_there(
    tmp_path: Path, smart_host: SmartHost
) -> None:
    smart_host.dovecot.keep(USER, "another")
    with running(Demo(tmp_path / "d"), smart_host.settings) as demo:
        send(demo, "mended")
        assert "refused our login: 535" in demo.wait_for_line(f"to={FRIEND} deferred")
        smart_host.dovecot.keep(USER, PASSWORD)
        before = len(smart_host.methods())
        retry = ["queue", "retry", "--all", "--config", str(demo.config)]
        run([str(BIN / "python"), "-m", "gateway", *retry])
        smart_host.arrived("mended")
    assert smart_host.methods()[before:] == ["SCRAM-SHA-256"], "what is refused is forgotten too"
