"""``gateway doctor`` as administrators use it: lines, --json, --bundle, exit statuses."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.cli.test_commands import call
from tests.directory.contract import PEOPLE
from tests.store.house import House
from tests.support.slapd import READER_DN, READER_PASSWORD, SUFFIX, Slapd

FILE = """\
dn: uid=alice,dc=other,dc=test
objectClass: inetOrgPerson
uid: alice
cn: Alice Other
mail: alice@other.test
userPassword: wonderland

dn: uid=omar,dc=other,dc=test
objectClass: inetOrgPerson
uid: omar
mail: omar@other.test
userPassword: wonderland
"""


@pytest.fixture(scope="module")
def slapd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slapd]:
    server = Slapd(tmp_path_factory.mktemp("slapd"), PEOPLE)
    server.start()
    yield server
    server.stop()


@dataclass(frozen=True)
class Answer:
    status: int
    text: str
    trouble: str

    @property
    def json(self) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self.text)
        return answer

    def steps(self, name: str) -> list[dict[str, Any]]:
        return [each for each in self.json["steps"] if each["step"] == name]


Run = Callable[..., Answer]

SECRETS = """
[outbound]
smart_host = "smtps://user@smart.test:465"
smart_host_password = "very-secret-1"
[outbound.senders."@shop.test"]
smart_host = ["smtps://shop@relay.test:465"]
[outbound.logins."shop@relay.test:465"]
password = "very-secret-2"
[oauth]
introspection_url = "https://issuer.test/introspect"
issuer = "https://issuer.test"
client_id = "gateway"
client_secret = "very-secret-3"
"""


@pytest.fixture
def run(
    slapd: Slapd,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Run:
    (tmp_path / "people.ldif").write_text(FILE)
    (tmp_path / "gateway.toml").write_text(
        f"""
hostname = "mail.example.test"
state_dir = "{tmp_path}/state"
[domains."example.test"]
[domains."other.test"]
[tls]
self_signed = true
[[listen]]
protocol = "imap"
address = "127.0.0.1:1143"
[directory]
kind = "ldap"
uri = "{slapd.tls_uri}"
base_dn = "{SUFFIX}"
bind_dn = "{READER_DN}"
bind_password = "{READER_PASSWORD}"
ca_file = "{slapd.ca_file}"
[directories."branch"]
kind = "ldif"
path = "{tmp_path}/people.ldif"
domains = ["other.test"]
"""
    )

    def doctor(*arguments: str) -> Answer:
        config = str(tmp_path / "gateway.toml")
        status = call(monkeypatch, "doctor", *arguments, "--config", config)
        said = capsys.readouterr()
        return Answer(status, said.out, said.err)

    return doctor


def test_a_line_a_step_and_what_it_comes_to(run: Run) -> None:
    answer = run("alice")
    assert answer.status == 0, answer.text
    names = {line[8:22].strip() for line in answer.text.splitlines() if line[:1] in "owfs"}
    assert {"tcp", "tls", "root dse", "bind", "base", "filter", "entries", "mapping"} <= names
    assert {"state", "lockout", "groups", "picture", "gateway", "kept"} <= names
    assert "directory, then branch: a bare name may be anybody's" in answer.text
    assert "not asked, as directory comes first and has the login" in answer.text
    assert "skipped kept" in answer.text, "there is no store yet"
    assert "by imap, alice would log in: with the right password" in answer.text


def test_a_password_is_tried_once_and_never_shown(run: Run, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("dave-wrong-secret\nmore\n")
    answer = run("bob", "--password-file", str(tmp_path / "password"), "--json")
    assert answer.status == 1
    assert "counts there towards its lock-out" in answer.trouble
    (step,) = answer.steps("password")
    assert step["found"] == "wrong password"
    assert "dave-wrong-secret" not in answer.text + answer.trouble


def test_by_domain_and_by_name_of_the_directory(run: Run) -> None:
    answer = run("alice@other.test", "--json")
    assert answer.json["directory"] == "branch" and answer.json["would_log_in"]
    assert answer.steps("mapping")[0]["facts"]["name"] == "Alice Other"
    answer = run("omar", "--json")
    assert answer.json["directory"] == "branch", "nobody in the first one has it"
    assert run("alice", "--directory", "branch", "--json").json["directory"] == "branch"
    answer = run("omar", "--directory", "directory", "--json")
    assert answer.status == 1 and not answer.json["would_log_in"]


def test_what_the_gateway_keeps(run: Run, tmp_path: Path) -> None:
    with House(tmp_path / "state"):
        pass
    answer = run("alice", "--json", "--protocol", "imap", "--ip", "192.0.2.7")
    assert answer.steps("app passwords")[0]["found"] == "no app password"
    assert "no password is kept for outages" in answer.steps("outage")[0]["found"]
    assert answer.steps("throttle")[0]["outcome"] == "skipped", "no gateway runs"
    assert answer.steps("refusals")[0]["found"] == "none lately"


def test_mistakes_on_the_command_line(run: Run, tmp_path: Path) -> None:
    (tmp_path / "there").write_text("precious")
    for arguments, told in (
        (("--ip", "nowhere"), "expected an IPv4 or IPv6 address"),
        (("--with-names",), "goes with --bundle"),
        (("--directory", "lost"), "there is directory, branch"),
        (("--bundle", str(tmp_path / "there")), "is not overwritten"),
        (("--bundle", str(tmp_path / "no" / "such")), "no such folder"),
        (("--password-prompt", "--password-file", "x"), "two ways to one password"),
    ):
        answer = run("alice", *arguments)
        assert answer.status == 2 and told in answer.trouble
    assert (tmp_path / "there").read_text() == "precious"


def contents(path: Path) -> dict[str, str]:
    with tarfile.open(path) as tar:
        files = {member.name.partition("/")[2]: tar.extractfile(member) for member in tar}
        return {
            name: io.TextIOWrapper(file, "utf-8").read()
            for name, file in files.items()
            if file is not None
        }


def test_A9_a_bundle_without_secrets_and_names(run: Run, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("my-typed-secret\n")
    bundle = tmp_path / "bundle.tar.gz"
    answer = run(
        *("alice@example.test", "--bundle", str(bundle)),
        *("--password-file", str(tmp_path / "password")),
    )
    assert answer.status == 1
    assert bundle.stat().st_mode & 0o777 == 0o600
    found = contents(bundle)
    assert set(found) == {
        *("README", "doctor.json", "configuration.json", "status.json"),
        *("root-dse.json", "schema.json", "system.json"),
    }
    assert "passwords and other secrets" in found["README"]
    doctor = json.loads(found["doctor.json"])
    assert doctor["login"] == "person-1@domain-1"
    everything = "\n".join(found.values()).lower()
    # The folder of this test has names in it that paths may show.
    everything = everything.replace(str(tmp_path).lower(), "")
    for secret in ("my-typed-secret", READER_PASSWORD, "wonderland"):
        assert secret not in everything
    for name in ("alice", "liddell", "example.test", "other.test", "dc=example", "cn=gateway"):
        assert name not in everything, name
    assert "11111111-2222-3333-4444-000000000001" not in everything
    assert '"(hidden)"' in found["configuration.json"]
    more = {line for step in doctor["steps"] for line in step["more"]}
    kind = "of the kind 'X400', which is no mail address"
    assert f"not used: a value of proxyAddresses: {kind}" in more
    assert "primary address person-1@domain-1, from mail" in more


def test_A9_a_bundle_has_no_secret_of_the_configuration(run: Run, tmp_path: Path) -> None:
    config = tmp_path / "gateway.toml"
    config.write_text(config.read_text() + SECRETS)
    bundle = tmp_path / "bundle.tar.gz"
    assert run("alice", "--with-names", "--bundle", str(bundle)).status == 0
    found = contents(bundle)
    shown = {each["key"]: each["value"] for each in json.loads(found["configuration.json"])}
    hidden = {key for key, value in shown.items() if value == "(hidden)"}
    assert hidden == {
        "directory.bind_password",
        "oauth.client_secret",
        "outbound.smart_host_password",
        'outbound.logins."shop@relay.test:465".password',
    }
    assert "very-secret" not in "\n".join(found.values())


def test_a_bundle_is_never_written_through_a_link(run: Run, tmp_path: Path) -> None:
    (tmp_path / "bundle.tar.gz").symlink_to(tmp_path / "elsewhere")
    assert run("alice", "--bundle", str(tmp_path / "bundle.tar.gz")).status == 2
    assert not (tmp_path / "elsewhere").exists()


def test_a_bundle_with_names(run: Run, tmp_path: Path) -> None:
    bundle = tmp_path / "bundle.tar.gz"
    assert run("alice", "--bundle", str(bundle), "--with-names").status == 0
    found = contents(bundle)
    assert json.loads(found["doctor.json"])["login"] == "alice"
    assert "uid=alice" in found["doctor.json"]
    assert READER_PASSWORD not in "\n".join(found.values())
