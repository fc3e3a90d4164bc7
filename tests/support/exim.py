"""A private Exim that sends: own configuration and queue, one next hop, nothing listens.

Needs root, as Exim changes users itself. Debian has one mail server at a time, so Exim is only
unpacked (tests/install-servers) and runs from a copy that its unprivileged self can reach.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.programs import need

CONFIGURATION = """\
primary_hostname = exim.example.test
exim_path = {root}/exim4
exim_user = mail
exim_group = mail
spool_directory = {root}/spool
log_file_path = {root}/%slog
keep_environment =
host_lookup =
qualify_domain = exim.example.test
acl_not_smtp = accept
begin routers
only:
  driver = manualroute
  transport = remote
  route_list = * 127.0.0.1::{port} byname
  self = send
begin transports
remote:
  driver = smtp
  allow_localhost
  hosts_try_chunking = {chunking}
  hosts_avoid_tls = {clear}
  tls_verify_certificates =
  tls_verify_hosts =
"""


class Exim:
    """One instance that hands everything to a port of this machine."""

    def __init__(self, root: Path, port: int, *, chunking: bool, tls: bool) -> None:
        self.root = root
        shutil.copy(need("exim4"), root / "exim4")
        owner = pwd.getpwnam("mail")
        (root / "spool").mkdir()
        for folder in (root, root / "spool"):
            os.chown(folder, owner.pw_uid, owner.pw_gid)
        values = {
            "root": root,
            "port": port,
            "chunking": "*" if chunking else "",
            "clear": "" if tls else "*",
        }
        (root / "exim.conf").write_text(CONFIGURATION.format(**values))

    def send(self, message: bytes, *recipients: str) -> str:
        """Send at once; returns the log, most of which an Exim with a configuration of its own
        writes to standard error."""
        command = [str(self.root / "exim4"), "-C", str(self.root / "exim.conf"), "-odf", "-i"]
        told = subprocess.run(
            [*command, "-f", "exim@exim.example.test", *recipients],
            input=message,
            check=True,
            capture_output=True,
            timeout=60,
        )
        return (self.root / "mainlog").read_text() + told.stderr.decode()


@contextmanager
def sending_exim(port: int, *, chunking: bool = True, tls: bool = False) -> Iterator[Exim]:
    """In a folder of its own below /tmp, which its unprivileged self can reach."""
    need("exim4")
    if os.getuid() != 0:
        pytest.skip("Exim needs root")
    with tempfile.TemporaryDirectory(prefix="exim-", ignore_cleanup_errors=True) as folder:
        root = Path(folder)
        root.chmod(0o755)
        yield Exim(root, port, chunking=chunking, tls=tls)
