"""The doctor at a real OpenLDAP: what it finds, what it says to change, and what it never does."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from gateway.core.findings import Outcome
from gateway.directory.ldap.results import Verdict
from tests.directory.doctor.examined import examined, of_slapd
from tests.support.authority import new_authority
from tests.support.ports import free_port
from tests.support.reactor_pump import ReactorPump
from tests.support.slapd import LOCKOUT_THRESHOLD, READER_PASSWORD, SUFFIX, Slapd
from tests.support.slapd_people import PASSWORD, dn_of


def test_all_is_well(pump: ReactorPump, slapd_with_policy: Slapd) -> None:
    slapd = slapd_with_policy
    section = of_slapd(slapd, uri=[slapd.tls_uri, slapd.uri])
    found = examined(pump, section, "anna", PASSWORD.encode())
    assert (found.failed, found.skipped) == ([], [])
    assert found.one("filter").found == "(&(objectClass=inetOrgPerson)(|(uid=anna)(mail=anna)))"
    first, second = found.of("entries")
    assert (first.about, first.found) == (slapd.tls_uri, f"{dn_of('anna')} by uid")
    assert (second.about, second.found) == (slapd.uri, "finds the same entry")
    assert "StartTLS is offered" in found.of("tls")[1].found
    assert "certificate CN=localhost for localhost, 127.0.0.1, issued by CN=Test CA" in found.text
    assert found.of("tls")[0].outcome is Outcome.WARNING  # it ends in two days
    mapping = found.one("mapping").more
    assert "login anna, from uid" in mapping
    assert "address a.schmidt@example.test, from proxyAddresses" in mapping
    assert found.one("password").found == "right"
    assert found.learnt.tried.verdict is Verdict.RIGHT
    assert all(each.took_ms is not None for each in found.steps)
    assert PASSWORD not in found.text and READER_PASSWORD not in found.text


def test_L2_the_filter_is_shown_as_it_is_sent(pump: ReactorPump, slapd: Slapd) -> None:
    found = examined(pump, of_slapd(slapd), "eve)(uid=*")
    escaped = r"eve\29\28uid=\2a"
    wanted = f"(&(objectClass=inetOrgPerson)(|(uid={escaped})(mail={escaped})))"
    assert found.one("filter").found == wanted
    assert found.failed == []


def test_a_wrong_authority(pump: ReactorPump, slapd: Slapd, tmp_path: Path) -> None:
    (tmp_path / "other.pem").write_bytes(new_authority().pem)
    section = of_slapd(slapd, uri=[slapd.tls_uri, slapd.uri], ca_file=str(tmp_path / "other.pem"))
    found = examined(pump, section, "alice")
    assert found.failed == ["tls", "tls"], "the second server is looked at all the same"
    assert "self-signed" in found.of("tls")[0].found or "issuer" in found.of("tls")[0].found
    assert "Test CA" in found.of("tls")[0].advice and "other.pem" in found.of("tls")[0].advice
    assert {"bind", "base", "entries", "mapping"} <= set(found.skipped)
    assert found.one("filter").outcome is Outcome.OK, "it needs no server"
    assert not found.learnt.answered


def test_L7_a_wrong_name(pump: ReactorPump, slapd: Slapd) -> None:
    found = examined(pump, of_slapd(slapd, tls_server_name="dc9.example.test"), "alice")
    tls = found.one("tls")
    assert tls.outcome is Outcome.FAILED
    assert "not for dc9.example.test" in tls.found
    assert "localhost, 127.0.0.1" in tls.advice
    assert any("expected: a certificate for dc9.example.test" in line for line in tls.more)


def test_a_dead_server_hides_nothing(pump: ReactorPump, slapd: Slapd) -> None:
    dead = f"ldaps://127.0.0.1:{free_port()}"
    found = examined(pump, of_slapd(slapd, uri=[dead, slapd.tls_uri]), "alice")
    assert found.failed == ["tcp"]
    assert "nothing listens on this port" in found.of("tcp")[0].advice
    assert {each.about for each in found.steps if each.outcome is Outcome.SKIPPED} == {dead}
    assert found.learnt.account is not None and found.learnt.account.login == "alice"


def test_a_name_without_address(pump: ReactorPump, slapd: Slapd) -> None:
    found = examined(pump, of_slapd(slapd, uri="ldaps://nobody.invalid"), "alice")
    assert found.failed == ["dns"]
    assert found.one("dns").advice


def test_a_silent_server_is_given_up(pump: ReactorPump, slapd: Slapd) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        uri = f"ldap://127.0.0.1:{silent.getsockname()[1]}"
        section = of_slapd(slapd, uri=uri, start_tls=False, ca_file="", timeout_s=0.3)
        found = examined(pump, section, "alice")
    assert found.failed[0] == "root dse"
    assert "no answer in" in found.one("root dse").found
    assert not found.learnt.answered


def test_L22_a_refused_service_account_is_tried_once(pump: ReactorPump, slapd: Slapd) -> None:
    section = of_slapd(slapd, uri=[slapd.tls_uri, slapd.uri], bind_password="wrong-secret")
    found = examined(pump, section, "alice")
    first, second = found.of("bind")
    assert "the service account was refused: wrong password" in first.found
    assert "directory.bind_dn" in first.advice
    assert "not tried again yet, as that would lock the account" in second.found
    assert "wrong-secret" not in found.text


def test_a_wrong_base(pump: ReactorPump, slapd: Slapd) -> None:
    found = examined(pump, of_slapd(slapd, base_dn="dc=elsewhere,dc=test"), "alice")
    assert found.failed == ["base"]
    assert SUFFIX in found.one("base").found


def test_the_wrong_preset(pump: ReactorPump, slapd: Slapd) -> None:
    found = examined(pump, of_slapd(slapd, preset="freeipa"), "alice")
    assert found.one("root dse").outcome is Outcome.WARNING
    assert 'directory.preset = "openldap"' in found.one("root dse").advice


def test_L5_several_with_one_login(pump: ReactorPump, slapd: Slapd) -> None:
    found = examined(pump, of_slapd(slapd), "twin@example.test")
    entries = found.one("entries")
    assert entries.found == "2 entries have this login, so nobody gets it"
    assert [line.partition(",")[0] for line in entries.more] == ["uid=twin1", "uid=twin2"]
    assert all(line.endswith("by mail") for line in entries.more)
    assert found.learnt.known and found.learnt.account is None


@pytest.mark.parametrize(
    ("login", "told"),
    [
        ("nobody", "nobody has this login"),
        ("Alice Person", "uid=alice,ou=people,dc=example,dc=test has it as cn"),
        ("printer@example.test", "no person: cn=printer,ou=people,dc=example,dc=test"),
    ],
)
def test_why_nobody_is_found(pump: ReactorPump, slapd: Slapd, login: str, told: str) -> None:
    found = examined(pump, of_slapd(slapd), login)
    assert found.failed == ["entries"]
    assert told in found.text
    assert found.learnt.answered and not found.learnt.known


@pytest.mark.parametrize(
    ("login", "step", "words"),
    [
        ("bert", "state", "disabled: locked by an administrator (pwdAccountLockedTime)"),
        ("dora", "state", "may not log in for now: the password must be changed first (pwdReset)"),
        ("fred", "password", "the password has expired"),
        ("emil", "lockout", "the directory locks at 3 failures; it counts 3 failures now"),
    ],
)
def test_accounts_that_may_not(
    pump: ReactorPump, slapd_with_policy: Slapd, login: str, step: str, words: str
) -> None:
    found = examined(pump, of_slapd(slapd_with_policy), login, PASSWORD.encode())
    (told,) = found.of(step)
    assert (told.outcome, told.found) == (Outcome.FAILED, words)
    assert told.advice
    assert found.learnt.tried.verdict is Verdict.WRONG


def test_L22_the_failure_that_would_lock_is_not_made(
    pump: ReactorPump, slapd_with_policy: Slapd
) -> None:
    slapd = slapd_with_policy
    for _ in range(LOCKOUT_THRESHOLD - 1):
        assert slapd.bind_as(dn_of("anna"), "wrong")
    found = examined(pump, of_slapd(slapd), "anna", b"wrong too")
    assert found.one("password").outcome is Outcome.SKIPPED
    assert "one more failure locks the account (2 of 3)" in found.one("password").found
    assert slapd.bind_as(dn_of("anna"), PASSWORD) == ""


def test_without_a_password_nobody_binds(pump: ReactorPump, slapd_with_policy: Slapd) -> None:
    found = examined(pump, of_slapd(slapd_with_policy), "anna")
    assert found.of("password") == []
    assert found.learnt.tried.verdict is None


def test_groups_direct_and_through_others(pump: ReactorPump, slapd: Slapd) -> None:
    groups = examined(pump, of_slapd(slapd), "bob").one("groups")
    assert groups.outcome is Outcome.OK
    assert "Unique <unique@example.test>, directly" in groups.more
    assert "Everyone <everyone@example.test>, through another group" in groups.more
