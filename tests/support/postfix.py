"""A private Postfix from Debian's package: own configuration, queue and Maildirs, own port.

Needs root, because Postfix' master does. Never touches the system's own Postfix.
"""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import time
from pathlib import Path

MAIN_CF = """\
compatibility_level = 3.6
queue_directory = {root}/queue
data_directory = {root}/data
maillog_file = {root}/log/maillog
maillog_file_prefixes = {root}
myhostname = postfix.example.test
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
smtpd_recipient_restrictions = reject_unauth_destination
smtpd_client_connection_count_limit = 0
smtpd_peername_lookup = no
default_process_limit = 200
message_size_limit = 52428800
alias_maps =
local_recipient_maps =
virtual_mailbox_domains = example.test
virtual_mailbox_base = {root}/maildirs
virtual_mailbox_maps = inline:{{ {{ bob@example.test = bob/ }} }}
virtual_uid_maps = static:{uid}
virtual_gid_maps = static:{gid}
virtual_mailbox_limit = 0
virtual_minimum_uid = 1
"""

MASTER_CF = """\
127.0.0.1:{port} inet n - n - - smtpd
pickup    unix  n - n 60 1 pickup
cleanup   unix  n - n - 0 cleanup
qmgr      unix  n - n 300 1 qmgr
rewrite   unix  - - n - - trivial-rewrite
bounce    unix  - - n - 0 bounce
defer     unix  - - n - 0 bounce
trace     unix  - - n - 0 bounce
verify    unix  - - n - 1 verify
flush     unix  n - n 1000? 0 flush
proxymap  unix  - - n - - proxymap
smtp      unix  - - n - - smtp
relay     unix  - - n - - smtp
showq     unix  n - n - - showq
error     unix  - - n - - error
retry     unix  - - n - - error
discard   unix  - - n - - discard
local     unix  - n n - - local
virtual   unix  - n n - - virtual
anvil     unix  - - n - 1 anvil
scache    unix  - - n - 1 scache
postlog   unix-dgram n - n - 1 postlogd
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Postfix:
    """One instance; mail for bob@example.test goes to a Maildir."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.port = free_port()

    def start(self, deadline_s: float = 20.0) -> None:
        owner = pwd.getpwnam("postfix")
        for name in ("etc", "queue", "data", "maildirs", "log"):
            (self.root / name).mkdir(parents=True)
        os.chown(self.root / "data", owner.pw_uid, owner.pw_gid)
        os.chown(self.root / "maildirs", owner.pw_uid, owner.pw_gid)
        for folder in (self.root, *self.root.parents):
            if folder.stat().st_uid == os.getuid() and folder != Path("/tmp"):
                folder.chmod(folder.stat().st_mode | 0o011)
        etc = self.root / "etc"
        values = {"root": self.root, "uid": owner.pw_uid, "gid": owner.pw_gid, "port": self.port}
        (etc / "main.cf").write_text(MAIN_CF.format(**values))
        (etc / "master.cf").write_text(MASTER_CF.format(**values))
        self._postfix("start")
        end = time.monotonic() + deadline_s
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                if time.monotonic() > end:
                    raise
                self._postfix("status", check=False)

    def _postfix(self, command: str, *, check: bool = True) -> None:
        program = shutil.which("postfix") or "/usr/sbin/postfix"
        subprocess.run(
            [program, "-c", str(self.root / "etc"), command],
            check=check,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def delivered(self) -> int:
        """Messages in Bob's Maildir."""
        new = self.root / "maildirs" / "bob" / "new"
        return len(os.listdir(new)) if new.exists() else 0

    def stop(self) -> None:
        self._postfix("stop", check=False)
