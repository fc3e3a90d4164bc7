"""What an LDAP server's answer to a person's bind means: in, or why not, in the gateway's words.

Owns one table (SECURITY L15, L20): result codes, the sub-codes that Active Directory hides in the
diagnostic message, and the password policy controls of others. Only what says something about this
person's password is a "no"; everything else, known or not, is trouble of the directory. Which
refusals come to the right password alone is part of it. Never logs, never asks.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

from gateway.core.account import Account
from gateway.core.errors import WrongCredentials
from gateway.core.login_reasons import LoginReason
from gateway.directory.ldap.asking import BindAnswer
from gateway.wire.ldap.ber import LdapGarbage
from gateway.wire.ldap.controls import PasswordState, password_state

SUCCESS = 0
SIZE_LIMIT_EXCEEDED = 4
NO_SUCH_ENTRY = (32, 34)
"""noSuchObject and invalidDNSyntax, to a search with a DN from another entry as its base."""
INVALID_CREDENTIALS = 49
CONSTRAINT_VIOLATION = 19
UNWILLING_TO_PERFORM = 53
DAY_S = 86_400

_WRONG: dict[int, LoginReason] = {
    CONSTRAINT_VIOLATION: LoginReason.RULES,
    32: LoginReason.GONE,  # noSuchObject
    34: LoginReason.GONE,  # invalidDNSyntax
    48: LoginReason.NO_PASSWORD,  # inappropriateAuthentication
    INVALID_CREDENTIALS: LoginReason.WRONG_PASSWORD,
}

# Active Directory and Samba give 49 for all of them and say why in the diagnostic message:
# "80090308: LdapErr: DSID-0C09044E, comment: AcceptSecurityContext error, data 52e, v4563". The
# second value: only the right password gets as far as that.
_DATA = re.compile(r"AcceptSecurityContext error, data ([0-9a-f]{1,8})\b", re.IGNORECASE)
_DATA_REASONS: dict[str, tuple[LoginReason, bool]] = {
    "52e": (LoginReason.WRONG_PASSWORD, False),
    "525": (LoginReason.GONE, False),  # no such user, though the entry was found
    "530": (LoginReason.NOT_NOW, True),
    "531": (LoginReason.NOT_FROM_HERE, True),
    "532": (LoginReason.PASSWORD_EXPIRED, True),
    "533": (LoginReason.DISABLED, True),
    "701": (LoginReason.ACCOUNT_EXPIRED, True),
    "773": (LoginReason.MUST_CHANGE, True),
    "775": (LoginReason.LOCKED, False),
}

# draft-behera-ldap-password-policy-11 section 6.2, of binds that were refused. A lock is found
# before the password is looked at, an expiry after it was right (OpenLDAP's ppolicy overlay, 389's
# need_new_pw).
MUST_CHANGE_ERROR = 2
_POLICY_REASONS: dict[int, tuple[LoginReason, bool]] = {
    0: (LoginReason.PASSWORD_EXPIRED, True),
    1: (LoginReason.LOCKED, False),
    # 389's older control is the same for both, and a refused bind is no chance to change it.
    MUST_CHANGE_ERROR: (LoginReason.PASSWORD_EXPIRED, True),
}


class Verdict(Enum):
    """The outcome of a bind as a person."""

    RIGHT = "right"
    WRONG = "wrong"
    NONE = "the directory gave no verdict"


@dataclass(frozen=True, slots=True)
class Judged:
    """What an answer comes to.

    Args:
        reason: of WRONG.
        proven: of WRONG: the password was the right one all the same.
        remark: of RIGHT: what an administrator may want to know; empty: nothing.
    """

    verdict: Verdict
    reason: LoginReason = LoginReason.REFUSED
    proven: bool = False
    remark: str = ""

    def refusal(self, account: Account) -> WrongCredentials:
        """The error for WRONG."""
        return WrongCredentials(self.reason, proven=self.proven, account_id=account.account_id)


def judge(answer: BindAnswer, account: Account | None = None) -> Judged:
    """What this answer to a bind means.

    Args:
        account: whose entry it was; what the entry itself says of its state is part of the
            verdict.
    """
    code, diagnostic = answer.result.code, answer.result.diagnostic
    try:
        policy = password_state(answer.controls)
    except LdapGarbage:
        policy = None  # the result code stands; a control is no more than its explanation
    if code == SUCCESS:
        return _judge_success(policy, account)
    if code == INVALID_CREDENTIALS:
        return _judge_refused(policy, diagnostic)
    if code in _WRONG:
        reason = _WRONG[code]
        if code == CONSTRAINT_VIOLATION and "retry limit" in diagnostic.lower():
            reason = LoginReason.LOCKED  # 389: "Exceed password retry limit."
        return Judged(Verdict.WRONG, reason)
    if code == UNWILLING_TO_PERFORM and account is not None and not account.enabled:
        # 389: "Account inactivated." of an entry that says the same; 53 alone is no verdict.
        return Judged(Verdict.WRONG, LoginReason.DISABLED)
    return Judged(Verdict.NONE)


def _judge_success(policy: PasswordState | None, account: Account | None) -> Judged:
    if account is not None and not account.enabled:
        return Judged(Verdict.WRONG, LoginReason.DISABLED, proven=True)
    if policy is None:
        return Judged(Verdict.RIGHT)
    if policy.grace_logins is not None:
        # The directory allows it on purpose, and counts.
        return Judged(
            Verdict.RIGHT,
            remark=f"the password has expired; {policy.grace_logins} logins with it are left",
        )
    if policy.error == MUST_CHANGE_ERROR:
        # A bind that only serves to change the password, which mail programs cannot.
        return Judged(Verdict.WRONG, LoginReason.MUST_CHANGE, proven=True)
    if policy.expires_in_s is not None:
        days = policy.expires_in_s // DAY_S
        return Judged(Verdict.RIGHT, remark=f"the password expires in {days} days")
    return Judged(Verdict.RIGHT)


def _judge_refused(policy: PasswordState | None, diagnostic: str) -> Judged:
    found = _DATA.search(diagnostic)
    known = _DATA_REASONS.get(found[1].lower()) if found else None
    if known is None and policy is not None and policy.error is not None:
        known = _POLICY_REASONS.get(policy.error)
    reason, proven = known or (_WRONG[INVALID_CREDENTIALS], False)
    return Judged(Verdict.WRONG, reason, proven)


def reason_of(code: int, diagnostic: str) -> str:
    """Why a bind was refused, for the log only: of the service account, of which no more is
    known."""
    if code == INVALID_CREDENTIALS:
        return _judge_refused(None, diagnostic).reason.words
    return _WRONG[code].words if code in _WRONG else f"result code {code}"
