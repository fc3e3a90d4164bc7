"""A private Dovecot that only checks logins for a Postfix: SCRAM-SHA-256 and PLAIN, one user.

Needs root, as its master does. The user's password may be kept as it is, or as a hash that is good
for PLAIN alone, though both mechanisms are offered; it may be changed while all run.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.programs import need
from tests.support.waiting import eventually

_CONFIG = """\
base_dir = {root}/run
state_dir = {root}/state
log_path = {root}/log
auth_verbose = yes
auth_failure_delay = 0
auth_mechanisms = scram-sha-256 plain
first_valid_uid = 1
protocols = none
ssl = no
passdb {{
  driver = passwd-file
  args = scheme=PLAIN username_format=%u {root}/people
}}
userdb {{
  driver = static
  args = uid=65534 gid=65534 home=/nonexistent
}}
service auth {{
  unix_listener {root}/sasl {{
    mode = 0666
  }}
}}
"""


class DovecotAuth:
    """One running instance; ``socket`` is for ``smtpd_sasl_path``."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.socket = root / "sasl"

    def keep(self, user: str, password: str) -> None:
        """Args: password: with a scheme such as ``{SHA512-CRYPT}`` in front, or as it is."""
        fresh = self.root / "people.new"
        fresh.write_text(f"{user}:{password}\n")
        fresh.chmod(0o644)
        fresh.rename(self.root / "people")

    def log(self) -> str:
        return (self.root / "log").read_text()


@contextmanager
def running_dovecot_auth(user: str, password: str) -> Iterator[DovecotAuth]:
    """In a folder of its own below /tmp, which its unprivileged processes can reach."""
    need("/usr/lib/dovecot/auth")
    program = need("dovecot")
    if os.getuid() != 0:
        pytest.skip("Dovecot's master process needs root")
    with tempfile.TemporaryDirectory(prefix="dovecot-", ignore_cleanup_errors=True) as folder:
        root = Path(folder)
        root.chmod(0o755)
        dovecot = DovecotAuth(root)
        dovecot.keep(user, password)
        config = root / "dovecot.conf"
        config.write_text(_CONFIG.format(root=root))
        with subprocess.Popen([program, "-F", "-c", str(config)]) as process:
            try:
                eventually(dovecot.socket.is_socket)
                yield dovecot
            finally:
                process.terminate()
                process.wait(20)
