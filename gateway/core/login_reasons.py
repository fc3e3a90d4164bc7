"""Why a login was refused, in words for the log and for administrators; clients hear one text.

Owns the list, and what follows from each reason: whether it only comes to those who typed the right
password, and whether a password kept for outages is to be forgotten (SECURITY L15, L20). Where the
reasons come from is the directory's (``directory.ldap.results``), who hears of them the doors'.
"""

from __future__ import annotations

from enum import Enum


class LoginReason(Enum):
    """The value is what stands in the log."""

    UNKNOWN = "nobody has this login"
    AMBIGUOUS = "more than one entry has this login"
    WRONG_PASSWORD = "wrong password"  # noqa: S105 - a reason's words
    WRONG_AGAIN = "the same wrong password as before; the directory was not asked"
    DISABLED = "the account is disabled"
    ACCOUNT_EXPIRED = "the account has expired"
    PASSWORD_EXPIRED = "the password has expired"  # noqa: S105 - a reason's words
    MUST_CHANGE = "the password must be changed before it is used"
    LOCKED = "the directory has locked the account for too many failed logins"
    NOT_NOW = "the directory allows no logins of this account at this time"
    NOT_FROM_HERE = "the directory allows no logins of this account from this gateway"
    RULES = "refused by the directory's password rules"
    NO_PASSWORD = "the entry has no usable password"  # noqa: S105 - a reason's words
    GONE = "the entry has gone"
    NO_APP_PASSWORD = "not one of this person's app passwords"  # noqa: S105 - a reason's words
    APP_PASSWORD_EXPIRED = "this app password has expired"  # noqa: S105 - a reason's words
    NOT_THIS_PROTOCOL = "this app password is not for this protocol"
    NOT_THIS_NETWORK = "this app password is not for use from this network"
    APP_PASSWORD_WANTED = "only app passwords are taken here"  # noqa: S105 - a reason's words
    NO_APP_PASSWORDS = "app passwords are not in use"
    REFUSED = "refused"

    @property
    def words(self) -> str:
        return self.value

    @property
    def forgets_kept_password(self) -> bool:
        """Whoever is refused for it must not be let in by what worked before either."""
        return self in _FORGETTING

    @property
    def needs_new_password(self) -> bool:
        """The person can help it."""
        return self in (LoginReason.PASSWORD_EXPIRED, LoginReason.MUST_CHANGE)


_FORGETTING = frozenset(
    (
        LoginReason.DISABLED,
        LoginReason.ACCOUNT_EXPIRED,
        LoginReason.PASSWORD_EXPIRED,
        LoginReason.MUST_CHANGE,
        LoginReason.LOCKED,
        LoginReason.NO_PASSWORD,
        LoginReason.GONE,
    )
)
