"""Behind a real proxy: HAProxy says who the client is, in both versions of its protocol."""

from __future__ import annotations

import contextlib
import imaplib
import smtplib
import socket
import subprocess
from collections.abc import Iterator

import pytest

from tests.support.gateway_process import Demo
from tests.support.mail import BOB, trusting
from tests.support.outbound import running
from tests.support.ports import accepts, free_port
from tests.support.programs import need
from tests.support.waiting import eventually

CLIENT = "127.0.0.9"
MESSAGE = b"From: a@far.example\r\nSubject: through a proxy\r\n\r\nHello\r\n"


class Proxied:
    """The gateway with two doors for HAProxy, and HAProxy before them."""

    def __init__(self, ports: dict[str, int], behind: dict[str, int]) -> None:
        self.ports = ports  # HAProxy's
        self.behind = behind  # the gateway's

    def imap(self) -> imaplib.IMAP4_SSL:
        """Bob's mailboxes, through HAProxy."""
        port = self.ports["imaps"]
        client = imaplib.IMAP4_SSL("127.0.0.1", port, ssl_context=trusting(), timeout=60)
        client.login(*BOB)
        return client


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxied]:
    program = need("haproxy")
    folder = tmp_path_factory.mktemp("proxied")
    names = ("smtp", "imaps", "smtp2")
    behind = {name: free_port() for name in names}
    ports = {name: free_port() for name in names}
    settings = "".join(
        f"""
[[listen]]
protocol = "{protocol}"
address = "127.0.0.1:{behind[name]}"
tls = "{tls}"
proxy_from = ["127.0.0.1"]
"""
        for name, protocol, tls in (
            ("smtp", "smtp", "starttls"),
            ("smtp2", "smtp", "starttls"),
            ("imaps", "imap", "implicit"),
        )
    )
    configuration = "defaults\n  mode tcp\n  timeout connect 5s\n  timeout client 60s\n"
    configuration += "  timeout server 60s\n"
    for name in names:
        version = "send-proxy" if name == "smtp" else "send-proxy-v2"
        configuration += f"listen {name}\n  bind 127.0.0.1:{ports[name]}\n"
        configuration += f"  server gateway 127.0.0.1:{behind[name]} {version}\n"
    (folder / "haproxy.cfg").write_text(configuration)
    demo = Demo(folder / "d")
    with running(demo, settings, ["--config", str(demo.config)]):
        haproxy = subprocess.Popen([program, "-db", "-f", str(folder / "haproxy.cfg")])
        try:
            eventually(lambda: all(map(accepts, ports.values())))
            yield Proxied(ports, behind)
        finally:
            haproxy.terminate()
            haproxy.wait(30)


@pytest.mark.parametrize("name", ["smtp", "smtp2"])
def test_the_message_says_where_the_client_was(proxied: Proxied, name: str) -> None:
    port = proxied.ports[name]
    with smtplib.SMTP("127.0.0.1", port, "far.example", 60, (CLIENT, 0)) as client:
        client.starttls(context=trusting())
        client.sendmail("a@far.example", [BOB[0]], MESSAGE)
    with proxied.imap() as reader:
        _, counts = reader.select("INBOX")
        _, parts = reader.fetch((counts[0] or b"").decode(), "(BODY.PEEK[])")
    assert isinstance(parts[0], tuple)
    assert f"Received: from far.example ([{CLIENT}])".encode() in parts[0][1]


def test_tls_from_the_first_octet_comes_behind_the_header(proxied: Proxied) -> None:
    with proxied.imap() as client:
        assert client.select("INBOX")[0] == "OK"


def test_who_comes_from_a_proxy_without_its_header_gets_nothing(proxied: Proxied) -> None:
    with socket.create_connection(("127.0.0.1", proxied.behind["smtp"]), timeout=60) as client:
        client.sendall(b"EHLO far.example\r\n")
        with contextlib.suppress(ConnectionResetError):
            assert client.recv(100) == b""


def test_who_comes_from_elsewhere_cannot_forge_one(proxied: Proxied) -> None:
    with smtplib.SMTP(timeout=60, source_address=(CLIENT, 0)) as client:
        code, _ = client.connect("127.0.0.1", proxied.behind["smtp"])
        assert code == 220
        code, _ = client.docmd("PROXY TCP4 192.0.2.1 192.0.2.2 1 25")
        assert code == 500
