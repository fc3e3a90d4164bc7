"""A real OpenLDAP server in a temporary directory, on free ports of 127.0.0.1, with its own CA.

Speaks ``ldap://`` (with StartTLS) and ``ldaps://``. People are loaded with slapadd before it
starts, operational attributes such as entryUUID included. ``restart`` keeps data and ports.
"""

from __future__ import annotations

import atexit
import signal
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.support.authority import new_authority
from tests.support.ports import free_port
from tests.support.programs import need, run
from tests.support.waiting import eventually

SUFFIX = "dc=example,dc=test"
READER_DN = f"cn=gateway,ou=services,{SUFFIX}"
READER_PASSWORD = "reader-secret-0815"

_CONFIG = """\
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
include /etc/ldap/schema/misc.schema
modulepath /usr/lib/ldap
moduleload back_mdb
moduleload argon2
moduleload ppolicy
moduleload memberof
pidfile {directory}/slapd.pid
argsfile {directory}/slapd.args
allow bind_anon_cred
TLSCACertificateFile {directory}/ca.pem
TLSCertificateFile {directory}/server.pem
TLSCertificateKeyFile {directory}/server.key
attributetype ( 1.3.6.1.4.1.55555.1 NAME 'proxyAddresses'
    EQUALITY caseIgnoreMatch SUBSTR caseIgnoreSubstringsMatch
    SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 )
objectclass ( 1.3.6.1.4.1.55555.2 NAME 'mailPerson' SUP top AUXILIARY MAY proxyAddresses )
attributetype ( 1.3.6.1.4.1.55555.3 NAME 'mgrpRFC822MailMember'
    EQUALITY caseIgnoreIA5Match SYNTAX 1.3.6.1.4.1.1466.115.121.1.26 )
objectclass ( 1.3.6.1.4.1.55555.4 NAME 'mailGroup' SUP top STRUCTURAL MUST ( cn $ mail )
    MAY ( mgrpRFC822MailMember $ description ) )
database mdb
maxsize 10485760
dbnosync
suffix {suffix}
rootdn cn=root,{suffix}
rootpw root-secret
directory {directory}/data
index objectClass,uid,mail,mailLocalAddress,proxyAddresses eq
overlay ppolicy
overlay memberof
access to attrs=userPassword by anonymous auth by * none
access to * by dn.base="{reader}" read by * none
"""

_BASE = f"""\
dn: {SUFFIX}
objectClass: dcObject
objectClass: organization
dc: example
o: Example

dn: ou=people,{SUFFIX}
objectClass: organizationalUnit
ou: people

dn: ou=services,{SUFFIX}
objectClass: organizationalUnit
ou: services

dn: {READER_DN}
objectClass: organizationalRole
objectClass: simpleSecurityObject
cn: gateway
userPassword: {READER_PASSWORD}

"""


class Slapd:
    """One server; ``start`` makes its configuration and loads the people the first time."""

    def __init__(
        self, directory: Path, people: str, *, names: Sequence[str] = ("localhost", "127.0.0.1")
    ) -> None:
        self.program = need("slapd")
        self.directory = directory
        self.authority = new_authority()
        self.port = free_port()
        self.tls_port = free_port()
        self.debug = 0  # slapd.conf(5) loglevel; 256: each operation
        self._process: subprocess.Popen[bytes] | None = None
        (directory / "data").mkdir(parents=True)
        certificate, key = self.authority.issue(*names)
        (directory / "ca.pem").write_bytes(self.authority.pem)
        (directory / "server.pem").write_bytes(certificate)
        (directory / "server.key").write_bytes(key)
        self.config = directory / "slapd.conf"
        self.config.write_text(_CONFIG.format(directory=directory, suffix=SUFFIX, reader=READER_DN))
        self._load(_BASE + people)

    @property
    def uri(self) -> str:
        return f"ldap://127.0.0.1:{self.port}"

    @property
    def tls_uri(self) -> str:
        return f"ldaps://127.0.0.1:{self.tls_port}"

    @property
    def ca_file(self) -> Path:
        return self.directory / "ca.pem"

    def _load(self, ldif: str) -> None:
        run([need("slapadd"), "-q", "-f", str(self.config)], stdin=ldif.encode())

    def start(self) -> None:
        # A test that fails between here and its own stop must not leave a server behind.
        atexit.register(self.stop)
        log = (self.directory / "slapd.log").open("ab")
        with log:
            self._process = subprocess.Popen(
                [
                    self.program,
                    *("-d", str(self.debug), "-f", str(self.config)),
                    *("-h", f"{self.uri}/ {self.tls_uri}/"),
                ],
                stdout=log,
                stderr=log,
            )
        eventually(self._accepts, deadline_s=20, every_s=0.02)

    def _accepts(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self.directory / "slapd.log").read_text()
        try:
            socket.create_connection(("127.0.0.1", self.tls_port), 1).close()
        except OSError:
            return False
        return True

    def stop(self) -> None:
        atexit.unregister(self.stop)
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(signal.SIGCONT)  # a frozen one would not hear the next
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def kill(self) -> None:
        """As a power cut: nothing is said to anybody."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def freeze(self) -> None:
        """The kernel goes on accepting connections, and nobody answers."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def restart(self) -> None:
        self.stop()
        self.start()

    def change(self, ldif: str) -> None:
        """Apply changes as the administrator."""
        run(
            [
                need("ldapmodify"),
                *("-x", "-H", self.uri, "-D", f"cn=root,{SUFFIX}", "-w", "root-secret"),
            ],
            environ={"LDAPNOINIT": "1"},
            stdin=ldif.encode(),
        )
