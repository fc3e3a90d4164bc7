"""The doctor at a real domain controller of Active Directory (Samba's)."""

from __future__ import annotations

import pytest

from gateway.core.findings import Outcome
from gateway.directory.ldap.results import Verdict
from tests.directory.doctor.examined import examined, of_samba
from tests.support.reactor_pump import ReactorPump
from tests.support.samba_ad import SambaAd
from tests.support.samba_people import PASSWORD


@pytest.mark.parametrize(
    ("login", "attribute"),
    [
        ("gina", "sAMAccountName"),
        ("g.weber@corp.example.test", "userPrincipalName"),
        ("EXAMPLE\\gina", "sAMAccountName"),
        ("gina@example.test", "mail"),
    ],
)
def test_by_every_name(pump: ReactorPump, samba_ad: SambaAd, login: str, attribute: str) -> None:
    found = examined(pump, of_samba(samba_ad), login, PASSWORD.encode())
    assert found.failed == [], found.text
    assert found.one("entries").found.endswith(f"by {attribute}")
    assert found.learnt.tried.verdict is Verdict.RIGHT
    assert "people may log in as EXAMPLE\\user" in found.one("domain").found


def test_locked_disabled_and_expired(pump: ReactorPump, samba_ad: SambaAd) -> None:
    section = of_samba(samba_ad)
    locked = examined(pump, section, "emil", PASSWORD.encode())
    assert "locked after failed logins (lockoutTime)" in locked.one("state").found
    assert locked.one("lockout").outcome is Outcome.FAILED
    assert locked.one("password").found.startswith("the directory has locked the account")
    disabled = examined(pump, section, "bert")
    assert "disabled by an administrator" in disabled.one("state").found
    expired = examined(pump, section, "cleo", PASSWORD.encode())
    assert "the account has expired (accountExpires)" in expired.one("state").found
    assert expired.one("password").found == "the account has expired"


def test_addresses_and_why_some_are_none(pump: ReactorPump, samba_ad: SambaAd) -> None:
    mapping = examined(pump, of_samba(samba_ad), "anna").one("mapping").more
    assert "primary address anna.schmidt@example.test, from proxyAddresses, mail" in mapping
    assert "address a.schmidt@example.org, from proxyAddresses" in mapping
    ignored = [line for line in mapping if line.startswith("not used")]
    assert len(ignored) == 2 and "SIP" in ignored[0] and "X400" in ignored[1]
    assert not any("private.test" in line for line in mapping)
