"""What an LDAP result code means for a person's login, and for the administrator's log.

Owns one table (SECURITY L15). Only codes that say something about this person's password are a
"no"; everything else, known or not, is trouble of the directory.
"""

from __future__ import annotations

import re
from enum import Enum

SUCCESS = 0
SIZE_LIMIT_EXCEEDED = 4
NO_SUCH_ENTRY = (32, 34)
"""noSuchObject and invalidDNSyntax, to a search with a DN from another entry as its base."""
INVALID_CREDENTIALS = 49

_WRONG: dict[int, str] = {
    19: "refused by the directory's password rules",  # constraintViolation: ppolicy
    32: "the entry is gone",  # noSuchObject
    34: "the entry's DN is not valid",  # invalidDNSyntax
    48: "the entry has no usable password",  # inappropriateAuthentication
    INVALID_CREDENTIALS: "wrong password",
}

# Active Directory gives 49 for all of them and says why in the diagnostic message.
_DATA = re.compile(r"\bdata ([0-9a-fA-F]{3,4})\b")
_DATA_REASONS = {
    "52e": "wrong password",
    "525": "no such user",
    "530": "not allowed to log on at this time",
    "531": "not allowed to log on from this workstation",
    "532": "password expired",
    "533": "account disabled",
    "701": "account expired",
    "773": "password must be changed first",
    "775": "account locked",
}


class Verdict(Enum):
    """The outcome of a bind as a person."""

    RIGHT = "right"
    WRONG = "wrong"
    NONE = "the directory gave no verdict"


def verdict_of(code: int) -> Verdict:
    """The verdict in the result code of a BindResponse (RFC 4511 section 4.2.2)."""
    if code == SUCCESS:
        return Verdict.RIGHT
    return Verdict.WRONG if code in _WRONG else Verdict.NONE


def reason_of(code: int, diagnostic: str) -> str:
    """Why a bind was refused, for the log only."""
    found = _DATA.search(diagnostic) if code == INVALID_CREDENTIALS else None
    if found and found[1].lower() in _DATA_REASONS:
        return _DATA_REASONS[found[1].lower()]
    return _WRONG.get(code, f"result code {code}")
