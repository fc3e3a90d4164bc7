"""The files that TLS towards the servers is made of, read again when they have changed.

Owns when they are looked at: when a connection is opened, at most once in LOOK_S. What is wrong
with a new version is logged once, and the one before it holds. Small local files, read at once.
"""

from __future__ import annotations

import datetime
from pathlib import Path

from cryptography import x509
from twisted.logger import Logger

from gateway.core.errors import SettingsError, SettingsProblem
from gateway.core.ports.clock import Timers
from gateway.directory.ldap.tls import LdapTls, UnusablePem

LOOK_S = 10.0

_Seen = tuple[tuple[int, int, int] | None, ...]

_EXPECTED = {
    "ca_file": "a PEM file with CA certificates",
    "client_certificate": "a PEM file with a certificate",
    "client_key": "a PEM file with the certificate's key, without passphrase",
}
_OF_ARGUMENT = {"authorities": "ca_file", "certificate": "client_certificate", "key": "client_key"}


class TlsFiles:
    """Reads them.

    Args:
        ca_file: None: the system's authorities.
        certificate, key: None: we show none.

    Raises:
        SettingsError: with every file that cannot be used.
    """

    log = Logger()

    def __init__(
        self,
        timers: Timers,
        *,
        ca_file: Path | None = None,
        certificate: Path | None = None,
        key: Path | None = None,
    ) -> None:
        self._timers = timers
        self._paths = {"ca_file": ca_file, "client_certificate": certificate, "client_key": key}
        self._look_at = timers.seconds() + LOOK_S
        self._seen = self._state()
        self.own_ends: datetime.datetime | None = None
        self._tls = self._read()

    def current(self) -> LdapTls:
        """Settings in force."""
        now = self._timers.seconds()
        if now >= self._look_at:
            self._look_at = now + LOOK_S
            seen = self._state()
            if seen != self._seen:
                self._seen = seen
                self._read_again()
        return self._tls

    def _read_again(self) -> None:
        try:
            self._tls = self._read()
        except SettingsError as error:
            self.log.error(
                "{problems}; what was there before is still used",
                problems="; ".join(map(str, error.problems)),
            )
        else:
            self.log.info("certificates for the directory's servers were read again")

    def _state(self) -> _Seen:
        return tuple(_state_of(path) for path in self._paths.values())

    def _read(self) -> LdapTls:
        """Raises: SettingsError."""
        problems: list[SettingsProblem] = []
        octets: dict[str, bytes] = {}
        for key, path in self._paths.items():
            if path is None:
                continue
            try:
                octets[key] = path.read_bytes()
            except OSError as error:
                problems.append(self._problem(key, error.strerror or type(error).__name__))
        if problems:
            raise SettingsError(problems)
        own = octets.get("client_certificate", b"")
        try:
            tls = LdapTls(octets.get("ca_file"), certificate=own, key=octets.get("client_key", b""))
        except UnusablePem as error:
            argument, _, found = str(error).partition(": ")
            raise SettingsError([self._problem(_OF_ARGUMENT[argument], found)]) from None
        if own:
            chain = x509.load_pem_x509_certificates(own)
            self.own_ends = min(each.not_valid_after_utc for each in chain)
        return tls

    def _problem(self, key: str, found: str) -> SettingsProblem:
        return SettingsProblem(
            "configuration", f"directory.{key}", f"{self._paths[key]}: {found}", _EXPECTED[key]
        )


def _state_of(path: Path | None) -> tuple[int, int, int] | None:
    if path is None:
        return None
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
