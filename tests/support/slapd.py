"""A real OpenLDAP server in a temporary directory, on free ports of 127.0.0.1, with its own CA.

Speaks ``ldap://`` (with StartTLS) and ``ldaps://``. People are loaded with slapadd before it
starts, operational attributes such as entryUUID included. ``restart`` keeps data and ports.
Overlays that tests ask for by name: ``syncprov`` (RFC 4533), ``sessionlog`` (the same, which tells
who is gone), ``dynlist`` (groupOfURLs), ``policy`` (a password policy: see ``slapd_people``).
"""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.support.directory_server import DirectoryServer
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
include /etc/ldap/schema/nis.schema
include /etc/ldap/schema/dyngroup.schema
modulepath /usr/lib/ldap
moduleload back_mdb
moduleload argon2
moduleload ppolicy
moduleload memberof
moduleload syncprov
moduleload dynlist
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
maxsize {room}
dbnosync
suffix {suffix}
rootdn cn=root,{suffix}
rootpw root-secret
directory {directory}/data
index objectClass,uid,mail,mailLocalAddress,proxyAddresses eq
overlay ppolicy
{policy}overlay memberof
{overlays}access to attrs=userPassword by anonymous auth by * none
access to * by dn.base="{reader}" read by * none
"""

LOCKOUT_THRESHOLD = 3
POLICY_DN = f"cn=default,ou=policies,{SUFFIX}"
_POLICY = f"""\
ppolicy_default "{POLICY_DN}"
ppolicy_use_lockout
"""
_OVERLAYS = {
    "syncprov": "overlay syncprov\nsyncprov-checkpoint 100 10\nindex entryCSN,entryUUID eq\n",
    "sessionlog": "overlay syncprov\nsyncprov-sessionlog 1000\nindex entryCSN,entryUUID eq\n",
    "unlimited": f'limits dn.exact="{READER_DN}" size=unlimited\n',
    "dynlist": "overlay dynlist\ndynlist-attrset groupOfURLs memberURL member\n",
}
_POLICIES = f"""\
dn: ou=policies,{SUFFIX}
objectClass: organizationalUnit
ou: policies

dn: {POLICY_DN}
objectClass: applicationProcess
objectClass: pwdPolicy
cn: default
pwdAttribute: userPassword
pwdLockout: TRUE
pwdMaxFailure: {LOCKOUT_THRESHOLD}
pwdLockoutDuration: 1800
pwdMaxAge: 31536000
pwdMustChange: TRUE
pwdAllowUserChange: TRUE

dn: cn=grace,ou=policies,{SUFFIX}
objectClass: applicationProcess
objectClass: pwdPolicy
cn: grace
pwdAttribute: userPassword
pwdMaxAge: 31536000
pwdGraceAuthNLimit: 1000
pwdExpireWarning: 604800

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


class Slapd(DirectoryServer):
    """One server; ``start`` makes its configuration and loads the people the first time."""

    administrator = (f"cn=root,{SUFFIX}", "root-secret")
    lockout_threshold = LOCKOUT_THRESHOLD

    def __init__(
        self,
        directory: Path,
        people: str,
        *,
        names: Sequence[str] = ("localhost", "127.0.0.1"),
        overlays: Sequence[str] = (),
        room_octets: int = 10 * 1024 * 1024,
    ) -> None:
        self.program = need("slapd")
        super().__init__(directory, names)
        self.port = free_port()
        self.tls_port = free_port()
        self.debug = 0  # slapd.conf(5) loglevel; 256: each operation
        (directory / "data").mkdir()
        self.config = directory / "slapd.conf"
        policy = "policy" in overlays
        self.config.write_text(
            _CONFIG.format(
                directory=directory,
                suffix=SUFFIX,
                reader=READER_DN,
                room=room_octets,
                policy=_POLICY if policy else "",
                overlays="".join(_OVERLAYS[name] for name in overlays if name in _OVERLAYS),
            )
        )
        self._load(_BASE + (_POLICIES if policy else "") + people)

    def _load(self, ldif: str) -> None:
        run([need("slapadd"), "-q", "-f", str(self.config)], stdin=ldif.encode())

    _was_up = False

    def start(self) -> None:
        for _ in range(3):
            try:
                self._start()
            except AssertionError:
                # Somebody else took a port between the look for it and here; nobody knows ours yet.
                if self._was_up or self._process is None or self._process.poll() is None:
                    raise
                self.port, self.tls_port = free_port(), free_port()
            else:
                self._was_up = True
                return
        self._start()

    def _start(self) -> None:
        log = (self.directory / "slapd.log").open("ab")
        with log:
            command = [
                self.program,
                *("-d", str(self.debug), "-f", str(self.config)),
                *("-h", f"{self.uri}/ {self.tls_uri}/"),
            ]
            self._lives(subprocess.Popen(command, stdout=log, stderr=log))
        eventually(self._accepts, deadline_s=60, every_s=0.02)

    def _accepts(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self.directory / "slapd.log").read_text()
        try:
            socket.create_connection(("127.0.0.1", self.tls_port), 1).close()
        except OSError:
            return False
        return True
