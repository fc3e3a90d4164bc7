"""A private Exim that takes mail for anybody into one Maildir, reports included.

Needs root and is unpacked only, as ``exim`` says. Speaks DSN, SMTPUTF8, 8BITMIME and CHUNKING. With
``Security`` it offers STARTTLS, and takes mail from outside only after a login.
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

from tests.support.ports import accepts, free_port
from tests.support.postfix import Security
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
acl_smtp_rcpt = check_rcpt
acl_smtp_data = accept
dsn_advertise_hosts = *
smtputf8_advertise_hosts = *
chunking_advertise_hosts = {chunking}
{tls}
begin acl
check_rcpt:
  accept {condition}
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
{authenticators}
"""
TLS = """\
tls_advertise_hosts = *
tls_certificate = {root}/certificate.pem
tls_privatekey = {root}/key.pem
log_selector = +received_recipients +smtp_connection
"""
LOGIN = """\
begin authenticators
login:
  driver = plaintext
  public_name = LOGIN
  server_advertise_condition = ${{if def:tls_in_cipher}}
  server_prompts = User Name : Password
  server_condition = ${{if and{{ {{eq{{$auth1}}{{{user}}}}} {{eq{{$auth2}}{{{password}}}}} }}}}
  server_set_id = $auth1
"""


class ReceivingExim:
    """One running instance."""

    def __init__(self, root: Path, port: int) -> None:
        self.root = root
        self.port = port

    def messages(self) -> list[bytes]:
        """In no order, with LF line ends."""
        new = self.root / "mail" / "new"
        return [path.read_bytes() for path in new.iterdir()] if new.exists() else []

    def log(self) -> str:
        """Most of which an Exim with a configuration of its own writes to standard error."""
        main = self.root / "mainlog"
        return (main.read_text() if main.exists() else "") + (self.root / "told").read_text()

    def with_mark(self, mark: bytes) -> bytes:
        """The one message that holds the mark, once it is there."""
        return eventually(lambda: [each for each in self.messages() if mark in each])[0]


@contextmanager
def receiving_exim(
    *, chunking: bool = True, security: Security | None = None
) -> Iterator[ReceivingExim]:
    """In a folder of its own below /tmp, which its unprivileged self can reach.

    Args:
        security: logins go by LOGIN, under TLS; without a login nothing is taken.
    """
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
        values = {
            "root": root,
            "port": port,
            "chunking": "*" if chunking else "",
            "tls": "tls_advertise_hosts =",
            "condition": "",
            "authenticators": "",
        }
        if security is not None:
            login = {"user": security.user, "password": security.password}
            values["tls"] = TLS.format(root=root)
            values["condition"] = "authenticated = *"
            values["authenticators"] = LOGIN.format(**login)
            for name, octets in (("certificate", security.certificate), ("key", security.key)):
                (root / f"{name}.pem").write_bytes(octets)
                os.chown(root / f"{name}.pem", owner.pw_uid, owner.pw_gid)
        (root / "exim.conf").write_text(CONFIGURATION.format(**values))
        command = [str(root / "exim4"), "-C", str(root / "exim.conf"), "-bdf"]
        with (root / "told").open("wb") as told:
            process = subprocess.Popen(command, stdout=told, stderr=told)
        try:
            eventually(lambda: accepts(port))
            yield ReceivingExim(root, port)
        finally:
            process.terminate()
            process.wait(20)
