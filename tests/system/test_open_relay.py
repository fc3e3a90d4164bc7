"""Nobody relays through the running server: the open relay set over real sockets, and nmap's own.

Every door is tried: port 25 over IPv4 and IPv6, in clear and inside TLS, submission without and
after a failed login. Only the network that the settings name may relay.
"""

from __future__ import annotations

import smtplib
import socket
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from gateway.app.demo import prepare
from tests.support.gateway_process import GatewayProcess
from tests.support.mail import trusting
from tests.support.open_relay import HOST, TARGET, US, every_pair, nmap
from tests.support.ports import free_port
from tests.support.programs import need, run

STRANGER = "127.0.0.1"
TRUSTED = "127.0.0.2"

_CONFIG = """\
hostname = "{host}"
state_dir = "{folder}/state"
workers = 1
relay_networks = ["trusted"]
[networks]
trusted = "{trusted}"
[domains."{us}"]
aliases = ["alias.test"]
[domains."backup.test"]
relay = "smtp://127.0.0.1:9"
relay_recipients = "any"
[aliases]
"info@{us}" = ["alice@{us}"]
[recipients]
aliases_file = "{folder}/aliases"
accept_literals = ["127.0.0.1"]
[directory]
kind = "ldif"
path = "{folder}/people.ldif"
[tls]
self_signed = true
[[listen]]
protocol = "smtp"
address = "127.0.0.1:{smtp}"
errors = 10000
[[listen]]
protocol = "submission"
address = "127.0.0.1:{submission}"
errors = 10000
[[listen]]
protocol = "submission"
address = "127.0.0.1:{submissions}"
tls = "implicit"
errors = 10000
"""

_IPV6 = """\
[[listen]]
protocol = "smtp"
address = "[::1]:{smtp}"
errors = 10000
"""


def has_ipv6() -> bool:
    with socket.socket(socket.AF_INET6) as probe:
        try:
            probe.bind(("::1", 0))
        except OSError:
            return False
        return True


class Server:
    """The gateway on ports of its own."""

    def __init__(self, folder: Path) -> None:
        prepare(folder, 10_000)
        self.smtp, self.submission, self.submissions = (free_port() for _ in range(3))
        self.aliases = folder / "aliases"
        self.aliases.write_text("outside: somebody@else.example\n")
        config = folder / "relay.toml"
        config.write_text(
            (_CONFIG + (_IPV6 if has_ipv6() else "")).format(
                host=HOST,
                us=US,
                trusted=TRUSTED,
                folder=folder,
                smtp=self.smtp,
                submission=self.submission,
                submissions=self.submissions,
            )
        )
        self.process = GatewayProcess(["--config", str(config)])

    def connect(self, host: str = STRANGER, source: str = "") -> smtplib.SMTP:
        place = (source, 0) if source else None
        client = smtplib.SMTP(host, self.smtp, timeout=60, source_address=place)
        client.ehlo("client.test")
        return client


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("relay"))
    server.process.start()
    yield server
    server.process.stop()


def refuse_all(client: smtplib.SMTP, pairs: Iterable[tuple[str, str]]) -> None:
    client.command_encoding = "utf-8"  # octets that a strict client would not send
    with client:
        for sender, recipient in pairs:
            client.docmd(f"MAIL FROM:<{sender}>")
            code, text = client.docmd(f"RCPT TO:<{recipient}>")
            assert 500 <= code < 560, (sender, recipient, code, text)
            code, _ = client.docmd("DATA")
            assert 500 <= code < 560
            client.docmd("RSET")


@pytest.mark.parametrize("host", [STRANGER, "::1"])
def test_the_set_over_both_protocols(server: Server, host: str) -> None:
    if ":" in host and not has_ipv6():
        pytest.skip("this machine has no IPv6")
    refuse_all(server.connect(host), nmap(ip="127.0.0.1"))


def test_the_whole_set_inside_tls(server: Server) -> None:
    client = server.connect()
    client.starttls(context=trusting())
    client.ehlo("client.test")
    refuse_all(client, list(every_pair(ip="127.0.0.1"))[::7])


@pytest.mark.parametrize("source", [STRANGER, TRUSTED])
def test_the_set_on_submission_without_a_login(server: Server, source: str) -> None:
    client = smtplib.SMTP_SSL(
        "127.0.0.1", server.submissions, context=trusting(), source_address=(source, 0)
    )
    client.ehlo("client.test")
    assert client.docmd(f"MAIL FROM:<alice@{US}>")[0] == 530
    refuse_all(client, nmap())


def test_the_set_after_a_failed_login(server: Server) -> None:
    client = smtplib.SMTP("127.0.0.1", server.submission, timeout=60)
    client.starttls(context=trusting())
    with pytest.raises(smtplib.SMTPAuthenticationError):
        client.login(f"alice@{US}", "wrong")
    refuse_all(client, nmap())


def test_only_the_named_network_may_relay(server: Server) -> None:
    with server.connect(source=TRUSTED) as client:
        client.docmd("MAIL FROM:<a@far.test>")
        assert client.docmd(f"RCPT TO:<{TARGET}>")[0] == 250
        assert client.docmd(f"RCPT TO:<nobody@{US}>")[0] == 550
    with server.connect(source="127.0.0.3") as client:
        client.docmd("MAIL FROM:<a@far.test>")
        assert client.docmd(f"RCPT TO:<{TARGET}>")[0] == 554


def test_what_is_ours_is_taken_from_strangers(server: Server) -> None:
    with server.connect() as client:
        client.docmd("MAIL FROM:<a@far.test>")
        for recipient in (
            f"alice@{US}",
            f"Alice+tag@{US}",
            "alice@alias.test",
            f"info@{US}",
            f"outside@{US}",
            "alice@[127.0.0.1]",
            "whoever@backup.test",
        ):
            assert client.docmd(f"RCPT TO:<{recipient}>")[0] == 250, recipient
        assert client.docmd("RCPT TO:<relaytest%ext.test@backup.test>")[0] == 554


def test_nmap_finds_no_open_relay(server: Server) -> None:
    found = run(
        [
            need("nmap"),
            *("-n", "-Pn", "-p", str(server.smtp), "-v"),
            *("--script", "+smtp-open-relay", "--script-args", "smtp-open-relay.domain=ext.test"),
            "127.0.0.1",
        ],
        timeout_s=90,
    ).stdout.decode()
    assert "all tests failed" in found, found
