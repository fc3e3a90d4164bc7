"""A real Active Directory domain controller, Samba's, in a network and directories of its own.

Speaks ``ldap://`` (simple binds without TLS too, and StartTLS) and ``ldaps://`` on free ports of
127.0.0.1. Provisioned once per machine: the tree is kept below ~/.cache/gateway-tests and copied
for each server, so that a start takes about two seconds. Who is in it: ``samba_people``.
"""

from __future__ import annotations

import atexit
import hashlib
import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from tests.support import samba_people
from tests.support.authority import new_authority
from tests.support.other_network import OtherNetwork
from tests.support.programs import UNPACKED, need, need_library, run
from tests.support.samba_people import (
    ADMINISTRATOR,
    ADMINISTRATOR_PASSWORD,
    DNS_DOMAIN,
    LOCKOUT_THRESHOLD,
    NETBIOS_DOMAIN,
    REALM,
    dn_of,
)
from tests.support.waiting import eventually

_CONFIG = """\
[global]
workgroup = {netbios}
realm = {realm}
netbios name = DC1
server role = active directory domain controller
server services = ldap, kdc, cldap
interfaces = lo
bind interfaces only = yes
private dir = {tree}/private
state directory = {tree}/state
cache directory = {tree}/cache
lock directory = {tree}/lock
pid directory = {tree}/run
ncalrpc dir = {tree}/ncalrpc
binddns dir = {tree}/bind-dns
log file = {tree}/log
ldap server require strong auth = no
load printers = no
disable spoolss = yes
tls enabled = yes
tls keyfile = {tree}/server.key
tls certfile = {tree}/server.pem
tls cafile = {tree}/ca.pem
[sysvol]
path = {tree}/state/sysvol
read only = no
"""


class SambaAd:
    """One domain controller. ``restart`` keeps data and ports.

    Args:
        tree: its directories, as ``provisioned`` or a copy of it; owned.
    """

    def __init__(self, tree: Path) -> None:
        self.program = need("samba")
        self.tree = tree
        self.authority = new_authority()
        self._process: subprocess.Popen[bytes] | None = None
        for name in ("cache", "lock", "run"):
            (tree / name).mkdir(exist_ok=True)
        names = ("localhost", "127.0.0.1", f"dc1.{DNS_DOMAIN}")
        certificate, key = self.authority.issue(*names)
        (tree / "ca.pem").write_bytes(self.authority.pem)
        (tree / "server.pem").write_bytes(certificate)
        (tree / "server.key").write_bytes(key)
        (tree / "server.key").chmod(0o600)  # Samba takes no key that others may read
        self.config = tree / "smb.conf"
        self.config.write_text(_CONFIG.format(tree=tree, realm=REALM, netbios=NETBIOS_DOMAIN))
        self.network = OtherNetwork()
        self.port = self.network.forward(389)
        self.tls_port = self.network.forward(636)

    @property
    def uri(self) -> str:
        return f"ldap://127.0.0.1:{self.port}"

    @property
    def tls_uri(self) -> str:
        return f"ldaps://127.0.0.1:{self.tls_port}"

    @property
    def ca_file(self) -> Path:
        return self.tree / "ca.pem"

    def start(self, environ: Mapping[str, str] | None = None) -> None:
        # A test that fails between here and its own stop must not leave a server behind.
        atexit.register(self.stop)
        command = [self.program, "-i", "-M", "single", "-s", str(self.config), "--debuglevel=1"]
        with (self.tree / "stdout").open("ab") as output:
            self._process = self.network.start(
                command,
                env={**os.environ, **(environ or {})},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        eventually(self._answers, deadline_s=60, every_s=0.1)

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self.tree / "stdout").read_text()[-3000:]
        return self.bind_as(ADMINISTRATOR, ADMINISTRATOR_PASSWORD) == ""

    def stop(self) -> None:
        atexit.unregister(self.stop)
        process, self._process = self._process, None
        if process is None:
            return
        os.killpg(process.pid, signal.SIGCONT)  # a frozen one would not hear the next
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def close(self) -> None:
        self.stop()
        self.network.close()
        shutil.rmtree(self.tree, ignore_errors=True)

    def freeze(self) -> None:
        """The kernel goes on accepting connections, and nobody answers."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGCONT)

    def restart(self) -> None:
        self.stop()
        self.start()

    def bind_as(self, name: str, password: str) -> str:
        """Empty if the server takes it as a bind's name and password, else what it says."""
        who = ("-x", "-D", name, "-w", password)
        answer = self._run("ldapsearch", *who, "-b", "", "-s", "base", "1.1", expect=None)
        return "" if answer.returncode == 0 else answer.stderr.decode("utf-8", "replace")

    def change(self, ldif: str) -> None:
        """Apply change records as the administrator."""
        who = ("-x", "-D", ADMINISTRATOR, "-w", ADMINISTRATOR_PASSWORD)
        self._run("ldapmodify", *who, stdin=ldif.encode())

    def lock_out(self, name: str) -> None:
        """By failed logins, as it happens to people."""
        for _ in range(LOCKOUT_THRESHOLD):
            assert "Invalid credentials" in self.bind_as(dn_of(name), "wrong")

    def unlock(self, name: str) -> None:
        zero = "changetype: modify\nreplace: lockoutTime\nlockoutTime: 0\n"
        self.change(f"dn: {dn_of(name)}\n{zero}")

    def _run(
        self, program: str, *arguments: str, stdin: bytes | None = None, expect: int | None = 0
    ) -> subprocess.CompletedProcess[bytes]:
        command = [need(program), "-H", self.uri, *arguments]
        return run(command, environ={"LDAPNOINIT": "1"}, stdin=stdin, expect=expect)


def samba_ad() -> SambaAd:
    """A started domain controller with everybody of ``samba_people`` in it; emil is locked out."""
    server = SambaAd(_copy_of(_provisioned()))
    try:
        server.start()
        server.lock_out("emil")
    except BaseException:
        server.close()
        raise
    return server


def _private_directory() -> Path:
    # Paths of Unix sockets are short: not below pytest's directories.
    return Path(tempfile.mkdtemp(prefix="samba-"))


def _copy_of(tree: Path) -> Path:
    directory = _private_directory()
    run([need("cp"), "-a", "--reflink=auto", "--sparse=always", f"{tree}/.", str(directory)])
    return directory


def _provisioned() -> Path:
    """The tree of a stopped server with everybody in it; made if this machine has none."""
    program = need("samba")
    version = re.sub(rb"\s+", b" ", run([program, "--version"]).stdout)
    everybody = samba_people.all_records()
    form = hashlib.sha256(b"\0".join((version, everybody.encode(), _CONFIG.encode())))
    kept = UNPACKED / f"samba-{form.hexdigest()[:16]}"
    if kept.is_dir():
        return kept
    tree = _private_directory()
    _provision(tree)
    server = SambaAd(tree)
    try:
        # Days ago, so that a password of a person with a short limit is too old now.
        days_ago = {
            "LD_PRELOAD": need_library("faketime/libfaketime.so.1"),
            "FAKETIME": "-3d",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
        server.start(days_ago)
        server.change(everybody)
        server.stop()
        UNPACKED.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(prefix="samba-new-", dir=UNPACKED))
        run([need("cp"), "-a", "--sparse=always", f"{tree}/.", str(beside)])
        for older in UNPACKED.glob("samba-????????????????"):
            shutil.rmtree(older, ignore_errors=True)
        try:
            beside.rename(kept)
        except OSError:  # another run was faster
            shutil.rmtree(beside)
    finally:
        server.close()
    return kept


def _provision(tree: Path) -> None:
    network = OtherNetwork()
    command = [
        need("samba-tool"),
        *("domain", "provision", f"--targetdir={tree}", f"--realm={REALM}"),
        *(f"--domain={NETBIOS_DOMAIN}", f"--adminpass={ADMINISTRATOR_PASSWORD}"),
        *("--server-role=dc", "--dns-backend=NONE", "--host-name=dc1", "--host-ip=127.0.0.1"),
        *("--option=interfaces = lo", "--option=bind interfaces only = yes"),
    ]
    output = tree / "provision.log"
    try:
        with output.open("ab") as log:
            process = network.start(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        assert process.wait(120) == 0, output.read_text()[-3000:]
    finally:
        network.close()
