"""Mistakes that administrators make in the file: each is named, and no secret is shown."""

from __future__ import annotations

import pytest

from gateway.core.errors import SettingsError
from gateway.core.settings.load import MAX_CHARACTERS, load, load_from

GOOD = """hostname = "mail.example.com"
[domains."example.com"]
aliases = ["example.org"]
[directory]
kind = "ldap"
uri = ["ldaps://dc1.example.com"]
base_dn = "dc=example,dc=com"
bind_dn = "cn=gateway,dc=example,dc=com"
bind_password = "hunter2"
[[listen]]
protocol = "smtp"
address = "127.0.0.1:25"
[tls]
self_signed = true
"""


def no_file(path: str) -> str:
    raise FileNotFoundError(2, "No such file or directory", path)


def problems(text: str) -> list[str]:
    try:
        load(text, source="f", environ={}, read_secret=no_file)
    except SettingsError as error:
        return [str(problem) for problem in error.problems]
    return []


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("[[listen]]", "[listen]", "listen: found a table; expected tables that each begin with"),
        ('[domains."example.com"]', "[domains.example.com]", 'dots: [domains."example.com"]'),
        ('[domains."example.com"]', "[[domains]]", "domains: found a list of tables"),
        ("[directory]", "[[directory]]", "found a list of tables; expected a table that begins"),
        ('"mail.example.com"', "mail.example.com", "f: line 1 (hostname): found Invalid value"),
        ('"mail.example.com"', '"192.0.2.1"', "hostname: found"),
        ('"mail.example.com"', '"m\\u001b[31m"', r'hostname: found "m\x1b[31m"'),
        ("hostname", 'hostname = "a"\nhostname', "line 2 (hostname): found Cannot overwrite"),
        ("hostname", 'state_dir = " "\nhostname', "state_dir: found"),
        (
            "hostname",
            'postmaster = "alice"\nhostname',
            'postmaster: found "alice"; expected a mail',
        ),
        ("self_signed", 'postmaster = "a@b.example"\nself_signed', "above the first [table]"),
        ("self_signed = true", 'self_signed = "yes"', "tls.self_signed: found"),
        ("[tls]\nself_signed = true", "[limits]\nconnections = 0", "found 0; expected a number of"),
        ("base_dn", 'timeout_s = "8s"\nbase_dn', 'timeout_s: found "8s"; expected a number'),
        ('[domains."example.com"]', '[domains."Example.com"]\n[domains."example.com"]', "once"),
        ("[tls]", '[[listen]]\nprotocol = "imap"\naddress = "0.0.0.0:25"\n[tls]', "listen[0] has"),
        (
            "[tls]",
            '[[listen]]\nprotocol = "pop3"\naddress = "0.0.0.0:110"\nerrors = 5\n[tls]',
            "errors: found 5; expected nothing, as pop3 has no such setting",
        ),
        (
            "[tls]",
            '[[listen]]\nprotocol = "smtp"\naddress = "0.0.0.0:26"\nbanner = "grüezi"\n[tls]',
            "expected at most 200 printable ASCII characters",
        ),
    ],
)
def test_a_mistake_is_named_and_the_way_out(old: str, new: str, expected: str) -> None:
    assert old in GOOD
    found = problems(GOOD.replace(old, new, 1))
    assert any(expected in line for line in found), found
    assert all("hunter2" not in line and len(line) < 300 for line in found)


def test_a_mistake_is_told_once() -> None:
    for wrong in ("self_signed = 1", 'self_signed = "true"'):
        assert len(problems(GOOD.replace("self_signed = true", wrong))) == 1
    assert len(problems("tls = true\n" + GOOD.replace("[tls]\nself_signed = true", ""))) == 1


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("[tls]", '[outbound]\nsmart_host = "smtp://me:hunter2@relay.example"\n[tls]'),
        ("ldaps://dc1", "ldaps://me:hunter2@dc1"),
        ("ldaps://dc1", "ldaps://me:hun@hunter2@dc1"),
        ('bind_password = "hunter2"', 'bind_password_file = "hunter2"'),
        ('bind_password = "hunter2"', 'bind_password = "x"\nbind_password_file = "hunter2"'),
        ('bind_password = "hunter2"', 'bind_password "hunter2"'),
        ('bind_password = "hunter2"', "bind_password = hunter2"),
        ('"hunter2"', '["hunter2"]'),
        ("bind_password =", "bind_pasword ="),
        ('[directory]\nkind = "ldap"', '[[directory]]\nbind_password = "hunter2"\nkind = "ldap"'),
    ],
)
def test_no_mistake_shows_a_password(old: str, new: str) -> None:
    assert old in GOOD
    found = problems(GOOD.replace(old, new, 1))
    assert found
    assert all("hunter2" not in line for line in found), found


def test_what_editors_do_is_no_mistake() -> None:
    assert problems("\ufeff" + GOOD) == []
    assert problems(GOOD.replace("\n", "\r\n")) == []
    text = GOOD.replace('bind_password = "hunter2"', 'bind_password_file = "/p"')
    settings = load(text, source="f", environ={}, read_secret=lambda _: "\ufeffs3cret\r\n").settings
    assert settings.directory.bind_password.get_secret_value() == "s3cret"


def test_a_file_that_is_no_configuration_is_refused_in_one_line() -> None:
    for text in ("x" * (MAX_CHARACTERS + 1), "a=" + "[" * 5000):
        (line,) = problems(text)
        assert line.startswith("f: (whole file): found "), line
        assert len(line) < 200


def test_both_ip_versions_of_a_port_stand_side_by_side() -> None:
    extra = '[[listen]]\nprotocol = "smtp"\naddress = "{}"\n'
    text = GOOD.replace("127.0.0.1:25", "0.0.0.0:25").replace("[tls]", extra + "[tls]")
    assert problems(text.format("[::]:25")) == []
    twice = text.replace("[tls]", extra + "[tls]").format("[::1]:25", "[0:0::1]:25")
    assert "listen[2].address" in problems(twice)[0]


def test_what_is_missing_in_the_environment_is_not_said_of_a_file_that_is_not_there() -> None:
    with pytest.raises(SettingsError) as caught:
        load_from(None, {"GATEWAY_HOSTNAME": "mail.example.com"}, no_file)
    assert all(str(p).startswith("environment (there is no") for p in caught.value.problems)
