"""Policies in the settings: every mistake with its full path, and what is in force without any."""

from __future__ import annotations

import pytest

from gateway.core.errors import SettingsError
from gateway.core.settings.load import load
from gateway.core.settings.model import Settings

HEAD = """hostname = "mail.example.com"
[domains."example.com"]
[directory]
kind = "ldif"
path = "people.ldif"
[tls]
self_signed = true
[networks]
office = "10.0.0.0/8"
[[listen]]
protocol = "smtp"
address = "127.0.0.1:25"
"""


def loaded(text: str, environ: dict[str, str] | None = None) -> Settings:
    loaded = load(HEAD + text, source="f", environ=environ or {}, read_secret=lambda _: "")
    return loaded.settings


def problems(text: str) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        loaded(text)
    return [str(problem) for problem in caught.value.problems]


def test_without_any_the_standard_ones_are_in_force() -> None:
    policies = loaded("").policies
    assert set(policies) == {"smtp", "submission", "lmtp"}
    assert [check.check for check in policies["smtp"]] == ["rate"] * 2
    assert all("127.0.0.0/8" in check.exempt for check in policies["smtp"])


def test_one_that_is_written_stands_for_the_standard_one_of_its_name() -> None:
    policies = loaded('[[policies.smtp]]\ncheck = "greylist"\nexempt = "office"\n').policies
    assert [check.check for check in policies["smtp"]] == ["greylist"]
    assert [check.check for check in policies["submission"]] == ["rate"]


def test_the_environment_can_hold_them() -> None:
    environ = {"GATEWAY_POLICIES": '{smtp = [{check = "hello", stage = "sender"}]}'}
    (check,) = loaded("", environ).policies["smtp"]
    assert check.check == "hello" and check.stage == "sender"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            '[[policies.smtp]]\ncheck = "lst"',
            'policies.smtp[0].check: found "lst"; expected one of',
        ),
        ('[[policies.smtp]]\ncheck = "gray"', '"greylist", "sender_domain", "header"'),
        ('[[policies.smtp]]\nof = "ip"', "policies.smtp[0].check: found nothing; expected one of"),
        ('[[policies.smtp]]\ncheck = "greylist"\nwait = 3', 'did you mean "wait_s"?'),
        ('[policies.smtp]\ncheck = "hello"', "tables that each begin with [[policies.smtp]]"),
        ('[[policies]]\ncheck = "hello"', "tables that each begin with [[policies.smtp]]"),
        ('[[policies."a b"]]\ncheck = "hello"', "a name of letters, digits"),
        (
            '[[policies.smtp]]\ncheck = "list"\nof = "ip"\nentries = ["10.0.0.1/8"]',
            "policies.smtp[0].entries: found",
        ),
        ('[[policies.smtp]]\ncheck = "list"\nof = "ip"', "policies.smtp[0].file: found"),
        (
            '[[policies.smtp]]\ncheck = "list"\nof = "sender"\nfile = "x"\nstage = "hello"',
            'policies.smtp[0].stage: found "hello"; expected one of "sender", "recipient"',
        ),
        (
            '[[policies.smtp]]\ncheck = "rate"\nof = "connections"\nper = "person"\nlimit = 1',
            "nobody is logged in yet",
        ),
        (
            '[[policies.smtp]]\ncheck = "dns_list"\nlists = [{zone = "a.test", of = "helo"}]\n'
            'stage = "connect"',
            'policies.smtp[0].stage: found "connect"; expected one of "hello", "sender"',
        ),
        ('[[policies.smtp]]\ncheck = "dns_list"\nlists = []', "1 to 32 lists such as"),
        (
            '[[policies.smtp]]\ncheck = "dns_list"\nlists = [{zone = "a", answers = "10.0.0.1"}]',
            "policies.smtp[0].lists[0].answers: found",
        ),
        ('[[policies.smtp]]\ncheck = "hello"\nexempt = "home"', "policies.smtp[0].exempt: found"),
        ('policy = "edge"', 'listen[0].policy: found "edge"; expected the name of a policy: lmtp,'),
        (
            '[[listen]]\nprotocol = "imap"\naddress = "127.0.0.1:143"\npolicy = "smtp"',
            'listen[1].policy: found "smtp"; expected nothing, as imap has no policies',
        ),
    ],
)
def test_mistakes(text: str, expected: str) -> None:
    assert any(expected in problem for problem in problems(text)), problems(text)
