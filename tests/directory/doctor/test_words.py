"""The doctor's words where no server is needed: certificates, mapping, state, file, verdict."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from pathlib import Path

import pytest

from gateway.core.account import Account
from gateway.core.findings import Outcome
from gateway.core.ids import AccountId
from gateway.core.ports.may_ask import Lockout, PasswordState
from gateway.core.ports.services import ServiceHost, Services
from gateway.core.settings.directory import DirectorySettings
from gateway.core.settings.model import Settings
from gateway.directory.doctor.by_file import InFile
from gateway.directory.doctor.certificates import advice_for, shown_by
from gateway.directory.doctor.mapping import mapped
from gateway.directory.doctor.names import discovered
from gateway.directory.doctor.person import Asked, Learnt
from gateway.directory.doctor.standing import Tried, state_told
from gateway.directory.doctor.step import Look, Step
from gateway.directory.doctor.verdict import Kept, conclude
from gateway.directory.entries import Entry, account_from
from gateway.directory.ldap.opening import Place, Security
from gateway.directory.ldap.results import Verdict
from gateway.directory.ldap.settings import LdapSettings
from gateway.directory.ldap.tls import Protection, Shown
from gateway.directory.presets.openldap import OPENLDAP
from tests.support.reactor_pump import ReactorPump

DC1 = ServiceHost(10, 100, 389, "dc1.ad.test")
DC2 = ServiceHost(0, 100, 389, "dc2.ad.test")
THIEF = ServiceHost(0, 100, 389, "thief.test")
NOW = datetime.datetime(2026, 6, 1, tzinfo=datetime.UTC)
ALICE = Account(AccountId("a"), "alice", "alice@example.test", ("alice@example.test",))
SECTION = DirectorySettings.model_validate({"kind": "ldap", "ca_file": "/etc/ca.pem"})


def look(name: str = "x") -> Look:
    return Look(name, "", lambda: 0.0)


def shown(days: int, *names: str, issuer: str = "CN=CA") -> Shown:
    return Shown("CN=dc1", issuer, names, NOW, NOW + datetime.timedelta(days=days, hours=1))


def person(**attributes: str | list[str]) -> Entry:
    every = {"entryUUID": "u-1", "uid": "alice", "mail": "alice@example.test", **attributes}
    octets = {}
    for name, value in every.items():
        values = [value] if isinstance(value, str) else value
        octets[name.lower()] = tuple(each.encode() for each in values)
    return Entry("uid=alice,dc=test", octets)


# -- certificates


@pytest.mark.parametrize(
    ("days", "words", "soon"),
    [(400, "ends in 400 days", False), (20, "ends in 20 days", True), (-3, "ended 3 days", True)],
)
def test_when_certificates_end(days: int, words: str, soon: bool) -> None:
    told = shown_by(Protection("TLSv1.3", "x", (shown(days, "dc1.test"),)), NOW)
    assert words.split()[0] in told.ends and told.ends_soon is soon
    assert "CN=dc1 for dc1.test, issued by CN=CA" in told.lines[0]


@pytest.mark.parametrize(
    ("reason", "problem", "names", "advice"),
    [
        ("x", "the certificate is not for dc.test: y", ("a.test",), "as one of a.test"),
        ("x", "the certificate is not for dc.test: y", (), "with dc.test as subjectAltName"),
        ("x", "the certificate has expired: y", ("dc.test",), "renew the server's certificate"),
        ("x", "the certificate is not for servers", ("dc.test",), "of CN=CA into /etc/ca.pem"),
        ("x", "the issuer of the certificate is not known", ("dc.test",), "into /etc/ca.pem"),
        ("StartTLS was refused: result code 2", "", (), "or use ldaps://"),
        ("the connection was lost", "", (), "the server must offer StartTLS there"),
    ],
)
def test_what_to_do_about_tls(
    reason: str, problem: str, names: tuple[str, ...], advice: str
) -> None:
    place = Place("ldap://dc.test", "dc.test", 389, Security.START_TLS, "dc.test")
    protection = Protection(chain=(shown(9, *names),) if problem else (), problem=problem)
    assert advice in advice_for(reason, protection, place, SECTION)


# -- DNS


class Dns:
    """Implements FindsServices."""

    def __init__(self, names: Mapping[str, Services]) -> None:
        self._names = names

    async def services(self, name: str) -> Services:
        return self._names.get(name, Services(True))


@pytest.mark.parametrize(
    ("site", "answer", "outcome", "words"),
    [
        ("berlin", Services(True, (DC1, DC2), 60), Outcome.OK, "ldap://dc2.ad.test, ldap://dc1"),
        ("", Services(True, (DC1, THIEF), 60), Outcome.WARNING, "left out: thief.test"),
        ("", Services(True), Outcome.FAILED, "DNS names no server of ad.test"),
        ("", Services(False, why="no answer from 192.0.2.1"), Outcome.FAILED, "no answer from"),
    ],
)
def test_servers_by_dns(
    pump: ReactorPump, site: str, answer: Services, outcome: Outcome, words: str
) -> None:
    settings = LdapSettings((), "dc=ad,dc=test", domain="ad.test", site=site, start_tls=True)
    prefixes = ("dc", f"{site}._sites.dc")
    names = {f"_ldap._tcp.{prefix}._msdcs.ad.test": answer for prefix in prefixes}
    _, step = pump.wait(discovered(settings, Dns(names), pump.reactor))
    assert (step.outcome, words in step.found) == (outcome, True), step.found
    if site:
        line = "_ldap._tcp.berlin._sites.dc._msdcs.ad.test (site berlin): dc1.ad.test port 389"
        assert f"{line}, priority 10, weight 100" in step.more


# -- the entry


def test_what_gives_what_and_what_is_not_used() -> None:
    entry = person(
        mail=["alice@example.test", "not an address"],
        mailAlternateAddress="a@other.test",
        proxyAddresses=["SMTP:first@example.test", "X400:c=DE"],
        mailQuota="lots",
        userPassword="secret-in-the-entry",
    )
    account, step = mapped(entry, OPENLDAP, {}, frozenset(("example.test",)), look())
    assert account is not None and account.primary_address == "first@example.test"
    assert step.outcome is Outcome.WARNING and "quota 'lots' is not understood" in step.found
    assert "primary address first@example.test, from proxyAddresses" in step.more
    assert "address a@other.test, from mailAlternateAddress" in step.more
    assert "not used: 'not an address' of mail: no mail address" in step.more
    kind = "of the kind 'X400', which is no mail address"
    assert f"not used: 'X400:c=DE' of proxyAddresses: {kind}" in step.more
    assert "secret-in-the-entry" not in str(step)


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"mail": []}, "no mail comes to this person"),
        ({"mail": "a@elsewhere.test"}, "no address in a domain of ours"),
        ({"entryUUID": []}, "the entry cannot be used: no usable entryUUID"),
    ],
)
def test_entries_of_little_use(changes: dict[str, str | list[str]], found: str) -> None:
    _, step = mapped(person(**changes), OPENLDAP, {}, frozenset(("example.test",)), look())
    assert found in step.found and step.advice


def test_a_state_with_its_end() -> None:
    entry = person(pwdEndTime="20500101000000Z")
    step = state_told(entry, account_from(entry, OPENLDAP), OPENLDAP, look())
    assert step.outcome is Outcome.OK
    assert "will hold from 2050-01-01 00:00 UTC: the account has expired" in step.more[0]


# -- a file

PEOPLE = """\
dn: uid=alice,dc=test
objectClass: inetOrgPerson
uid: alice
mail: alice@example.test
userPassword: wonderland

dn: uid=bob,dc=test
objectClass: inetOrgPerson
uid: bob
mail: bob@example.test
"""


def in_file(
    pump: ReactorPump, path: Path, login: str, password: bytes | None = None
) -> tuple[Learnt, dict[str, Step]]:
    steps: list[Step] = []
    section = DirectorySettings.model_validate({"kind": "ldif", "path": str(path)})
    asked = Asked(login, frozenset(("example.test",)), password)
    doctor = InFile("", section, OPENLDAP, reactor=pump.reactor, tell=steps.append)
    return pump.wait(doctor.ask(asked)), {each.name: each for each in steps}


def test_people_of_a_file(pump: ReactorPump, tmp_path: Path) -> None:
    path = tmp_path / "people.ldif"
    path.write_text(PEOPLE)
    learnt, steps = in_file(pump, path, "alice", b"wonderland")
    assert learnt.tried.verdict is Verdict.RIGHT
    assert steps["password form"].found == "kept in clear"
    assert "wonderland" not in str(steps)
    learnt, steps = in_file(pump, path, "alice", b"guess")
    assert (learnt.tried.verdict, steps["password"].found) == (Verdict.WRONG, "wrong password")
    learnt, steps = in_file(pump, path, "bob")
    assert steps["password form"].found == "the entry has no password"
    assert learnt.tried.verdict is Verdict.WRONG
    learnt, steps = in_file(pump, path, "carol")
    assert learnt.answered and steps["entries"].found == "nobody has this login"


def test_a_file_that_cannot_be_used(pump: ReactorPump, tmp_path: Path) -> None:
    learnt, steps = in_file(pump, tmp_path / "missing.ldif", "alice")
    assert "No such file" in steps["file"].found and steps["file"].outcome is Outcome.FAILED
    assert steps["state"].outcome is Outcome.SKIPPED and not learnt.answered


# -- what it comes to


def settings(**more: object) -> Settings:
    return Settings.model_validate(
        {
            "hostname": "mail.example.test",
            "domains": {"example.test": {}},
            "directory": {"kind": "ldif", "path": "x"},
            "tls": {"self_signed": True},
            "listen": [{"protocol": "imap", "address": "127.0.0.1:1143"}],
            **more,
        }
    )


LOCKED = PasswordState(failures=3, lockout=Lockout(3, 60.0))
ONLY: dict[str, object] = {"app_passwords": {"only": True, "exempt": ["192.0.2.0/24"]}}


@pytest.mark.parametrize(
    ("learnt", "kept", "would", "why"),
    [
        (Learnt("", True, True, ALICE), Kept(), True, "with the right password; none was tried"),
        (Learnt("", True, why_not="nobody"), Kept(), False, "nobody"),
        (Learnt("", False, why_not="down"), Kept(), False, "nothing that is kept"),
        (Learnt("", False, why_not="down"), Kept(outage_ok=True), True, "worked last"),
        (Learnt("", True, True, ALICE, state=LOCKED), Kept(), False, "has locked the account"),
        (Learnt("", True, True, ALICE), Kept(paused="not asked now"), False, "not asked now"),
        (
            Learnt("", True, True, ALICE, tried=Tried(Verdict.WRONG, "wrong password")),
            Kept(),
            False,
            "wrong password",
        ),
        (Learnt("", True, True, ALICE, tried=Tried(Verdict.NONE)), Kept(), False, "no verdict"),
        (
            Learnt("", True, True, ALICE, tried=Tried(Verdict.RIGHT)),
            Kept(),
            True,
            "the password is right",
        ),
    ],
)
def test_would_log_in(learnt: Learnt, kept: Kept, would: bool, why: str) -> None:
    (said,) = conclude(learnt, settings(), kept, protocol="", ip="")
    assert (said.protocol, said.would) == ("imap", would)
    assert why in said.why


@pytest.mark.parametrize(
    ("apps", "ip", "would", "why"),
    [
        ([["imap"]], "198.51.100.7", True, "with the app password (1)"),
        ([[], ["imap"]], "", True, "with one of the app passwords (2)"),
        ([["pop3"]], "", False, "there is none for imap"),
        ([], "192.0.2.9", True, "with the right password"),
        (None, "", False, "nobody could say"),
    ],
)
def test_where_only_app_passwords_are_taken(
    apps: list[list[str]] | None, ip: str, would: bool, why: str
) -> None:
    learnt = Learnt("", True, True, ALICE)
    (said,) = conclude(learnt, settings(**ONLY), Kept(apps), protocol="", ip=ip)
    assert said.would is would and why in said.why


def test_protocols_that_nobody_listens_for() -> None:
    (said,) = conclude(Learnt("", True, True, ALICE), settings(), Kept(), protocol="pop3", ip="")
    assert not said.would and said.why == "nobody listens for pop3"
