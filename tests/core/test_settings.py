"""Settings: everything validated at once, with path, finding and expectation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NoReturn

import pytest

from gateway.core.errors import SettingsError
from gateway.core.settings.load import Loaded, load
from gateway.core.settings.show import HIDDEN, effective

GOOD = """
hostname = "mail.example.com"
[domains."example.com"]
aliases = ["example.org"]
[domains."plant.example.com"]
relay = "smtp://exchange.example.com:25"
[directory]
kind = "ldap"
uri = ["ldaps://dc1.example.com", "ldaps://dc2.example.com"]
base_dn = "dc=example,dc=com"
bind_dn = "cn=gateway,ou=services,dc=example,dc=com"
bind_password_file = "/run/secrets/ldap"
ca_file = "/etc/ssl/corp-ca.pem"
[[listen]]
protocol = "smtp"
address = "0.0.0.0:25"
[tls]
certificate = "/etc/gateway/tls/fullchain.pem"
key = "/etc/gateway/tls/key.pem"
"""


def no_file(path: str) -> NoReturn:
    raise FileNotFoundError(2, "No such file or directory", path)


def loaded(text: str | None, environ: Mapping[str, str] | None = None) -> Loaded:
    return load(
        text, source="gateway.toml", environ=environ or {}, read_secret=lambda _: "s3cret\n"
    )


def problems(text: str, environ: Mapping[str, str] | None = None) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load(text, source="gateway.toml", environ=environ or {}, read_secret=no_file)
    return [str(problem) for problem in caught.value.problems]


def test_the_contracts_example_loads() -> None:
    settings = loaded(GOOD).settings
    assert settings.domains["plant.example.com"].relay == ("smtp://exchange.example.com:25",)
    assert settings.directory.uri == ("ldaps://dc1.example.com", "ldaps://dc2.example.com")
    assert settings.listen[0].tls == "starttls"


def test_a_secret_comes_from_its_file_and_is_never_shown() -> None:
    result = loaded(GOOD)
    assert result.settings.directory.bind_password.get_secret_value() == "s3cret"
    shown = {item.key: item for item in effective(result)}
    assert shown["directory.bind_password"].value == HIDDEN
    assert shown["directory.bind_password"].origin == "file /run/secrets/ldap"
    assert "s3cret" not in repr(result) + str(list(effective(result)))


def test_five_mistakes_give_five_lines() -> None:
    text = (
        GOOD.replace("hostname", "hostnme")
        .replace('"smtp"', '"smpt"')
        .replace('"0.0.0.0:25"', '"25"')
        .replace('kind = "ldap"', 'kind = "ldap"\nbind_password_fil = "x"')
        .replace("bind_password_file", "timeout_s = -1 #")
    )
    found = problems(text.replace('bind_dn = "cn=gateway,ou=services,dc=example,dc=com"', ""))
    keys = sorted(line.split(": ")[1] for line in found)
    assert keys == [
        "directory.bind_password_fil",
        "directory.timeout_s",
        "hostname",
        "hostnme",
        "listen[0].address",
        "listen[0].protocol",
    ]
    assert any('did you mean "hostname"' in line for line in found)


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ('hostname = "mail.example.com"', "hostname = 5", "hostname: found 5; expected text"),
        ('aliases = ["example.org"]', 'aliases = "x"', "aliases: found"),
        ('relay = "smtp://exchange.example.com:25"', 'relay = "exchange"', "relay[0]: found"),
        ('kind = "ldap"', 'kind = "ad"', 'directory.kind: found "ad"; expected "ldap" or "ldif"'),
        ('base_dn = "dc=example,dc=com"', "", "directory.base_dn: found nothing"),
        ('"dc=example,dc=com"', '"example.com"', "directory.base_dn: found"),
        ('certificate = "/etc/gateway/tls/fullchain.pem"', "", "tls.certificate: found nothing"),
        ('aliases = ["example.org"]', 'aliases = ["plant.example.com"]', "used elsewhere"),
        ('address = "0.0.0.0:25"', 'address = "localhost:25"', "an IP address and port"),
        ('address = "0.0.0.0:25"', 'address = "0.0.0.0:70000"', "an IP address and port"),
        ('hostname = "mail', 'workers = 65\nhostname = "mail', 'found 65; expected "auto" or a'),
        ('hostname = "mail', 'workers = true\nhostname = "mail', 'found true; expected "auto"'),
    ],
)
def test_each_mistake_names_its_key(old: str, new: str, line: str) -> None:
    assert old in GOOD
    found = problems(GOOD.replace(old, new))
    assert any(line in each for each in found), found


def test_a_missing_secret_file_is_named_but_not_read_aloud() -> None:
    assert problems(GOOD) == [
        "gateway.toml: directory.bind_password_file: "
        'found "/run/secrets/ldap" (No such file or directory); expected a readable file'
    ]


def test_broken_toml_says_where() -> None:
    (line,) = problems("hostname = \n")
    assert "line 1" in line


def test_a_mistyped_password_is_not_shown() -> None:
    text = GOOD.replace('bind_password_file = "/run/secrets/ldap"', "bind_password = 123456")
    assert all("123456" not in line for line in problems(text))


def test_the_environment_wins_over_the_file_and_says_so() -> None:
    result = loaded(GOOD, {"GATEWAY_DIRECTORY__URI": "ldap://a.example, ldap://b.example"})
    assert result.settings.directory.uri == ("ldap://a.example", "ldap://b.example")
    shown = {item.key: item.origin for item in effective(result)}
    assert shown["directory.uri"] == "environment GATEWAY_DIRECTORY__URI"
    assert shown["listen[0].address"] == "gateway.toml"
    assert shown["limits.recipients"] == "default"


def test_the_environment_alone_is_enough() -> None:
    environ = {
        "GATEWAY_HOSTNAME": "mail.example.com",
        "GATEWAY_DOMAINS": "example.com,example.org",
        "GATEWAY_DIRECTORY__KIND": "ldap",
        "GATEWAY_DIRECTORY__URI": "ldaps://ldap.example.com",
        "GATEWAY_DIRECTORY__BASE_DN": "dc=example,dc=com",
        "GATEWAY_DIRECTORY__BIND_PASSWORD_FILE": "/run/secrets/ldap",
        "GATEWAY_TLS__SELF_SIGNED": "true",
        "GATEWAY_LISTEN": '[{protocol = "smtp", address = "0.0.0.0:25"}]',
        "GATEWAY_PORT_25_TCP": "tcp://10.0.0.1:25",
    }
    settings = loaded(None, environ).settings
    assert sorted(settings.domains) == ["example.com", "example.org"]
    assert settings.tls.self_signed
    assert len(settings.listen) == 1


def test_standard_ports_are_the_default() -> None:
    text = GOOD.replace('[[listen]]\nprotocol = "smtp"\naddress = "0.0.0.0:25"\n', "")
    ports = [listen.address.rpartition(":")[2] for listen in loaded(text).settings.listen]
    assert {"25", "587", "465", "110", "995", "143", "993"} <= set(ports)


def test_an_unknown_variable_is_refused_by_name() -> None:
    (line,) = problems(
        GOOD.replace('bind_password_file = "/run/secrets/ldap"', 'bind_password = "x"'),
        {"GATEWAY_DIRECTORY__URL": "ldap://x.example"},
    )
    assert "GATEWAY_DIRECTORY__URL" in line
