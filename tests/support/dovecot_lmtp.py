"""A private Dovecot that takes mail by LMTP, on a port and on a Unix socket: Maildirs, people by a
list, one with no room left.

Needs root, as its master does. Known are ``PEOPLE`` and ``FULL``, whose quota is one octet; the
answer to that comes behind the message, for that recipient alone (RFC 2033 section 4.2).
"""

from __future__ import annotations

import os
import pwd
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.ports import accepts, free_port
from tests.support.programs import need
from tests.support.waiting import eventually

DOMAINS = ("dovecot.example", "socket.dovecot.example", "late.dovecot.example")
PEOPLE = ("ann", "bea")
FULL = "full"

_CONFIG = """\
base_dir = {root}/run
state_dir = {root}/state
log_path = {root}/log
mail_location = maildir:{root}/mail/%n
mail_fsync = never
mail_plugins = quota
first_valid_uid = 1
first_valid_gid = 1
protocols = lmtp
ssl = no
listen = 127.0.0.1
passdb {{
  driver = passwd-file
  args = {root}/people
}}
userdb {{
  driver = passwd-file
  args = {root}/people
}}
plugin {{
  quota = count:User
  quota_vsizes = yes
}}
service lmtp {{
  inet_listener lmtp {{
    port = {port}
  }}
  unix_listener lmtp {{
    mode = 0666
  }}
}}
"""


class DovecotLmtp:
    """One running instance."""

    def __init__(self, root: Path, port: int) -> None:
        self.root = root
        self.port = port
        self.socket = root / "run" / "lmtp"

    def messages(self, name: str) -> list[bytes]:
        """In no order, with LF line ends."""
        new = self.root / "mail" / name / "new"
        return [path.read_bytes() for path in new.iterdir()] if new.exists() else []

    def log(self) -> str:
        return (self.root / "log").read_text()


@contextmanager
def running_dovecot_lmtp() -> Iterator[DovecotLmtp]:
    """In a folder of its own below /tmp, which its unprivileged processes can reach."""
    need("/usr/lib/dovecot/lmtp")
    program = need("dovecot")
    if os.getuid() != 0:
        pytest.skip("Dovecot's master process needs root")
    with tempfile.TemporaryDirectory(prefix="dovecot-", ignore_cleanup_errors=True) as folder:
        root, port = Path(folder), free_port()
        root.chmod(0o755)
        owner = pwd.getpwnam("nobody")
        (root / "mail").mkdir()
        os.chown(root / "mail", owner.pw_uid, owner.pw_gid)
        quota = {FULL: "userdb_quota_rule=*:bytes=1"}
        lines = [
            f"{name}@{domain}::{owner.pw_uid}:{owner.pw_gid}::{root}/mail/{name}::"
            f"{quota.get(name, '')}"
            for name in (*PEOPLE, FULL)
            for domain in DOMAINS
        ]
        (root / "people").write_text("\n".join(lines) + "\n")
        config = root / "dovecot.conf"
        config.write_text(_CONFIG.format(root=root, port=port))
        with subprocess.Popen([program, "-F", "-c", str(config)]) as process:
            try:
                eventually(lambda: accepts(port))
                yield DovecotLmtp(root, port)
            finally:
                process.terminate()
                process.wait(20)
