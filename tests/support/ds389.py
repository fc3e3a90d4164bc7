"""A real 389 Directory Server in a temporary directory, on free ports, with a CA of its own.

Speaks ``ldap://`` (with StartTLS) and ``ldaps://``. FreeIPA is built upon it; its password policy,
account states and controls are what its kin has. ``restart`` keeps data and ports.
"""

from __future__ import annotations

import base64
import hashlib
import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import pkcs12

from tests.support.directory_server import DirectoryServer
from tests.support.ports import accepts, free_port
from tests.support.programs import need, run
from tests.support.waiting import eventually

SUFFIX = "dc=example,dc=test"
READER_DN = f"cn=gateway,ou=services,{SUFFIX}"
READER_PASSWORD = "reader-secret-0815"
MANAGER = "cn=Directory Manager"
MANAGER_PASSWORD = "root-secret-9"
LOCKOUT_THRESHOLD = 3

_IN_FOREGROUND = "266354688"  # a debug level that says nothing: without one the server detaches
_SHARED = Path("/usr/share/dirsrv")
_PLUGINS_ON = ("MemberOf Plugin", "Retro Changelog Plugin", "Content Synchronization", "USN")

_BACKEND = f"""
dn: cn=userRoot,cn=ldbm database,cn=plugins,cn=config
objectClass: top
objectClass: extensibleObject
objectClass: nsBackendInstance
cn: userRoot
nsslapd-suffix: {SUFFIX}

dn: cn="{SUFFIX}",cn=mapping tree,cn=config
objectClass: top
objectClass: extensibleObject
objectClass: nsMappingTree
cn: {SUFFIX}
nsslapd-state: backend
nsslapd-backend: userRoot
"""

_SETTINGS = """\
dn: cn=config
changetype: modify
replace: passwordLockout
passwordLockout: on
-
replace: passwordMaxFailure
passwordMaxFailure: {threshold}
-
replace: passwordIsGlobalPolicy
passwordIsGlobalPolicy: on
-
replace: passwordExp
passwordExp: on
-
replace: passwordMaxAge
passwordMaxAge: 315360000
-
replace: passwordSendExpiringTime
passwordSendExpiringTime: off
-
replace: nsslapd-pwpolicy-local
nsslapd-pwpolicy-local: on
-
replace: nsslapd-allow-unauthenticated-binds
nsslapd-allow-unauthenticated-binds: on
-
replace: nsslapd-securePort
nsslapd-securePort: {tls_port}
-
replace: nsslapd-security
nsslapd-security: on

"""

_BASE = f"""\
dn: {SUFFIX}
changetype: add
objectClass: domain
dc: example
aci: (targetattr!="userPassword")(version 3.0; acl "reader"; allow (read, search, compare)
  userdn="ldap:///{READER_DN}";)

dn: ou=people,{SUFFIX}
changetype: add
objectClass: organizationalUnit
ou: people

dn: ou=groups,{SUFFIX}
changetype: add
objectClass: organizationalUnit
ou: groups

dn: ou=services,{SUFFIX}
changetype: add
objectClass: organizationalUnit
ou: services

dn: {READER_DN}
changetype: add
objectClass: applicationProcess
objectClass: simpleSecurityObject
cn: gateway
userPassword: {READER_PASSWORD}

"""


def _hashed(password: str) -> str:
    """The manager's has to be a hash from the start; any will do."""
    salt = os.urandom(8)
    digest = hashlib.sha1(password.encode() + salt).digest()
    return "{SSHA}" + base64.b64encode(digest + salt).decode()


class Ds389(DirectoryServer):
    """One server. ``people`` (change records) are in it when it has started the first time."""

    administrator = (MANAGER, MANAGER_PASSWORD)
    lockout_threshold = LOCKOUT_THRESHOLD

    def __init__(self, people: str) -> None:
        self.program = need("ns-slapd")
        # Paths of Unix sockets are short: not below pytest's directories.
        super().__init__(Path(tempfile.mkdtemp(prefix="ds389-")))
        self.port = free_port()
        self.tls_port = free_port()
        self._people = people
        self._user = pwd.getpwnam("dirsrv") if os.getuid() == 0 else pwd.getpwuid(os.getuid())
        for name in ("config/schema", "data", "ldif", "backup", "log", "run", "lock", "instance"):
            (self.directory / name).mkdir(parents=True)
        self._write_certificates()
        self._write_configuration()
        for path in (self.directory, *self.directory.rglob("*")):
            os.chown(path, self._user.pw_uid, self._user.pw_gid)

    def _write_certificates(self) -> None:
        """In NSS's own database, without a password."""
        store = f"sql:{self.directory / 'config'}"
        key = (self.directory / "server.key").read_bytes()
        certificate = (self.directory / "server.pem").read_bytes()
        bundle = pkcs12.serialize_key_and_certificates(
            b"Server-Cert",
            serialization.load_pem_private_key(key, None),  # type: ignore[arg-type]
            x509.load_pem_x509_certificate(certificate),
            None,
            serialization.BestAvailableEncryption(b"bundle"),
        )
        (self.directory / "server.p12").write_bytes(bundle)
        run([need("certutil"), "-N", "-d", store, "--empty-password"])
        authority = ("-n", "CA", "-t", "CT,,", "-i", str(self.directory / "ca.pem"))
        run([need("certutil"), "-A", "-d", store, *authority])
        p12 = str(self.directory / "server.p12")
        run([need("pk12util"), "-i", p12, "-d", store, "-W", "bundle", "-K", ""])

    def _write_configuration(self) -> None:
        directory = self.directory
        words = {
            "schema_dir": directory / "config/schema",
            "lock_dir": directory / "lock",
            "tmp_dir": directory / "run",
            "cert_dir": directory / "config",
            "config_dir": directory / "config",
            "ldif_dir": directory / "ldif",
            "bak_dir": directory / "backup",
            "run_dir": directory / "run",
            "inst_dir": directory / "instance",
            "log_dir": directory / "log",
            "db_dir": directory / "data",
            "db_home_dir": directory / "data",
            "db_lib": "bdb",
            "fqdn": "localhost",
            "ds_port": self.port,
            "ds_user": self._user.pw_name,
            "rootdn": MANAGER,
            "ds_passwd": _hashed(MANAGER_PASSWORD),
            "ds_suffix": SUFFIX,
            "ldapi_enabled": "off",
            "ldapi": directory / "run/socket",
            "ldapi_autobind": "off",
        }
        text = (_SHARED / "data/template-dse.ldif").read_text()
        for name, value in words.items():
            text = text.replace(f"%{name}%", str(value))
        loopback = "listenhost: 127.0.0.1\nnsslapd-securelistenhost: 127.0.0.1\nnsslapd-port:"
        text = text.replace("nsslapd-port:", f"nsslapd-{loopback}", 1)
        records = f"{text.strip()}\n{_BACKEND}".split("\n\n")
        for plugin in _PLUGINS_ON:
            records = [
                each.replace("pluginenabled: off", "pluginenabled: on")
                if each.strip().startswith(f"dn: cn={plugin},")
                else each
                for each in records
            ]
        config = directory / "config"
        (config / "dse.ldif").write_text("\n\n".join(records))
        for path in Path("/etc/dirsrv/config").glob("*.conf"):
            shutil.copy(path, config)
        shutil.copy("/etc/dirsrv/schema/99user.ldif", config / "schema")
        shutil.copy(_SHARED / "data/60inetmail.ldif", config / "schema")

    def start(self) -> None:
        first = self._process is None and self._people
        command = [self.program, "-D", str(self.directory / "config"), "-d", _IN_FOREGROUND]
        command += ["-i", str(self.directory / "run/pid")]
        with (self.directory / "stdout").open("ab") as output:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )
            self._lives(process)
        eventually(self._accepts, deadline_s=60, every_s=0.05)
        if first:
            self._fill()

    def _fill(self) -> None:
        people, self._people = self._people, ""
        settings = _SETTINGS.format(threshold=LOCKOUT_THRESHOLD, tls_port=self.tls_port)
        self.change(settings + _BASE + people)
        self.restart()

    def _accepts(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.output()
        return accepts(self.port) and (bool(self._people) or accepts(self.tls_port))

    def output(self) -> str:
        paths = (self.directory / "stdout", self.directory / "log/errors")
        return "\n".join(path.read_text()[-2000:] for path in paths if path.exists())

    def close(self) -> None:
        self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)
