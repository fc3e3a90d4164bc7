"""The LDIF directory: the file's syntax, its mistakes, and what happens when it changes."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.logger import capturedLogs, formatEvent

from gateway.core.address import Address
from gateway.core.errors import DirectoryUnavailable, SettingsError
from gateway.directory.ldif.directory import LdifDirectory
from gateway.directory.ldif.reader import read_ldif
from gateway.directory.presets.openldap import OPENLDAP
from gateway.wire.ldap import filters
from tests.support.pump import Pump

DEMO = Path(__file__).parents[2] / "etc" / "demo.ldif"
ALICE = Address("alice", "example.test")


def person(uid: str, *lines: str) -> str:
    head = f"dn: uid={uid},dc=example,dc=test\nobjectClass: inetOrgPerson\nuid: {uid}\n"
    return head + "".join(f"{line}\n" for line in lines)


class Bench:
    """A directory on a file that the test rewrites, with the time under control."""

    def __init__(self, path: Path, pump: Pump) -> None:
        self.path = path
        self.pump = pump
        self.now_s = 0.0
        self.wall_s = 1_000_000.0
        self.versions = 0
        self.write(person("alice", "mail: alice@example.test"))
        self.directory = LdifDirectory(
            path,
            call_from_thread=pump.call_from_thread,
            monotonic=lambda: self.now_s,
            wall_clock=lambda: self.wall_s,
        )

    def write(self, text: str, modified_s: float = 0.0) -> None:
        """A new version; its modification time differs even on coarse clocks."""
        self.path.write_text(text)
        self.versions += 1
        modified_s = modified_s or self.versions
        os.utime(self.path, (modified_s, modified_s))

    def knows(self, uid: str) -> bool:
        address = Address(uid, "example.test")
        return self.pump.wait(self.directory.find_by_address(address)) is not None


@pytest.fixture
def bench(tmp_path: Path, pump: Pump) -> Iterator[Bench]:
    made = Bench(tmp_path / "people.ldif", pump)
    yield made
    pump.wait(made.directory.close())


def test_the_demos_people_can_log_in(pump: Pump) -> None:
    directory = LdifDirectory(DEMO, call_from_thread=pump.call_from_thread)
    alice = pump.wait(directory.authenticate("alice@example.test", b"wonderland"))
    bob = pump.wait(directory.authenticate("bob", b"builder"))
    assert alice.addresses == ("alice@example.test", "postmaster@example.test")
    assert bob.addresses == ("bob@example.test",)
    assert pump.wait(directory.probe()) == f"{DEMO}: 2 people"
    pump.wait(directory.close())


def test_a_changed_file_is_read_again_after_a_second(bench: Bench) -> None:
    bench.write(person("bob", "mail: bob@example.test"))
    assert not bench.knows("bob")
    bench.now_s = 1.0
    assert bench.knows("bob")
    assert not bench.knows("alice")


def test_a_replaced_file_is_noticed_by_its_inode(bench: Bench, tmp_path: Path) -> None:
    status = bench.path.stat()
    other = tmp_path / "other"
    other.write_text(bench.path.read_text().replace("alice", "carol"))
    os.utime(other, ns=(status.st_mtime_ns, status.st_mtime_ns))
    other.replace(bench.path)
    bench.now_s = 1.0
    assert bench.knows("carol")


def test_a_half_written_file_is_not_taken_for_the_whole(bench: Bench) -> None:
    """A copy that writes in place, slowly: nobody is unknown meanwhile."""
    bench.wall_s = 1_000.0
    two = person("alice", "mail: alice@example.test"), person("bob", "mail: bob@example.test")
    for bench.now_s, size in ((1.0, len(two[1])), (2.0, len(two[1]) + 10)):
        bench.write("\n".join(reversed(two))[:size], modified_s=999.5 + bench.now_s)
        bench.wall_s = 1_000.0 + bench.now_s
        assert bench.knows("alice")
    bench.write("\n".join(two), modified_s=1_002.0)
    bench.now_s, bench.wall_s = 3.0, 1_002.9
    assert not bench.knows("bob")
    bench.now_s, bench.wall_s = 4.0, 1_003.1
    assert bench.knows("bob")
    assert bench.knows("alice")


def test_a_file_from_a_clock_ahead_is_used_when_it_rests(bench: Bench) -> None:
    bench.write(person("bob", "mail: bob@example.test"), modified_s=9e9)
    bench.now_s = 1.0
    assert not bench.knows("bob")
    bench.now_s = 2.0
    assert bench.knows("bob")


def test_a_file_that_becomes_readable_again_is_used(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root reads everything, so the permission is taken away below."""
    opened = Path.open

    def refuse(path: Path, *args: Any) -> Any:
        if path == bench.path:
            raise PermissionError(13, "Permission denied")
        return opened(path, *args)

    bench.write(person("bob", "mail: bob@example.test"))
    with monkeypatch.context() as without:
        without.setattr(Path, "open", refuse)
        bench.now_s = 1.0
        assert bench.knows("alice")
        with pytest.raises(DirectoryUnavailable, match="Permission denied"):
            bench.pump.wait(bench.directory.probe())
    bench.path.chmod(0o640)
    bench.now_s = 3.0
    assert bench.knows("bob")


def test_a_symbolic_link_is_followed_to_its_new_target(bench: Bench, tmp_path: Path) -> None:
    """As Kubernetes replaces its mounted files."""
    status = bench.path.stat()
    for uid in ("alice", "carol"):
        target = tmp_path / f"{uid}.ldif"
        target.write_text(person(uid, f"mail: {uid}@example.test"))
        os.utime(target, ns=(status.st_mtime_ns, status.st_mtime_ns))
        link = tmp_path / "new"
        link.symlink_to(target)
        link.replace(bench.path)
        bench.now_s += 1.0
        assert bench.knows(uid)


def test_a_broken_file_keeps_the_people_and_says_so_once(bench: Bench, logged: list[str]) -> None:
    bench.write("dn: uid=bob\nthis is no attribute\n")
    for bench.now_s in (1.0, 2.0, 3.0):
        assert bench.knows("alice")
    loud = [event for event in logged if "cannot be used" in event]
    assert len(loud) == 1
    assert "line 2" in loud[0]
    with pytest.raises(DirectoryUnavailable, match="line 2"):
        bench.pump.wait(bench.directory.probe())
    bench.write(person("bob", "mail: bob@example.test"))
    bench.now_s = 10.0
    assert bench.knows("bob")
    assert bench.pump.wait(bench.directory.probe())


@pytest.mark.parametrize("text", ["", "version: 1\n", "dn: x\nobjectClass: printer\n"])
def test_a_file_without_people_never_empties_the_directory(bench: Bench, text: str) -> None:
    bench.write(text)
    bench.now_s = 1.0
    assert bench.knows("alice")
    with pytest.raises(DirectoryUnavailable, match="no people"):
        bench.pump.wait(bench.directory.probe())


def test_a_removed_file_keeps_the_people(bench: Bench, logged: list[str]) -> None:
    bench.path.unlink()
    for bench.now_s in (1.0, 2.0):
        assert bench.knows("alice")
    assert len([event for event in logged if "No such file" in event]) == 1


def test_people_without_entryuuid_keep_their_id(tmp_path: Path, pump: Pump) -> None:
    def id_of(text: str) -> str:
        path = tmp_path / "people.ldif"
        path.write_text(text)
        directory = LdifDirectory(path, call_from_thread=pump.call_from_thread)
        account = pump.wait(directory.find_by_address(ALICE))
        pump.wait(directory.close())
        assert account is not None
        return account.account_id

    first = id_of(person("alice", "mail: alice@example.test"))
    moved = person("Alice", "mail: alice@example.test", "cn: New Name").replace("dc=", "ou=x,dc=")
    assert id_of(moved) == first
    assert id_of(person("alice2", "mail: alice@example.test")) != first


def problems(tmp_path: Path, pump: Pump, data: str | bytes) -> list[str]:
    path = tmp_path / "people.ldif"
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    with pytest.raises(SettingsError) as error:
        LdifDirectory(path, call_from_thread=pump.call_from_thread)
    assert all(problem.source == str(path) for problem in error.value.problems)
    return [f"{problem.key}: {problem.found}" for problem in error.value.problems]


def test_every_mistake_is_reported_with_its_line(tmp_path: Path, pump: Pump) -> None:
    text = "version: 1\n\ndn: uid=a\nuid a\n\nuid: b\n\ndn: uid=c\nuid:: !!\n\ndn: uid=d\n"
    assert problems(tmp_path, pump, text) == [
        "line 4: a line without an attribute name",
        "line 6: uid:",
        "line 9: uid:: without valid base64",
        "line 11: a dn without attributes",
    ]
    assert problems(tmp_path, pump, "version: 2\n")[0].startswith("line 1")
    assert "changetype" in problems(tmp_path, pump, "dn: x\nchangetype: add\nuid: x\n")[0]
    assert "URL" in problems(tmp_path, pump, "dn: x\nphoto:< file:///etc/passwd\n")[0]
    assert "line 4" in problems(tmp_path, pump, "\n\ndn: x\ndn: y\n")[0]


def test_a_missing_file_is_a_mistake_in_the_settings(tmp_path: Path, pump: Pump) -> None:
    with pytest.raises(SettingsError, match="No such file"):
        LdifDirectory(tmp_path / "missing", call_from_thread=pump.call_from_thread)


def test_A9_mistakes_never_show_passwords(tmp_path: Path, pump: Pump) -> None:
    stray = person("a", "userPassword: s3cret\nmore-s3cret")
    cut = "dn: uid=a\nobjectClass: inetOrgPerson\n\nuserPassword: s3cret\n"
    coded = person("a", "userPassword:: s3cret!")
    unknown = person("a", "userPassword: {NEW}s3cret")
    for text in (stray, cut, coded, unknown):
        found = problems(tmp_path, pump, text)
        assert found
        assert "s3cret" not in "".join(found)


def test_unusable_people_are_mistakes(tmp_path: Path, pump: Pump) -> None:
    uuid = "entryUUID: 11111111-2222-3333-4444-555555555555"
    twice = person("a", uuid) + "\n" + person("b", uuid)
    assert "of line 1 again" in problems(tmp_path, pump, twice)[0]
    assert "entryUUID" in problems(tmp_path, pump, person("a", "entryUUID: ../x"))[0]
    nobody = "dn: cn=x\nobjectClass: inetOrgPerson\ncn: x\n"
    assert "no usable uid or mail" in problems(tmp_path, pump, nobody)[0]


def test_a_filter_for_servers_only_is_a_mistake(tmp_path: Path, pump: Pump) -> None:
    path = tmp_path / "people.ldif"
    path.write_text(person("a"))
    schema = replace(OPENLDAP, person=filters.parse("(memberOf:1.2.840.113556.1.4.1941:=cn=staff)"))
    with pytest.raises(SettingsError, match="cannot be evaluated"):
        LdifDirectory(path, call_from_thread=pump.call_from_thread, schema=schema)


def test_other_attributes_and_filters_serve_as_well(tmp_path: Path, pump: Pump) -> None:
    path = tmp_path / "people.ldif"
    path.write_text(
        "dn: cn=x\nkind: worker\nnick: xena\nemail: xena@example.test\nuserPassword: warrior\n"
        "\ndn: cn=y\nkind: guest\nnick: yves\nemail: yves@example.test\nuserPassword: warrior\n"
    )
    schema = replace(
        OPENLDAP,
        person=filters.parse("(kind=worker)"),
        login_attributes=("nick",),
        address_attributes=("email",),
    )
    directory = LdifDirectory(path, call_from_thread=pump.call_from_thread, schema=schema)
    account = pump.wait(directory.authenticate("xena", b"warrior"))
    assert account.primary_address == "xena@example.test"
    assert pump.wait(directory.find_by_address(Address("yves", "example.test"))) is None
    pump.wait(directory.close())


# --- the reader


def values_of(data: bytes) -> dict[str, list[bytes]]:
    (record,) = read_ldif(data, "test")
    return {name: list(values) for name, values in record.entry.attributes.items()}


def test_reads_what_rfc_2849_allows() -> None:
    data = (
        b"\xef\xbb\xbf# comment\n  of two lines\nversion: 1\r\n\r\n\r\ndn:: "
        + base64.b64encode("uid=zoë".encode())
        + b"\r\n# in between\r\nCN: a folded\r\n  value\r\ncn;lang-de: x\ncn:no blank\n"
        b"empty:\nbinary:: AP8=\ntrailing: x \ncolon: a: b\n"
    )
    (record,) = read_ldif(data, "test")
    assert record.entry.dn == "uid=zoë"
    assert values_of(data) == {
        "cn": [b"a folded value", b"no blank"],
        "cn;lang-de": [b"x"],
        "empty": [b""],
        "binary": [b"\x00\xff"],
        "trailing": [b"x "],
        "colon": [b"a: b"],
    }


@given(st.dictionaries(st.sampled_from("abc"), st.lists(st.binary(), min_size=1), min_size=1))
def test_base64_values_come_back_as_they_were(attributes: dict[str, list[bytes]]) -> None:
    lines = [b"dn: x"]
    for name, values in attributes.items():
        for value in values:
            coded = name.encode() + b":: " + base64.b64encode(value)
            lines.append(b"\n ".join(coded[at : at + 7] for at in range(0, len(coded), 7)))
    assert values_of(b"\n".join(lines)) == attributes


@given(st.binary(max_size=300))
def test_any_octets_are_entries_or_mistakes(data: bytes) -> None:
    try:
        read_ldif(data, "test")
    except SettingsError as error:
        assert error.problems


def test_L5_an_address_that_two_people_have_is_told_at_once(tmp_path: Path, pump: Pump) -> None:
    path = tmp_path / "people.ldif"
    path.write_text(
        person("alice", "mail: office@example.test", "mailLocalAddress: alice@example.test")
        + "\n"
        + person("bob", "mail: bob@example.test", "mailLocalAddress: OFFICE@example.test")
    )
    with capturedLogs() as events:
        directory = LdifDirectory(path, call_from_thread=pump.call_from_thread)
    pump.wait(directory.close())
    (told,) = [formatEvent(event) for event in events]
    assert "office@example.test" in told
    assert "alice@example.test" not in told
