"""Controls and extended operations by their OIDs, with the octets inside them.

Owns what a mail gateway asks for and reads: paging (RFC 2696), password policies (the draft of
Behera and 389's own), and Active Directory's for deleted entries and for one domain alone. What
brings changes only (RFC 4533) is beside it (``sync``). Reads what servers send with the
bounds of ``ber``: LdapGarbage for octets that are not what the OID promises.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from gateway.wire.ldap.ber import (
    OCTET_STRING,
    SEQUENCE,
    LdapGarbage,
    expect,
    integer,
    integer_at,
    parts,
    tlv,
)
from gateway.wire.ldap.messages import Control

START_TLS = "1.3.6.1.4.1.1466.20037"  # RFC 4511 section 4.14
NOTICE_OF_DISCONNECTION = "1.3.6.1.4.1.1466.20036"  # RFC 4511 section 4.4.1

PAGED_RESULTS = "1.2.840.113556.1.4.319"
SHOW_DELETED = Control("1.2.840.113556.1.4.417", critical=True)
"""Active Directory's: entries that were deleted are found too."""
DOMAIN_SCOPE = Control("1.2.840.113556.1.4.1339")
"""Active Directory's: no references to other domains."""

POLICY_STATE = "1.3.6.1.4.1.42.2.27.8.5.1"
ASK_FOR_POLICY = Control(POLICY_STATE)
"""With a bind: say what the policy thinks of the password, in a control of the same name."""
EXPIRED = "2.16.840.1.113730.3.4.4"
EXPIRING = "2.16.840.1.113730.3.4.5"

_PASSWORD_ERRORS = {
    0: "password expired",
    1: "account locked",
    2: "password must be changed first",
    3: "password may not be changed",
    4: "old password needed",
    5: "password quality is not sufficient",
    6: "password is too short",
    7: "password was changed too recently",
    8: "password was used before",
    9: "password is too long",
}


@dataclass(frozen=True, slots=True)
class Page:
    """Where a listing in pages has come to.

    Args:
        estimate: entries in all, as far as the server knows; 0: it does not.
        cookie: for the next page; empty: this was the last one.
    """

    estimate: int
    cookie: bytes


def paged(size: int, cookie: bytes = b"") -> Control:
    """RFC 2696: so many entries at most, and the rest later. Critical: a listing that comes in one
    piece instead meets the server's size limit, and looks like a whole one."""
    value = tlv(SEQUENCE, integer(size) + tlv(OCTET_STRING, cookie))
    return Control(PAGED_RESULTS, True, value)


def page_of(controls: Iterable[Control]) -> Page | None:
    """What came with the end of a search; None: the server did not page. Raises: LdapGarbage."""
    value = value_of(controls, PAGED_RESULTS)
    if value is None:
        return None
    (_, first, end), (_, start, stop) = fields(value, 2)
    return Page(integer_at(value, first, end), value[start:stop])


@dataclass(frozen=True, slots=True)
class PasswordState:
    """What a server says of a person's password besides yes and no.

    Args:
        expires_in_s: None: not told.
        grace_logins: left with a password that has expired; None: not told.
        problem: in words; empty: none.
        error: its number in the draft of Behera; None: none.
    """

    expires_in_s: int | None = None
    grace_logins: int | None = None
    problem: str = ""
    error: int | None = None


def password_state(controls: Iterable[Control]) -> PasswordState | None:
    """Out of the controls of a bind's answer; None: nothing is said. Raises: LdapGarbage."""
    controls = tuple(controls)
    value = value_of(controls, POLICY_STATE)
    if value is not None:
        return _policy_response(value)
    if value_of(controls, EXPIRED) is not None:
        return PasswordState(problem=_PASSWORD_ERRORS[2], error=2)
    value = value_of(controls, EXPIRING)
    if value is None:
        return None
    # draft-vchu-ldap-pwd-policy: the seconds as text.
    if not value.isdigit() or len(value) > 12:
        raise LdapGarbage("an expiry that is no number of seconds")
    return PasswordState(expires_in_s=int(value))


def _policy_response(value: bytes) -> PasswordState:
    """draft-behera-ldap-password-policy section 6.2: warning [0] CHOICE, error [1]."""
    expires_in_s = grace_logins = None
    problem, error = "", None
    start, end = expect(value, 0, len(value), SEQUENCE)
    for tag, first, stop in parts(value, start, end):
        if tag == 0xA0:
            for kind, at, behind in parts(value, first, stop):
                number = integer_at(value, at, behind)
                if kind == 0x80:
                    expires_in_s = number
                elif kind == 0x81:
                    grace_logins = number
        elif tag == 0x81:
            error = integer_at(value, first, stop)
            problem = _PASSWORD_ERRORS.get(error, f"password policy error {error}")
    return PasswordState(expires_in_s, grace_logins, problem, error)


# --- inside controls -----------------------------------------------------------------------------


def value_of(controls: Iterable[Control], oid: str) -> bytes | None:
    """Of the control with this OID: empty if it is there without one, None if it is not there."""
    for control in controls:
        if control.oid == oid:
            return control.value or b""
    return None


def fields(value: bytes, count: int) -> list[tuple[int, int, int]]:
    """The first elements of the SEQUENCE that is the value. Raises: LdapGarbage."""
    start, end = expect(value, 0, len(value), SEQUENCE)
    found = parts(value, start, end)
    if len(found) < count:
        raise LdapGarbage(f"{len(found)} elements in a control that has {count}")
    return found[:count]
