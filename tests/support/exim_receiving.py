"""A private Exim that takes mail for anybody into one Maildir, reports included.

Needs root and is unpacked only, as ``exim`` says. Speaks DSN, SMTPUTF8, 8BITMIME and CHUNKING.
"""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.ports import free_port
from tests.support.programs import need
from tests.support.waiting import eventually

CONFIGURATION = """\
primary_hostname = exim.example.test
exim_path = {root}/exim4
exim_user = mail
exim_group = mail
spool_directory = {root}/spool
log_file_path = {root}/%slog
pid_file_path = {root}/pid
keep_environment =
host_lookup =
local_interfaces = 127.0.0.1
daemon_smtp_ports = {port}
acl_smtp_rcpt = accept
acl_smtp_data = accept
dsn_advertise_hosts = *
smtputf8_advertise_hosts = *
chunking_advertise_hosts = {chunking}
tls_advertise_hosts =
begin routers
here:
  driver = accept
  transport = maildir
begin transports
maildir:
  driver = appendfile
  directory = {root}/mail
  maildir_format
  return_path_add
  user = mail
  group = mail
"""


class ReceivingExim:
    """One running instance."""

    def __init__(self, root: Path, port: int) -> None:
        self.root = root
        self.port = port

    def messages(self) -> list[bytes]:
        """LF line ends."""
        new = self.root / "mail" / "new"
        return [path.read_bytes() for path in sorted(new.iterdir())] if new.exists() else []

    def with_mark(self, mark: bytes) -> bytes:
        """The one message that holds the mark, once it is there."""
        return eventually(lambda: [each for each in self.messages() if mark in each])[0]


@contextmanager
def receiving_exim(*, chunking: bool = True) -> Iterator[ReceivingExim]:
    """In a folder of its own below /tmp, which its unprivileged self can reach."""
    program = need("exim4")
    if os.getuid() != 0:
        pytest.skip("Exim needs root")
    with tempfile.TemporaryDirectory(prefix="exim-", ignore_cleanup_errors=True) as folder:
        root, port = Path(folder), free_port()
        root.chmod(0o755)
        shutil.copy(program, root / "exim4")
        owner = pwd.getpwnam("mail")
        for name in ("spool", "mail"):
            (root / name).mkdir()
        for each in (root, root / "spool", root / "mail"):
            os.chown(each, owner.pw_uid, owner.pw_gid)
        values = {"root": root, "port": port, "chunking": "*" if chunking else ""}
        (root / "exim.conf").write_text(CONFIGURATION.format(**values))
        command = [str(root / "exim4"), "-C", str(root / "exim.conf"), "-bdf"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            eventually(lambda: _answers(port))
            yield ReceivingExim(root, port)
        finally:
            process.terminate()
            process.wait(20)


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
