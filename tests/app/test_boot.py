"""What is handed to a child process arrives whole, and nowhere else."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from gateway.app.boot import boot_file, read_boot
from gateway.app.process import Process
from gateway.app.worker_boot import WorkerBoot
from gateway.core.settings.load import load
from gateway.core.settings.model import Settings
from gateway.edge.tls_material import CertificateFiles, NamedPem, Pem, TlsMaterial

SECRETS = ("hush-ldap", "hush-relay", "hush-key")

SETTINGS = """
hostname = "mail.example.com"
workers = 3
[domains."example.com"]
aliases = ["example.org"]
[directory]
kind = "ldap"
uri = ["ldaps://a.example.com", "ldaps://b.example.com"]
base_dn = "dc=example,dc=com"
bind_dn = "cn=x,dc=example,dc=com"
bind_password_file = "/run/ldap"
timeout_s = 4
[tls]
certificate = "/etc/c.pem"
key = "/etc/k.pem"
[outbound]
smart_host = "smtps://user@relay.example.net:465"
smart_host_password = "hush-relay"
"""


def settings() -> Settings:
    return load(SETTINGS, source="t", environ={}, read_secret=lambda _: "hush-ldap").settings


def boot() -> WorkerBoot:
    files = CertificateFiles(Path("/etc/c.pem"), Path("/etc/k.pem"))
    pem = Pem(files, b"certificate \xe4", b"hush-key")
    return WorkerBoot(
        number=2,
        settings=settings(),
        listeners=(7, 9),
        connections=11,
        connections_key=b"hush-key-of-table",
        tls=TlsMaterial(pem, (NamedPem(("b.test",), pem),), {"/ca.pem": b"authority"}, "1.3"),
        clear_text_login=False,
        reactor="twisted.internet.epollreactor",
    )


def test_a_worker_gets_the_settings_in_force_secrets_included(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fd = boot_file(boot().to_json())
    monkeypatch.setattr(sys, "argv", ["x", str(fd)])
    got = WorkerBoot.from_json(read_boot())
    assert got == boot()
    assert got.settings.directory.bind_password.get_secret_value() == "hush-ldap"
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fd)


def test_secrets_are_not_shown() -> None:
    shown = repr(boot()) + str(boot()) + repr(boot().tls)
    assert not any(secret in shown for secret in SECRETS)


def test_a_boot_file_has_no_name_and_is_not_inherited_by_accident() -> None:
    fd = boot_file({"a": 1})
    try:
        assert not os.get_inheritable(fd)
        assert os.fstat(fd).st_nlink == 0
    finally:
        os.close(fd)


def test_a_child_has_its_log_and_its_end_seen_and_no_settings_in_its_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GATEWAY_OUTBOUND__SMART_HOST_PASSWORD", "hush-relay")
    lines: list[str] = []
    process = Process.spawn("tests.support.child", {"say": "good day"}, log=lines.extend)
    line = process.take_line()
    with line:
        assert line.recv(5) == b"ready"
        line.sendall(b"x")
        assert line.recv(5) == b"", "it ends when it has heard us"
    process.wait(20)
    assert process.outcome() == "exit status 3"
    assert lines == ["good day", "no settings", "no newline at the end"]


def test_a_child_ends_when_its_parent_is_gone() -> None:
    lines: list[str] = []
    process = Process.spawn("tests.support.child", {"say": "good day"}, log=lines.extend)
    line = process.take_line()
    assert line.recv(5) == b"ready"
    line.close()
    process.wait(20)
    assert process.outcome() == "exit status 3"
    assert lines[-1] == "alone"
