"""A private OpenSMTPD that takes mail for anybody into one Maildir, its own reports included.

Needs root. Debian has one mail server at a time, so it is only unpacked (tests/install-servers).
Its places are compiled in; so it runs with mounts of its own, in which its users, spool and
programs stand where it looks for them, and which nobody else sees. It speaks DSN and 8BITMIME,
neither SMTPUTF8 nor PIPELINING nor CHUNKING.

Limits: Debian 12's OpenSMTPD 6.8 was written before OpenSSL 3, with which it loses its private key.
It offers STARTTLS and breaks every handshake; and without TLS it offers no AUTH. So here it is a
real server whose STARTTLS is broken.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.ports import accepts, free_port
from tests.support.programs import UNPACKED, need
from tests.support.waiting import eventually

USERS = {"opensmtpd": 64001, "opensmtpq": 64002}
MAIL_ID = 8  # Debian's user and group ``mail``
CONFIGURATION = """\
pki localhost cert "{root}/etc/certificate.pem"
pki localhost key "{root}/etc/key.pem"
table users {{ "box" = "{mail}:{mail}:{root}/mail" }}
table everybody {{ "@" = "box" }}
listen on 127.0.0.1 port {port} tls pki localhost hostname {hostname}
action "keep" maildir "{root}/mail" virtual <everybody> userbase <users>
match from any for any action "keep"
"""
HOSTNAME = "opensmtpd.example.test"


class OpenSmtpd:
    """One running instance."""

    def __init__(self, root: Path, port: int) -> None:
        self.root = root
        self.port = port

    def messages(self) -> list[bytes]:
        """In no order, with LF line ends."""
        new = self.root / "mail" / "new"
        return [path.read_bytes() for path in new.iterdir()] if new.exists() else []

    def log(self) -> str:
        return (self.root / "log").read_text()


@contextmanager
def running_opensmtpd(certificate: bytes, key: bytes) -> Iterator[OpenSmtpd]:
    """In a folder of its own below /tmp, which its unprivileged selves can reach."""
    program = Path(need("smtpd"))
    unshare = need("unshare")
    if os.getuid() != 0:
        pytest.skip("OpenSMTPD needs root")
    with tempfile.TemporaryDirectory(prefix="opensmtpd-", ignore_cleanup_errors=True) as folder:
        root, port = Path(folder), free_port()
        _furnish(root, port)
        (root / "etc" / "certificate.pem").write_bytes(certificate)
        (root / "etc" / "key.pem").write_bytes(key)
        (root / "etc" / "key.pem").chmod(0o600)
        mounts = {
            "/etc/passwd": root / "etc" / "passwd",
            "/etc/group": root / "etc" / "group",
            "/var/spool": root / "spool",
            "/run": root / "run",
            "/var/lib": root / "lib",
            "/usr/libexec": program.parents[1] / "libexec",
        }
        binds = "".join(f"mount --bind {here} {there} && " for there, here in mounts.items())
        libraries = ":".join(map(str, UNPACKED.glob("libevent*/usr/lib/*")))
        with (root / "log").open("wb") as log:
            process = subprocess.Popen(
                [
                    unshare,
                    "--mount",
                    "sh",
                    "-c",
                    f"{binds}exec {program} -d -f {root}/etc/smtpd.conf",
                ],
                stdout=log,
                stderr=log,
                env={**os.environ, "LD_LIBRARY_PATH": libraries},
            )
        try:
            eventually(lambda: accepts(port) or process.poll() is not None)
            running = OpenSmtpd(root, port)
            assert process.poll() is None, running.log()
            yield running
        finally:
            process.terminate()
            process.wait(20)


def _furnish(root: Path, port: int) -> None:
    root.chmod(0o711)
    for name in ("etc", "spool", "run", "lib/opensmtpd/empty", "mail"):
        (root / name).mkdir(parents=True)
    os.chown(root / "mail", MAIL_ID, MAIL_ID)
    etc = root / "etc"
    for name, line in (("passwd", "{0}:x:{1}:{1}::/:/bin/false\n"), ("group", "{0}:x:{1}:\n")):
        added = "".join(line.format(user, number) for user, number in USERS.items())
        (etc / name).write_text(Path("/etc", name).read_text() + added)
    values = {
        "root": root,
        "port": port,
        "mail": MAIL_ID,
        "hostname": HOSTNAME,
    }
    (etc / "smtpd.conf").write_text(CONFIGURATION.format(**values))
