"""A real Active Directory domain controller, Samba's, in a network and directories of its own.

Speaks ``ldap://`` (simple binds without TLS too, and StartTLS) and ``ldaps://`` on free ports of
127.0.0.1. Provisioned once per machine: the tree is kept below ~/.cache/gateway-tests and copied
for each server, so that a start takes about two seconds. Who is in it: ``samba_people``.
"""

from __future__ import annotations

import fcntl
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
from tests.support.directory_server import DirectoryServer
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


class SambaAd(DirectoryServer):
    """One domain controller. ``restart`` keeps data and ports.

    Args:
        tree: its directories, as provisioned or a copy of that; owned.
    """

    administrator = (ADMINISTRATOR, ADMINISTRATOR_PASSWORD)
    lockout_threshold = LOCKOUT_THRESHOLD

    def __init__(self, tree: Path) -> None:
        self.program = need("samba")
        super().__init__(tree, ("localhost", "127.0.0.1", f"dc1.{DNS_DOMAIN}"))
        for name in ("cache", "lock", "run"):
            (tree / name).mkdir(exist_ok=True)
        self.config = tree / "smb.conf"
        self.config.write_text(_CONFIG.format(tree=tree, realm=REALM, netbios=NETBIOS_DOMAIN))
        self.network = OtherNetwork()
        self.port = self.network.forward(389)
        self.tls_port = self.network.forward(636)

    def start(self, environ: Mapping[str, str] | None = None) -> None:
        command = [self.program, "-i", "-M", "single", "-s", str(self.config), "--debuglevel=1"]
        with (self.directory / "stdout").open("ab") as output:
            process = self.network.start(
                command,
                env={**os.environ, **(environ or {})},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
            self._lives(process)
        eventually(self._answers, deadline_s=60, every_s=0.1)

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self.directory / "stdout").read_text()[-3000:]
        return self.bind_as(ADMINISTRATOR, ADMINISTRATOR_PASSWORD) == ""

    def _send(self, number: signal.Signals) -> None:
        assert self._process is not None
        os.killpg(self._process.pid, number)

    def close(self) -> None:
        self.stop()
        self.network.close()
        shutil.rmtree(self.directory, ignore_errors=True)

    def lock_out(self, name: str) -> None:
        """By failed logins of the person who is called so."""
        super().lock_out(dn_of(name))

    def unlock(self, name: str) -> None:
        zero = "changetype: modify\nreplace: lockoutTime\nlockoutTime: 0\n"
        self.change(f"dn: {dn_of(name)}\n{zero}")


def samba_ad() -> SambaAd:
    """A started domain controller with everybody of ``samba_people`` in it; emil is locked out."""
    server = SambaAd(_copy_of_provisioned())
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


def _copy_of_provisioned() -> Path:
    """A tree of a stopped server with everybody in it; made if this machine has none."""
    program = need("samba")
    version = re.sub(rb"\s+", b" ", run([program, "--version"]).stdout)
    everybody = samba_people.all_records()
    form = hashlib.sha256(b"\0".join((version, everybody.encode(), _CONFIG.encode())))
    kept = UNPACKED / f"samba-{form.hexdigest()[:16]}"
    UNPACKED.mkdir(parents=True, exist_ok=True)
    # Two processes of one run of tests need it at the same time: one makes it, the other waits;
    # and nobody takes it away while it is copied.
    with (UNPACKED / "samba.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.is_dir():
            _keep(kept, everybody)
        return _copy_of(kept)


def _keep(kept: Path, everybody: str) -> None:
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
        beside = Path(tempfile.mkdtemp(prefix="samba-new-", dir=UNPACKED))
        run([need("cp"), "-a", "--sparse=always", f"{tree}/.", str(beside)])
        for older in UNPACKED.glob("samba-????????????????"):
            shutil.rmtree(older, ignore_errors=True)
        beside.rename(kept)
    finally:
        server.close()


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
        assert process.wait(300) == 0, output.read_text()[-3000:]
    finally:
        network.close()
