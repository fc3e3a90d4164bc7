"""An LDIF file of people who forward by entry, and whose accounts end; group members likewise."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from gateway.core.account import Elsewhere
from gateway.core.address import Address
from gateway.core.errors import WrongCredentials
from gateway.core.login_reasons import LoginReason
from gateway.directory.ldif.directory import LdifDirectory
from gateway.directory.presets.openldap import OPENLDAP
from tests.support.pump import Pump

PEOPLE = """\
dn: uid=anna,dc=test
objectClass: inetOrgPerson
uid: anna
mail: anna@example.test
manager: uid=bert, dc=test
userPassword: secret
pwdEndTime: 20250101000000Z

dn: uid=bert,dc=test
objectClass: inetOrgPerson
uid: bert
mail: bert@example.test
userPassword: secret
pwdReset: TRUE

dn: uid=cleo,dc=test
objectClass: inetOrgPerson
uid: cleo
mail: cleo@example.test
manager: uid=gone,dc=test

dn: cn=all,dc=test
objectClass: groupOfNames
cn: all
mail: all@example.test
member: uid=anna,dc=test
"""
END = 1_735_689_600.0


class Case:
    def __init__(self, folder: Path, pump: Pump) -> None:
        path = folder / "people.ldif"
        path.write_text(PEOPLE)
        self.now = END - 1
        self.pump = pump
        schema = replace(
            OPENLDAP,
            wall_clock=lambda: self.now,
            forwarding_link_attributes=("manager",),
        )
        call = pump.call_from_thread
        self.directory = LdifDirectory(path, call_from_thread=call, schema=schema)


@pytest.fixture
def case(tmp_path: Path, pump: Pump) -> Case:
    return Case(tmp_path, pump)


def test_L16_time_ends_an_account_though_the_file_is_the_same(case: Case, pump: Pump) -> None:
    assert pump.wait(case.directory.authenticate("anna", b"secret")).enabled
    before = pump.wait(case.directory.find("anna"))
    case.now = END
    with pytest.raises(WrongCredentials) as refused:
        pump.wait(case.directory.authenticate("anna", b"secret"))
    assert refused.value.reason is LoginReason.DISABLED
    after = pump.wait(case.directory.find("anna"))
    assert before is not None and after is not None
    assert before.enabled and not after.enabled
    by_id = pump.wait(case.directory.find_by_id(after.account_id))
    assert by_id == after
    pump.wait(case.directory.close())


def test_L16_who_is_locked_may_not_log_in(case: Case, pump: Pump) -> None:
    with pytest.raises(WrongCredentials) as refused:
        pump.wait(case.directory.authenticate("bert", b"secret"))
    assert refused.value.reason is LoginReason.LOCKED
    pump.wait(case.directory.close())


def test_forwarding_by_entry(case: Case, pump: Pump) -> None:
    forwards = Elsewhere(forwards=(Address("bert", "example.test"),))
    anna = pump.wait(case.directory.find("anna"))
    assert anna is not None and anna.elsewhere == forwards
    cleo = pump.wait(case.directory.find("cleo"))
    assert cleo is not None and cleo.elsewhere is not None and cleo.elsewhere.trouble
    everybody = pump.wait(case.directory.find_group(Address("all", "example.test")))
    assert everybody is not None
    assert everybody.people["anna@example.test"].elsewhere == forwards
    pump.wait(case.directory.close())
