"""What an answer to a person's bind means (SECURITY L15, L20)."""

from __future__ import annotations

import pytest

from gateway.core.account import Account
from gateway.core.ids import AccountId
from gateway.core.login_reasons import LoginReason as Why
from gateway.directory.ldap.asking import BindAnswer
from gateway.directory.ldap.lockout import failures_in
from gateway.directory.ldap.results import Verdict, judge, reason_of
from gateway.wire.ldap.messages import Control, Result

ALICE = Account(AccountId("1"), "alice", "", ())
DISABLED = Account(AccountId("1"), "alice", "", (), enabled=False)
AD = "80090308: LdapErr: DSID-0C09044E, comment: AcceptSecurityContext error, data {}, v4563"
POLICY = "1.3.6.1.4.1.42.2.27.8.5.1"
EXPIRED, EXPIRING = "2.16.840.1.113730.3.4.4", "2.16.840.1.113730.3.4.5"


def said(
    code: int, diagnostic: str = "", *controls: Control, account: Account = ALICE
) -> tuple[Verdict, Why, bool, str]:
    judged = judge(BindAnswer(Result(code, "", diagnostic), controls), account)
    return judged.verdict, judged.reason, judged.proven, judged.remark


def policy(octets: str) -> Control:
    return Control(POLICY, value=bytes.fromhex(octets))


@pytest.mark.parametrize(
    ("data", "why", "proven"),
    [
        ("52e", Why.WRONG_PASSWORD, False),
        ("52E", Why.WRONG_PASSWORD, False),
        ("525", Why.GONE, False),
        ("530", Why.NOT_NOW, True),
        ("531", Why.NOT_FROM_HERE, True),
        ("532", Why.PASSWORD_EXPIRED, True),
        ("533", Why.DISABLED, True),
        ("701", Why.ACCOUNT_EXPIRED, True),
        ("773", Why.MUST_CHANGE, True),
        ("775", Why.LOCKED, False),
        ("80090346", Why.WRONG_PASSWORD, False),  # channel bindings, or anything new
    ],
)
def test_L15_sub_codes_of_active_directory(data: str, why: Why, proven: bool) -> None:
    assert said(49, AD.format(data)) == (Verdict.WRONG, why, proven, "")
    assert said(52, AD.format(data))[0] is Verdict.NONE, "they explain 49 alone"


@pytest.mark.parametrize(
    "diagnostic",
    ["data 533", "invalid data 533 in it", "error, data 533", "AcceptSecurityContext data 533"],
)
def test_L15_only_active_directorys_own_words_have_sub_codes(diagnostic: str) -> None:
    assert said(49, diagnostic)[1:3] == (Why.WRONG_PASSWORD, False)


@pytest.mark.parametrize(
    ("code", "diagnostic", "why"),
    [
        (19, "", Why.RULES),
        (19, "Exceed password retry limit. Please try later.", Why.LOCKED),
        (32, "", Why.GONE),
        (34, "", Why.GONE),
        (48, "", Why.NO_PASSWORD),
        (49, "", Why.WRONG_PASSWORD),
    ],
)
def test_L15_codes_that_are_a_no(code: int, diagnostic: str, why: Why) -> None:
    assert said(code, diagnostic)[:3] == (Verdict.WRONG, why, False)


@pytest.mark.parametrize("code", [1, 2, 3, 4, 8, 10, 11, 13, 50, 51, 52, 53, 54, 80, 81, 118, 4096])
def test_L15_everything_else_says_nothing_of_the_person(code: int) -> None:
    assert said(code)[0] is Verdict.NONE


def test_L16_a_disabled_entry_lets_nobody_in_whatever_the_bind_said() -> None:
    assert said(0, account=DISABLED)[:3] == (Verdict.WRONG, Why.DISABLED, True)
    inactivated = "Account inactivated. Contact system administrator."
    assert said(53, inactivated, account=DISABLED)[:3] == (Verdict.WRONG, Why.DISABLED, False)


def test_L20_password_policy_controls_of_a_bind_that_was_taken() -> None:
    right = Verdict.RIGHT
    assert said(0) == (right, Why.REFUSED, False, "")
    assert said(0, "", policy("3000")) == (right, Why.REFUSED, False, "")
    grace = said(0, "", policy("3005a003810102"))
    assert grace[0] is right and "2 logins with it are left" in grace[3]
    assert "in 0 days" in said(0, "", policy("3006a00480027fff"))[3]
    expires = said(0, "", Control(EXPIRING, value=b"172900"))
    assert expires[0] is right and "in 2 days" in expires[3]
    for must_change in (policy("3003810102"), Control(EXPIRED, value=b"0")):
        assert said(0, "", must_change)[:3] == (Verdict.WRONG, Why.MUST_CHANGE, True)
    # 389 sends both with a grace login, and the newer control knows more.
    both = said(0, "", policy("3005a003810101"), Control(EXPIRED, value=b"0"))
    assert both[0] is right


def test_L20_password_policy_controls_of_a_bind_that_was_refused() -> None:
    wrong = Verdict.WRONG
    assert said(49, "", policy("3003810100"))[:3] == (wrong, Why.PASSWORD_EXPIRED, True)
    assert said(49, "", policy("3003810101"))[:3] == (wrong, Why.LOCKED, False)
    assert said(49, "", Control(EXPIRED, value=b"0"))[:3] == (wrong, Why.PASSWORD_EXPIRED, True)
    assert said(49, "", policy("3003810105"))[:3] == (wrong, Why.WRONG_PASSWORD, False)


@pytest.mark.parametrize("octets", ["", "30", "30ff", "3003a10102", "0400", "308481ffffff"])
def test_L20_a_control_that_is_garbage_changes_no_verdict(octets: str) -> None:
    assert said(0, "", policy(octets))[0] is Verdict.RIGHT
    assert said(49, "", policy(octets))[:3] == (Verdict.WRONG, Why.WRONG_PASSWORD, False)


def test_the_service_account_is_explained_too() -> None:
    assert reason_of(49, AD.format("775")) == Why.LOCKED.words
    assert reason_of(49, "") == "wrong password"
    assert reason_of(8, "strong auth required") == "result code 8"


@pytest.mark.parametrize(
    ("entry", "failures"),
    [
        ({}, None),
        ({"badpwdcount": [b"3"], "badpasswordtime": [b"132223104000000000"]}, 0),  # 2020
        ({"badpwdcount": [b"3"], "badpasswordtime": [b"133444736000000000"]}, 3),  # November 2023
        ({"badpwdcount": [b"3"]}, 3),
        ({"pwdfailuretime": [b"20231114221300.123456Z", b"20200101000000Z"]}, 1),
        ({"pwdfailuretime": [b"rubbish"]}, 1),
        ({"passwordretrycount": [b"2"], "retrycountresettime": [b"20231114230000Z"]}, 2),
        ({"passwordretrycount": [b"2"], "retrycountresettime": [b"20231114220000Z"]}, 0),
        ({"krbloginfailedcount": [b"4"]}, 4),
        ({"badpwdcount": [b"-"]}, 0),
        ({"badpwdcount": [b"9" * 40]}, 0),
    ],
)
def test_L22_failures_that_an_entry_tells_of(
    entry: dict[str, list[bytes]], failures: int | None
) -> None:
    assert failures_in(entry, 1800, 1_700_000_000) == failures  # 14 November 2023, 22:13:20
