"""A private Postfix from Debian's package: own configuration, queue and Maildirs, own port.

Needs root, because Postfix' master does. Never touches the system's own Postfix. With ``Security``
it offers STARTTLS, listens with TLS from the first octet on a second port, and takes mail from
nobody who has not logged in; logins are answered here, in the words of Dovecot's protocol. On one
more port it is an old server without 8BITMIME.
"""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import socketserver
import subprocess
import tempfile
import threading
import time
from base64 import b64decode
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.ports import free_port
from tests.support.programs import need

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
service_throttle_time = 1s
message_size_limit = 52428800
alias_maps =
local_recipient_maps =
virtual_mailbox_domains = {domains}
virtual_mailbox_base = {root}/maildirs
virtual_mailbox_maps = inline:{{ {people} }}
virtual_uid_maps = static:{uid}
virtual_gid_maps = static:{gid}
virtual_mailbox_limit = 0
virtual_minimum_uid = 1
"""

SECURITY_CF = """\
smtpd_tls_security_level = may
smtpd_tls_cert_file = {root}/etc/certificate.pem
smtpd_tls_key_file = {root}/etc/key.pem
smtpd_tls_auth_only = yes
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = {root}/sasl
smtpd_client_restrictions = permit_sasl_authenticated, reject
smtpd_relay_restrictions = permit_sasl_authenticated, reject
smtpd_recipient_restrictions =
"""

MASTER_CF = """\
127.0.0.1:{port} inet n - n - - smtpd
127.0.0.1:{seven_bit_port} inet n - n - - smtpd -o smtpd_discard_ehlo_keywords=8bitmime,chunking
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
tlsmgr    unix  - - n 1000? 1 tlsmgr
scache    unix  - - n - 1 scache
postlog   unix-dgram n - n - 1 postlogd
"""

TLS_LISTENER = "127.0.0.1:{port} inet n - n - - smtpd -o smtpd_tls_wrappermode=yes\n"


@dataclass(frozen=True)
class Security:
    """Certificate and key in PEM, and the only login that is right."""

    certificate: bytes
    key: bytes
    user: str
    password: str


class Postfix:
    """One instance; each of ``people`` has a Maildir named by the local part."""

    def __init__(
        self,
        root: Path,
        *,
        people: Sequence[str] = ("bob@example.test",),
        security: Security | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self.root = root
        self.port = free_port()
        self.tls_port = free_port()
        self.seven_bit_port = free_port()
        self._people = people
        self._security = security
        self._settings = settings or {}  # of main.cf, over all others
        self._logins: _Logins | None = None

    def start(self, deadline_s: float = 60.0) -> None:
        owner = pwd.getpwnam("postfix")
        for name in ("etc", "queue", "data", "maildirs", "log"):
            (self.root / name).mkdir(parents=True)
        os.chown(self.root / "data", owner.pw_uid, owner.pw_gid)
        os.chown(self.root / "maildirs", owner.pw_uid, owner.pw_gid)
        for folder in (self.root, *self.root.parents):
            if folder.stat().st_uid == os.getuid() and folder != Path("/tmp"):
                folder.chmod(folder.stat().st_mode | 0o011)
        self._configure(owner)
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

    def _configure(self, owner: pwd.struct_passwd) -> None:
        etc = self.root / "etc"
        main, master = MAIN_CF, MASTER_CF
        if self._security is not None:
            main, master = main + SECURITY_CF, master + TLS_LISTENER.replace("port", "tls_port")
            (etc / "certificate.pem").write_bytes(self._security.certificate)
            (etc / "key.pem").write_bytes(self._security.key)
            self._logins = _Logins(self.root / "sasl", self._security)
        values = {
            "root": self.root,
            "uid": owner.pw_uid,
            "gid": owner.pw_gid,
            "port": self.port,
            "tls_port": self.tls_port,
            "seven_bit_port": self.seven_bit_port,
            "domains": ", ".join(sorted({person.split("@")[1] for person in self._people})),
            "people": ", ".join(f"{{ {each} = {each.split('@')[0]}/ }}" for each in self._people),
        }
        (etc / "main.cf").write_text(_each_once(main.format(**values), self._settings))
        (etc / "master.cf").write_text(master.format(**values))

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

    def messages(self, name: str) -> list[bytes]:
        """What lies in the Maildir of that name, in no order and as it lies there: LF line ends."""
        new = self.root / "maildirs" / name / "new"
        return [path.read_bytes() for path in new.iterdir()] if new.exists() else []

    def log(self) -> str:
        return (self.root / "log" / "maillog").read_text()

    def stop(self) -> None:
        self._postfix("stop", check=False)
        if self._logins is not None:
            self._logins.close()


def _each_once(text: str, settings: Mapping[str, str]) -> str:
    """The last word on each parameter.

    Of one that stands twice each of Postfix' programs warns, its log daemon too, which waits for
    itself for ever when ten lines wait to be logged already.
    """
    values: dict[str, str] = {}
    for line in text.splitlines():
        name, _, value = line.partition("=")
        values[name.strip()] = value.strip()
    values |= settings
    return "".join(f"{name} = {value}\n" for name, value in values.items())


@contextmanager
def running_postfix(
    *,
    people: Sequence[str],
    security: Security | None = None,
    settings: Mapping[str, str] | None = None,
) -> Iterator[Postfix]:
    """In a folder of its own below /tmp: its processes need not be able to pass any other."""
    need("postfix")
    if os.getuid() != 0:
        pytest.skip("Postfix' master process needs root")
    with tempfile.TemporaryDirectory(prefix="postfix-", ignore_cleanup_errors=True) as folder:
        postfix = Postfix(Path(folder), people=people, security=security, settings=settings)
        try:
            postfix.start()
            yield postfix
        finally:
            postfix.stop()


class _Login(socketserver.StreamRequestHandler):
    """Dovecot's authentication protocol 1.1, as far as Postfix uses it for PLAIN."""

    server: _Logins

    def handle(self) -> None:
        self.wfile.write(b"VERSION\t1\t1\nMECH\tPLAIN\tplaintext\nSPID\t1\nCUID\t1\nDONE\n")
        for line in self.rfile:
            verb, *fields = line.decode().rstrip("\n").split("\t")
            if verb != "AUTH":
                continue
            offered = next(field[5:] for field in fields if field.startswith("resp="))
            user, password = self.server.security.user, self.server.security.password
            right = b64decode(offered) == f"\0{user}\0{password}".encode()
            verdict = "OK" if right else "FAIL"
            self.wfile.write(f"{verdict}\t{fields[0]}\tuser={user}\n".encode())


class _Logins(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    request_queue_size = 128  # a smtpd that is refused here gives up, and Postfix waits

    def __init__(self, path: Path, security: Security) -> None:
        super().__init__(str(path), _Login)
        self.security = security
        path.chmod(0o666)
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()
