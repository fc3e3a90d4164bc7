"""Certificates, keys and authorities as they were read from their files, before anything is made.

Owns the reading, and the form in which workers get it from the process that may read keys. Never
makes a context (``tls``) and never shows a key.

Limits: MAX_OCTETS for all of it, so that it fits into one message to a worker.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gateway.core.errors import SettingsError, SettingsProblem

MAX_OCTETS = 2 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class CertificateFiles:
    """PEM files: the certificate followed by its chain, and the private key.

    Args:
        setting: the section of the settings that names them.
    """

    certificate: Path
    key: Path
    setting: str = "tls"

    def read(self) -> Pem:
        """Their present content. Raises: SettingsError."""
        return Pem(
            self,
            _read(self.certificate, f"{self.setting}.certificate"),
            _read(self.key, f"{self.setting}.key"),
        )


@dataclass(frozen=True, slots=True)
class Pem:
    """A certificate and its key as they were read, with the names of their files."""

    files: CertificateFiles
    certificate: bytes = field(repr=False)
    key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class NamedPem:
    """A certificate for clients that ask for one of these names (lower case, may begin ``*.``)."""

    names: tuple[str, ...]
    pem: Pem


@dataclass(frozen=True, slots=True)
class TlsMaterial:
    """All that TLS needs.

    Args:
        default: for clients that ask for no name, or for one that we do not have.
        named: the others.
        authorities: PEM of the authorities of client certificates, by the name of their file.
        minimum_version: ``1.2`` or ``1.3``.
    """

    default: Pem
    named: tuple[NamedPem, ...] = ()
    authorities: Mapping[str, bytes] = field(default_factory=dict)
    minimum_version: str = "1.2"

    @property
    def certificates(self) -> tuple[Pem, ...]:
        return (self.default, *(each.pem for each in self.named))

    def to_json(self) -> dict[str, Any]:
        """Plain data, keys in clear."""
        return {
            "default": _pem_to_json(self.default),
            "named": [[list(each.names), _pem_to_json(each.pem)] for each in self.named],
            "authorities": {name: _coded(pem) for name, pem in self.authorities.items()},
            "minimum_version": self.minimum_version,
        }

    @classmethod
    def from_json(cls, material: Mapping[str, Any]) -> TlsMaterial:
        """What ``to_json`` made."""
        return cls(
            _pem_from_json(material["default"]),
            tuple(NamedPem(tuple(names), _pem_from_json(pem)) for names, pem in material["named"]),
            {name: b64decode(coded) for name, coded in material["authorities"].items()},
            material["minimum_version"],
        )


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Where all of it is; read at start and at every reload.

    Args:
        authorities: the setting and the name of each file.
    """

    default: CertificateFiles
    named: tuple[tuple[tuple[str, ...], CertificateFiles], ...] = ()
    authorities: tuple[tuple[str, str], ...] = ()
    minimum_version: str = "1.2"

    def read(self) -> TlsMaterial:
        """Their present content.

        Raises:
            SettingsError: a file cannot be read, or all of them are too much.
        """
        material = TlsMaterial(
            self.default.read(),
            tuple(NamedPem(names, files.read()) for names, files in self.named),
            {name: _read(Path(name), setting) for setting, name in self.authorities},
            self.minimum_version,
        )
        octets = sum(len(pem.certificate) + len(pem.key) for pem in material.certificates)
        octets += sum(map(len, material.authorities.values()))
        if octets > MAX_OCTETS:
            found = f"{octets} octets of certificates"
            raise problem("tls", self.default.certificate, found, f"at most {MAX_OCTETS}")
        return material


def problem(setting: str, path: Path, found: str, expected: str) -> SettingsError:
    return SettingsError([SettingsProblem(str(path), setting, found, expected)])


def _read(path: Path, setting: str) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_OCTETS + 1)
    except OSError as error:
        reason = error.strerror or "unreadable"
        raise problem(setting, path, reason, "a readable PEM file") from None


def _coded(pem: bytes) -> str:
    return b64encode(pem).decode("ascii")  # PEM files may hold comments in whatever charset


def _pem_to_json(pem: Pem) -> dict[str, str]:
    return {
        "setting": pem.files.setting,
        "certificate_file": str(pem.files.certificate),
        "key_file": str(pem.files.key),
        "certificate": _coded(pem.certificate),
        "key": _coded(pem.key),
    }


def _pem_from_json(pem: Mapping[str, str]) -> Pem:
    return Pem(
        CertificateFiles(Path(pem["certificate_file"]), Path(pem["key_file"]), pem["setting"]),
        b64decode(pem["certificate"]),
        b64decode(pem["key"]),
    )
