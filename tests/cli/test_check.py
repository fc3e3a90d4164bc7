"""``gateway check``, as far as it needs no server: files, certificates, ports, people in a file."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import pytest

from gateway.cli.main import main
from tests.support.authority import new_authority
from tests.support.ports import free_port

Captured = pytest.CaptureFixture[str]
Rows = list[dict[str, str]]

PEOPLE = """\
dn: uid=anna,dc=test
objectClass: inetOrgPerson
uid: anna
mail: anna@example.test

dn: uid=bert,dc=test
objectClass: inetOrgPerson
uid: bert
mail: anna@example.test
pwdAccountLockedTime: 000001010000Z
"""


class World:
    """A configuration; ``more`` is put behind it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        (folder / "people.ldif").write_text(PEOPLE)
        self.tls = "self_signed = true"
        self.hostname = "localhost"
        self.domain = "example.test"

    def certificate(self, *names: str, expired: bool = False) -> None:
        certificate, key = new_authority().issue(*names, expired=expired)
        (self.folder / "own.pem").write_bytes(certificate)
        (self.folder / "own.key").write_bytes(key)
        self.tls = f'certificate = "{self.folder}/own.pem"\nkey = "{self.folder}/own.key"'

    def check(
        self, monkeypatch: pytest.MonkeyPatch, capsys: Captured, *options: str
    ) -> tuple[int, str]:
        config = self.folder / "gateway.toml"
        config.write_text(f"""
hostname = "{self.hostname}"
state_dir = "{self.folder}/state"
[domains."{self.domain}"]
[directory]
kind = "ldif"
path = "{self.folder}/people.ldif"
[tls]
{self.tls}
[[listen]]
protocol = "imap"
address = "127.0.0.1:{self.port}"
""")
        monkeypatch.setattr("sys.argv", ["gateway", "check", "--config", str(config), *options])
        try:
            main()
        except SystemExit as stop:
            return int(stop.code or 0), capsys.readouterr().out
        return 0, capsys.readouterr().out


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def lines(text: str, outcome: str) -> str:
    """The lines of one outcome, with what to do."""
    found: list[str] = []
    for line in text.splitlines():
        if line.startswith(outcome) or (line.startswith(" ") and found and found[-1]):
            found.append(line)
        else:
            found.append("")
    return "\n".join(found)


def test_a_line_each(world: World, monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    status, text = world.check(monkeypatch, capsys)
    assert status == 0, text
    for area in ("configuration", "files", "tls", "dns", "ports", "directory"):
        assert any(line[8:].startswith(area) for line in text.splitlines()), area
    assert "of 2 people 2 have an address in a domain of ours, 1 are disabled" in text
    assert "anna@example.test" in lines(text, "warning")
    assert not (world.folder / "state").exists()  # nothing was made


def test_json(world: World, monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    status, text = world.check(monkeypatch, capsys, "--json")
    rows: Rows = json.loads(text)
    assert status == 0
    assert {row["outcome"] for row in rows} == {"ok", "warning"}
    assert all(bool(row["advice"]) == (row["outcome"] != "ok") for row in rows)


def test_a_port_that_another_program_has(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    with socket.create_server(("127.0.0.1", world.port)):
        status, text = world.check(monkeypatch, capsys)
    assert status == 1
    assert f"imap 127.0.0.1:{world.port}" in lines(text, "failed")
    assert "ss -ltnp" in lines(text, "failed")


def test_a_gateway_that_does_not_say_where_it_listens(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    monkeypatch.setattr("gateway.cli.check_host.STATUS_LIMIT_S", 0.1)
    state_dir = world.folder / "state"
    state_dir.mkdir(mode=0o700)
    with socket.socket(socket.AF_UNIX) as silent, socket.create_server(("127.0.0.1", world.port)):
        silent.bind(str(state_dir / "control.sock"))
        silent.listen(1)
        status, text = world.check(monkeypatch, capsys)
    assert status == 0, text
    assert "does not say where it listens" in lines(text, "warning")
    assert "another program" not in text


def test_an_address_that_this_host_lacks(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    monkeypatch.setenv("GATEWAY_HOSTNAME", "no-such-name.invalid")
    config = world.folder / "gateway.toml"
    world.check(monkeypatch, capsys)
    config.write_text(config.read_text().replace("127.0.0.1:", "192.0.2.1:"))
    monkeypatch.setattr("sys.argv", ["gateway", "check", "--config", str(config)])
    with pytest.raises(SystemExit):
        main()
    text = capsys.readouterr().out
    assert "ip address" in lines(text, "failed")
    assert "no-such-name.invalid has no address" in lines(text, "warning")


def test_a_good_certificate(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    world.certificate("localhost")
    status, text = world.check(monkeypatch, capsys)
    assert status == 0, text
    assert "own.pem: ends in 1 days" in lines(text, "warning")


@pytest.mark.parametrize(
    ("names", "expired", "words"),
    [
        (("mail.example.com",), False, "for mail.example.com, and not for localhost"),
        (("localhost",), True, "ended at"),
        (("CN=localhost",), False, "for no host name, and not for localhost"),
    ],
)
def test_L7_a_certificate_that_clients_refuse(
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Captured,
    names: tuple[str, ...],
    expired: bool,
    words: str,
) -> None:
    world.certificate(*names, expired=expired)
    status, text = world.check(monkeypatch, capsys)
    assert status == 1
    assert words in lines(text, "failed")


def test_a_key_of_another_certificate(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    world.certificate("localhost")
    (world.folder / "own.key").write_bytes(new_authority().issue("localhost")[1])
    status, text = world.check(monkeypatch, capsys)
    assert status == 1
    assert "does not fit the key" in lines(text, "failed")
    (world.folder / "own.key").unlink()
    assert "No such file" in lines(world.check(monkeypatch, capsys)[1], "failed")


def test_a_state_dir_that_is_none(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    (world.folder / "state").write_text("a file")
    status, text = world.check(monkeypatch, capsys)
    assert status == 1 and "is no folder" in lines(text, "failed")
    (world.folder / "state").unlink()
    (world.folder / "state").mkdir()
    os.chmod(world.folder / "state", 0o755)
    status, text = world.check(monkeypatch, capsys)
    assert status == 0 and "chmod o-rwx" in lines(text, "warning")


def test_people_of_other_domains(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    world.domain = "elsewhere.test"
    status, text = world.check(monkeypatch, capsys)
    assert status == 0
    assert "0 have an address in a domain of ours" in lines(text, "warning")


def test_a_broken_file_of_people(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    (world.folder / "people.ldif").write_text("dn: x\nfoo\n")
    status, text = world.check(monkeypatch, capsys)
    assert status == 1
    assert "people.ldif" in lines(text, "failed")


def test_a_configuration_that_cannot_be_used_ends_it(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    world.hostname = "not a name"
    status, text = world.check(monkeypatch, capsys)
    assert status == 2
    assert "hostname: found" in lines(text, "failed") and "expected" in lines(text, "failed")
    status, text = world.check(monkeypatch, capsys, "--json")
    assert status == 2
    assert [row["area"] for row in json.loads(text)] == ["configuration"]
