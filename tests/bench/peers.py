"""The servers that ``tests.bench.inbound`` sends to; all promise the same: on disk before 250.

Owns starting and stopping them in private folders, and counting what is where its reader finds it.
All take mail for RECIPIENT and offer STARTTLS with one certificate.
"""

from __future__ import annotations

import imaplib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Protocol

from tests.support.authority import new_authority
from tests.support.gateway_process import Demo
from tests.support.ports import accepts, free_port
from tests.support.postfix import Postfix
from tests.support.programs import need
from tests.support.waiting import eventually

RECIPIENT = "bob@example.test"


class Peer(Protocol):
    name: str

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def port(self) -> int: ...

    def delivered(self) -> int: ...


class GatewayPeer:
    """The demo with as many workers as its settings say by default."""

    name = "gateway"

    def __init__(self, folder: Path, workers: str) -> None:
        self._demo = Demo(folder)
        self._demo.environ["GATEWAY_WORKERS"] = workers
        # All senders share one address here, and connections are counted until they are closed.
        self._demo.environ["GATEWAY_LIMITS__CONNECTIONS_PER_ADDRESS"] = "5000"

    def start(self) -> None:
        self._demo.start()

    def stop(self) -> None:
        self._demo.stop()

    def port(self) -> int:
        return self._demo.port(25)

    def delivered(self) -> int:
        with imaplib.IMAP4("127.0.0.1", self._demo.port(143)) as client:
            client.login(RECIPIENT, "builder")
            _, data = client.status("INBOX", "(MESSAGES)")
            return int(data[0].split()[-1].rstrip(b")"))


class PostfixPeer:
    """Debian's Postfix, delivering to a Maildir."""

    name = "postfix"

    def __init__(self, folder: Path) -> None:
        certificate, key = _certificate_files(folder.with_suffix(".tls"))
        self._postfix = Postfix(
            folder,
            settings={
                "smtpd_tls_security_level": "may",
                "smtpd_tls_cert_file": str(certificate),
                "smtpd_tls_key_file": str(key),
            },
        )

    def start(self) -> None:
        self._postfix.start()

    def stop(self) -> None:
        self._postfix.stop()

    def port(self) -> int:
        return self._postfix.port

    def delivered(self) -> int:
        return self._postfix.delivered()


class AiosmtpdPeer:
    """aiosmtpd with a handler that keeps each message in a Maildir before it answers."""

    name = "aiosmtpd"

    def __init__(self, folder: Path) -> None:
        self._maildir = folder / "maildir"
        self._files = _certificate_files(folder.with_suffix(".tls"))
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        arguments = [str(self._port), str(self._maildir), *map(str, self._files)]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.bench.aiosmtpd_maildir", *arguments]
        )
        eventually(lambda: accepts(self._port))

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)

    def port(self) -> int:
        return self._port

    def delivered(self) -> int:
        return len(os.listdir(self._maildir / "new"))


class TlsFront:
    """stunnel as a client: what connects to it in clear text reaches the peer behind STARTTLS.

    Postfix' smtp-source knows no TLS; its share of the machine is the same for every peer.
    """

    def __init__(self, folder: Path, peer: Peer) -> None:
        self.peer = peer
        self.name = peer.name
        self._folder = folder
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        need("stunnel4")
        configuration = self._folder / f"stunnel-{self.name}.conf"
        configuration.write_text(
            "foreground = yes\npid =\ndebug = err\nsyslog = no\n[smtp]\nclient = yes\n"
            "protocol = smtp\nverifyChain = no\nTIMEOUTclose = 0\n"
            f"accept = 127.0.0.1:{self._port}\nconnect = 127.0.0.1:{self.peer.port()}\n"
        )
        self._process = subprocess.Popen(
            [shutil.which("stunnel4") or "stunnel4", str(configuration)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        eventually(lambda: accepts(self._port))

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)

    def port(self) -> int:
        return self._port

    def delivered(self) -> int:
        return self.peer.delivered()


def _certificate_files(folder: Path) -> tuple[Path, Path]:
    folder.mkdir(parents=True)
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    certificate_pem, key_pem = new_authority().issue("localhost")
    certificate.write_bytes(certificate_pem)
    key.write_bytes(key_pem)
    return certificate, key
