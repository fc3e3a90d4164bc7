"""What of this host the gateway needs, for ``gateway check``: files, certificates, DNS, ports.

Owns the looks at files, certificates and ports. Reads, and binds each port for a moment where no
gateway of ours runs. Blocks, as commands may.
"""

from __future__ import annotations

import datetime
import errno
import os
import socket
from collections.abc import Iterator
from pathlib import Path

from cryptography import x509

from gateway.cli.check_dns import dns_findings
from gateway.cli.control_client import ControlClient, GatewayNotRunning
from gateway.cli.queue_access import is_nobody
from gateway.core.errors import GatewayError, SettingsError
from gateway.core.findings import Finding, Findings
from gateway.core.settings.checks import split_host_port
from gateway.core.settings.listen import ListenSettings
from gateway.core.settings.model import Settings
from gateway.core.settings.paths import control_socket
from gateway.edge.tls import MAIL, Listening, contexts_for
from gateway.edge.tls_material import CertificateFiles, Pem, TlsFiles

SOON = datetime.timedelta(days=14)
"""Renewal by ACME is tried 30 days before the end: at 14 it has failed for long."""
STATUS_LIMIT_S = 5.0
LITTLE_SPACE_OCTETS = 1024**3
_FILES, _TLS, _PORTS = map(Findings, ("files", "tls", "ports"))


def host_findings(settings: Settings) -> Iterator[Finding]:
    yield from _state_dir(Path(settings.state_dir))
    yield from _files(settings)
    yield from _certificates(settings)
    yield from dns_findings(settings)
    yield from _ports(settings)


# -- files


def _state_dir(path: Path) -> Iterator[Finding]:
    try:
        if not path.is_dir():
            above = next((each for each in path.parents if each.is_dir()), path)
            if path.exists() or not os.access(above, os.W_OK | os.X_OK):
                yield _FILES.failed(
                    f"state_dir {path} is no folder, and cannot be made in {above}",
                    "make it, and give it to the user that the gateway runs as",
                )
            else:
                yield _FILES.ok(f"state_dir {path} will be made")
            return
        if not os.access(path, os.R_OK | os.W_OK | os.X_OK):
            advice = (
                "give it to the user that the gateway runs as, or run this command as that user"
            )
            yield _FILES.failed(f"state_dir {path} cannot be written by this user", advice)
            return
        if path.stat().st_mode & 0o007:
            advice = f"chmod o-rwx {path}"
            yield _FILES.warning(f"state_dir {path} is open to everybody on this host", advice)
            return
    except OSError as error:
        yield _FILES.failed(f"state_dir {path}: {error.strerror}", "look at the folders above it")
        return
    yield _space(path)


def _space(path: Path) -> Finding:
    """Of a folder that is there, as the gateway's user may use it."""
    try:
        room = os.statvfs(path)
    except OSError as error:
        return _FILES.failed(f"state_dir {path}: {error.strerror}", "look at its file system")
    if room.f_flag & os.ST_RDONLY:
        return _FILES.failed(
            f"state_dir {path} is read-only", "mount its file system to be written"
        )
    octets = room.f_bavail * room.f_frsize
    text = f"state_dir {path}, {octets / 1024**3:,.1f} GiB free"
    if octets < LITTLE_SPACE_OCTETS:
        return _FILES.warning(text, "make room: without, mail is put off and nothing is stored")
    return _FILES.ok(text)


def _files(settings: Settings) -> Iterator[Finding]:
    """Those that are read later than the configuration and not looked at elsewhere."""
    for key, name in (
        ("recipients.aliases_file", settings.recipients.aliases_file),
        ("submission.send_as_file", settings.submission.send_as_file),
        ("oauth.jwks_file", settings.oauth.jwks_file),
        ("oauth.ca_file", settings.oauth.ca_file),
        ("outbound.ca_file", settings.outbound.ca_file),
    ):
        if not name:
            continue
        try:
            with Path(name).open("rb") as file:
                file.read(1)
        except OSError as error:
            advice = "let the user that the gateway runs as read it"
            yield _FILES.failed(f"{key} {name}: {error.strerror}", advice)
        else:
            yield _FILES.ok(f"{key} {name}")


# -- certificates


def _certificates(settings: Settings) -> Iterator[Finding]:
    if all(listen.tls == "none" for listen in settings.listen):
        return
    files = _tls_files(settings)
    if files is None:
        yield _TLS.warning(
            f"self-signed, made in {settings.state_dir} at the first start",
            "for more than a trial set tls.certificate and tls.key",
        )
        return
    try:
        material = files.read()
        contexts_for(MAIL, material)
        for listen in settings.listen:
            if listen.client_ca_file:
                contexts_for(Listening(client_ca_file=listen.client_ca_file), material)
    except SettingsError as error:
        for problem in error.problems:
            found = f"{problem.key}: {problem.source}: {problem.found}"
            yield _TLS.failed(found, f"expected {problem.expected}")
        return
    if settings.tls.self_signed:
        yield _TLS.warning(
            "self-signed, which mail programs warn of or refuse",
            "for more than a trial set tls.certificate and tls.key",
        )
    yield _certificate(material.default, (settings.hostname,))
    for each in material.named:
        yield _certificate(each.pem, each.names)


def _tls_files(settings: Settings) -> TlsFiles | None:
    """None: there are none yet."""
    tls = settings.tls
    default = CertificateFiles(Path(tls.certificate), Path(tls.key))
    if tls.self_signed:
        state_dir = Path(settings.state_dir)
        default = CertificateFiles(state_dir / "self-signed.pem", state_dir / "self-signed.key")
        if not default.certificate.exists():
            return None
    named = tuple(
        (each.names, CertificateFiles(Path(each.certificate), Path(each.key), f"tls.sni[{index}]"))
        for index, each in enumerate(tls.sni)
    )
    authorities = tuple(
        (f"listen[{index}].client_ca_file", listen.client_ca_file)
        for index, listen in enumerate(settings.listen)
        if listen.client_ca_file
    )
    return TlsFiles(default, named, authorities, tls.minimum_version)


def _certificate(pem: Pem, names: tuple[str, ...]) -> Finding:
    """Its dates and its names; that it can be used at all is known."""
    own = x509.load_pem_x509_certificates(pem.certificate)[0]
    path = pem.files.certificate
    now = datetime.datetime.now(datetime.UTC)
    end = f"{own.not_valid_after_utc:%Y-%m-%d %H:%M} UTC"
    if now >= own.not_valid_after_utc:
        return _TLS.failed(f"{path}: ended at {end}", "renew it, then send SIGHUP")
    if now < own.not_valid_before_utc:
        begin = f"{own.not_valid_before_utc:%Y-%m-%d %H:%M} UTC"
        return _TLS.failed(f"{path}: not valid before {begin}", "look at the clock of this host")
    known = _host_names(own)
    missing = [name for name in names if not _covers(known, name)]
    if missing:
        return _TLS.failed(
            f"{path}: for {', '.join(sorted(known)) or 'no host name'}, and not for"
            f" {', '.join(missing)}",
            "take a certificate that has the name by which clients connect",
        )
    if own.not_valid_after_utc - now < SOON:
        days = (own.not_valid_after_utc - now).days
        return _TLS.warning(f"{path}: ends in {days} days, at {end}", "renew it, then send SIGHUP")
    return _TLS.ok(f"{path}: for {', '.join(names)}, until {end}")


def _host_names(certificate: x509.Certificate) -> set[str]:
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except (x509.ExtensionNotFound, ValueError):
        return set()
    return {name.lower() for name in extension.value.get_values_for_type(x509.DNSName)}


def _covers(known: set[str], name: str) -> bool:
    """RFC 6125 section 6.4.3: a star stands for one label."""
    return name.lower() in known or f"*.{name.lower().partition('.')[2]}" in known


# -- ports


def _ports(settings: Settings) -> Iterator[Finding]:
    held = _held(settings)
    if held is None:
        yield _PORTS.warning(
            "a gateway with this state_dir runs and does not say where it listens",
            "it may be starting: ask again; else look at its log, and run this as its user",
        )
        return
    for listen in settings.listen:
        if listen.address in held:
            yield _PORTS.ok(f"{listen.protocol} {listen.address}: our running gateway listens")
        else:
            yield _bound(listen)


def _held(settings: Settings) -> set[str] | None:
    """Addresses on which a gateway with this ``state_dir`` listens now; None: it does not say."""
    client = ControlClient(control_socket(Path(settings.state_dir)), STATUS_LIMIT_S)
    try:
        listeners = client.get("/v1/status")["listeners"]
    except GatewayNotRunning as error:
        return set() if is_nobody(error) else None
    except GatewayError:
        return None
    return {str(each["address"]) for each in listeners}


def _bound(listen: ListenSettings) -> Finding:
    """Whether the gateway could listen there."""
    host, port = split_host_port(listen.address)
    name = f"{listen.protocol} {listen.address}"
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            # As the gateway binds: connections that are ending do not count.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            probe.bind((host, port))
            probe.listen(1)
    except OSError as error:
        return _PORTS.failed(f"{name}: {error.strerror}", _port_advice(error.errno, port))
    return _PORTS.ok(f"{name}: free")


def _port_advice(code: int | None, port: int) -> str:
    if code == errno.EADDRINUSE:
        return f"another program listens there: `ss -ltnp 'sport = :{port}'` names it"
    if code in (errno.EACCES, errno.EPERM):
        return "ports below 1024 are root's: start as root, or with CAP_NET_BIND_SERVICE"
    if code == errno.EADDRNOTAVAIL:
        return "this host does not have the address: `ip address` shows those it has"
    return "look at the address"
