"""SIGHUP takes a new certificate without dropping anybody; a broken one is refused loudly."""

from __future__ import annotations

import imaplib
import shutil
import signal
import ssl
from pathlib import Path

from gateway.app.certificates import ensure_self_signed
from tests.support.authority import new_authority
from tests.support.gateway_process import BIN, Demo, running_demo
from tests.support.mail import BOB, trusting
from tests.support.programs import run


def served_certificate(demo: Demo) -> bytes:
    pem = ssl.get_server_certificate(("127.0.0.1", demo.port(993)), timeout=60)
    return ssl.PEM_cert_to_DER_cert(pem)


def certificate_in(folder: Path) -> bytes:
    return ssl.PEM_cert_to_DER_cert((folder / "self-signed.pem").read_text())


def test_a_new_certificate_is_served_and_sessions_live_on(tmp_path: Path) -> None:
    folder = tmp_path / "d"
    with running_demo(folder) as demo:
        with imaplib.IMAP4_SSL(
            "127.0.0.1", demo.port(993), ssl_context=trusting(), timeout=60
        ) as session:
            session.login(*BOB)
            old = served_certificate(demo)
            assert old == certificate_in(folder)

            other = tmp_path / "other"
            other.mkdir()
            ensure_self_signed(other, ("mail.example.test",))
            for name in ("self-signed.pem", "self-signed.key"):
                shutil.copy(other / name, folder / name)
            demo.signal(signal.SIGHUP)
            demo.wait_for_line("certificate reloaded")
            assert served_certificate(demo) == certificate_in(other) != old

            (folder / "self-signed.pem").write_text("broken")
            demo.signal(signal.SIGHUP)
            demo.wait_for_line("certificate not reloaded")
            assert served_certificate(demo) == certificate_in(other)
            assert session.noop()[0] == "OK"


def test_an_expired_certificate_is_served_with_a_warning_in_log_and_status(tmp_path: Path) -> None:
    folder = tmp_path / "d"
    certificate, key = new_authority().issue("mail.example.test", expired=True)
    with running_demo(folder) as demo:
        (folder / "self-signed.pem").write_bytes(certificate)
        (folder / "self-signed.key").write_bytes(key)
        demo.signal(signal.SIGHUP)
        assert " warn " in demo.wait_for_line("clients refuse the certificate: it expired on")
        shown = run([str(BIN / "gateway"), "status", "--config", str(demo.config)]).stdout
        assert b"warning     clients refuse the certificate: it expired on" in shown
