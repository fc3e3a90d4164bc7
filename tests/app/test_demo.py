"""The demo's folder: made once, never overwritten, private."""

from __future__ import annotations

from pathlib import Path

from gateway.app import demo
from gateway.app.certificates import ensure_self_signed
from gateway.core.settings.load import load_from
from gateway.core.settings.model import Settings
from gateway.directory.ldif.people import load_people
from gateway.directory.presets.openldap import OPENLDAP
from gateway.edge.tls import ServerContexts
from gateway.edge.tls_material import TlsMaterial

CONTRACT = (25, 587, 465, 2525, 110, 995, 143, 993, 80)


def settings_of(path: Path) -> Settings:
    return load_from(str(path), {}, lambda name: Path(name).read_text("utf-8")).settings


def test_it_writes_what_is_missing_and_keeps_what_is_there(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "demo"
    path = demo.prepare(folder, 10_000)
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    assert sorted(before) == ["gateway.toml", "people.ldif", "self-signed.key", "self-signed.pem"]
    path.write_bytes(before["gateway.toml"] + b"# mine\n")
    (folder / "people.ldif").unlink()
    assert demo.prepare(folder, 20_000) == path
    assert path.read_bytes().endswith(b"# mine\n")
    assert (folder / "people.ldif").read_bytes() == before["people.ldif"]


def test_nobody_else_can_read_it(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    demo.prepare(folder, 10_000)
    assert folder.stat().st_mode & 0o077 == 0
    assert all(file.stat().st_mode & 0o077 == 0 for file in folder.iterdir())


def test_its_ports_are_the_contracts_on_loopback_only(tmp_path: Path) -> None:
    demo.prepare(tmp_path / "demo", 10_000)
    listen = demo.listeners(10_000)
    assert [each.address for each in listen] == [f"127.0.0.1:{10_000 + p}" for p in CONTRACT]
    assert settings_of(tmp_path / "demo" / "gateway.toml").listen == listen


def test_a_folder_with_odd_characters_works(tmp_path: Path) -> None:
    folder = tmp_path / 'a "quoted" \\ földer'
    settings = settings_of(demo.prepare(folder, 10_000))
    assert settings.directory.path == str(folder / "people.ldif")


def test_its_people_are_alice_and_bob(tmp_path: Path) -> None:
    demo.prepare(tmp_path / "demo", 10_000)
    assert len(load_people(tmp_path / "demo" / "people.ldif", OPENLDAP)) == 2


def test_its_certificate_serves_tls(tmp_path: Path) -> None:
    files = ensure_self_signed(tmp_path, ("mail.example.test",))
    ServerContexts(TlsMaterial(files.read()))
    assert ensure_self_signed(tmp_path, ("other.example.test",)) == files
