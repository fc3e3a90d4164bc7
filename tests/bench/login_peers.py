"""The servers that ``tests.bench.login`` logs in to, both over IMAP and over one slapd.

Owns starting and stopping them in private folders. The gateway is the demo with as many workers as
it takes by default. Dovecot is the whole daemon with ``auth_bind``, its login processes kept from
connection to connection (``service_count = 0``, its own advice for many logins).
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
from typing import Protocol

from gateway.app.demo import prepare
from tests.support.gateway_process import Demo
from tests.support.ports import accepts, free_port
from tests.support.programs import need
from tests.support.slapd import READER_DN, READER_PASSWORD, SUFFIX, Slapd
from tests.support.waiting import eventually

_DOVECOT = """\
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/log
protocols = imap
listen = 127.0.0.1
ssl = no
disable_plaintext_auth = no
auth_mechanisms = plain login
first_valid_uid = 1
mail_location = maildir:{folder}/mail/%n
mail_max_userip_connections = 0
default_internal_user = {user}
default_login_user = {user}
default_internal_group = {group}
passdb {{
  driver = ldap
  args = {folder}/ldap.conf
}}
userdb {{
  driver = static
  args = uid={user} gid={group} home={folder}/mail/%n
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {port}
  }}
  inet_listener imaps {{
    port = 0
  }}
  service_count = 0
  process_min_avail = {processors}
  client_limit = 1000
}}
service imap {{
  process_limit = 1000
  service_count = 100
}}
service anvil {{
  chroot =
}}
service stats {{
  chroot =
}}
"""

_CACHE = """\
auth_cache_size = 10 M
auth_cache_ttl = 60 s
"""

_DOVECOT_LDAP = """\
uris = {uri}
dn = {reader}
dnpass = {password}
base = ou=people,{suffix}
scope = subtree
auth_bind = yes
pass_filter = (&(objectClass=inetOrgPerson)(|(uid=%n)(mail=%u)))
pass_attrs = uid=user
"""


class Peer(Protocol):
    name: str

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def port(self) -> int: ...


def directory_settings(*uris: str, extra: str = "") -> str:
    """A ``[directory]`` section that fits ``tests.support.slapd``."""
    shown = ", ".join(f'"{uri}"' for uri in uris)
    return (
        f'[directory]\nkind = "ldap"\nuri = [{shown}]\nstart_tls = false\n'
        f'base_dn = "{SUFFIX}"\nbind_dn = "{READER_DN}"\nbind_password = "{READER_PASSWORD}"\n'
        f"{extra}\n"
    )


def use_directory(demo: Demo, section: str) -> None:
    """Prepare the demo with this section in the place of its own directory."""
    prepare(demo.folder, demo.base)
    before, _, rest = demo.config.read_text().partition("[directory]")
    demo.config.write_text(f"{before}{section}\n[tls]{rest.partition('[tls]')[2]}")


class GatewayPeer:
    name = "gateway"

    def __init__(self, folder: Path, slapd: Slapd, workers: str) -> None:
        self.demo = Demo(folder)
        self.demo.environ |= {
            "GATEWAY_WORKERS": workers,
            "GATEWAY_LIMITS__CONNECTIONS_PER_ADDRESS": "5000",
        }
        self._section = directory_settings(slapd.uri)

    def start(self) -> None:
        use_directory(self.demo, self._section)
        self.demo.start()

    def stop(self) -> None:
        self.demo.stop()

    def port(self) -> int:
        return self.demo.port(143)


class DovecotPeer:
    """Needs root and Debian's packages dovecot-imapd and dovecot-ldap."""

    name = "dovecot"

    def __init__(self, slapd: Slapd, *, cache: bool = False) -> None:
        self._cache = cache
        self._program = need("dovecot")
        # Not below a folder that other users may not enter.
        self._folder = Path(tempfile.mkdtemp(prefix="dovecot-"))
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._slapd = slapd

    def start(self) -> None:
        user = pwd.getpwnam("nobody")
        (self._folder / "mail").mkdir()
        for path in (self._folder, self._folder / "mail"):
            path.chmod(0o755)
        os.chown(self._folder / "mail", user.pw_uid, user.pw_gid)
        (self._folder / "ldap.conf").write_text(
            _DOVECOT_LDAP.format(
                uri=self._slapd.uri, reader=READER_DN, password=READER_PASSWORD, suffix=SUFFIX
            )
        )
        config = self._folder / "dovecot.conf"
        text = _DOVECOT + (_CACHE if self._cache else "")
        config.write_text(
            text.format(
                folder=self._folder,
                user=user.pw_name,
                group="nogroup",
                port=self._port,
                processors=os.cpu_count() or 1,
            )
        )
        self._process = subprocess.Popen([self._program, "-F", "-c", str(config)])
        eventually(lambda: accepts(self._port))

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(20)
        shutil.rmtree(self._folder, ignore_errors=True)

    def port(self) -> int:
        return self._port


def people(count: int) -> str:
    """``u0`` and so on, as LDIF; the password is the name behind ``pw-``."""
    return "".join(
        f"dn: uid=u{number},ou=people,{SUFFIX}\nobjectClass: inetOrgPerson\nuid: u{number}\n"
        f"cn: Person {number}\nsn: Person\nmail: u{number}@example.test\n"
        f"userPassword: pw-u{number}\n\n"
        for number in range(count)
    )


@contextmanager
def running(peer: Peer) -> Iterator[Peer]:
    peer.start()
    try:
        yield peer
    finally:
        peer.stop()
