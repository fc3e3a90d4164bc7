"""Where the certificates are by the settings, self-signed ones for trials, and what dates mean."""

from __future__ import annotations

import datetime
import os
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from gateway.core.settings.model import Settings
from gateway.edge.tls_material import CertificateFiles, TlsFiles

VALID_DAYS = 825  # the longest that Apple's clients accept


WARN_DAYS = 14  # renewal by ACME is tried 30 days before the end: at 14 it has failed for long


@dataclass(frozen=True, slots=True)
class Validity:
    """From when until when clients take a certificate."""

    begin: datetime.datetime
    end: datetime.datetime

    def warning(self, now: datetime.datetime) -> str | None:
        """What the administrator should know now."""
        if now < self.begin:
            return f"clients refuse the certificate: it is not valid before {_shown(self.begin)}"
        if now >= self.end:
            return f"clients refuse the certificate: it expired on {_shown(self.end)}"
        if self.end - now < datetime.timedelta(days=WARN_DAYS):
            return f"the certificate expires on {_shown(self.end)}; renew it, then send SIGHUP"
        return None


def validity(pem: bytes) -> Validity:
    """The dates of the first certificate of a PEM text. Raises: ValueError."""
    certificate = x509.load_pem_x509_certificates(pem)[0]
    return Validity(certificate.not_valid_before_utc, certificate.not_valid_after_utc)


def _shown(moment: datetime.datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def tls_files(settings: Settings) -> TlsFiles:
    """The files that the settings name; a self-signed certificate is made if they want one."""
    tls = settings.tls
    if tls.self_signed:
        default = ensure_self_signed(Path(settings.state_dir), (settings.hostname,))
    else:
        default = CertificateFiles(Path(tls.certificate), Path(tls.key))
    return TlsFiles(
        default,
        tuple(
            (
                each.names,
                CertificateFiles(Path(each.certificate), Path(each.key), f"tls.sni[{index}]"),
            )
            for index, each in enumerate(tls.sni)
        ),
        tuple(
            (f"listen[{index}].client_ca_file", listen.client_ca_file)
            for index, listen in enumerate(settings.listen)
            if listen.client_ca_file
        ),
        tls.minimum_version,
    )


def ensure_self_signed(directory: Path, names: tuple[str, ...]) -> CertificateFiles:
    """The files of a self-signed certificate for DNS names, made on first use."""
    files = CertificateFiles(directory / "self-signed.pem", directory / "self-signed.key")
    if files.certificate.exists() and files.key.exists():
        return files
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0][:64])])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=VALID_DAYS))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(n) for n in names]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False)
        .sign(key, hashes.SHA256())
    )
    key_pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    write_private(files.key, key_pem)
    write_private(files.certificate, certificate.public_bytes(serialization.Encoding.PEM))
    return files


def write_private(path: Path, content: bytes) -> None:
    """Put a file there whole or not at all, readable by its owner only."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
