"""What the doctor has learnt of one person in one directory. Values only; none holds a secret."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.core.account import Account
from gateway.core.ports.may_ask import NOTHING_TOLD, PasswordState
from gateway.directory.doctor.standing import UNTRIED, Tried


@dataclass(frozen=True, slots=True)
class Learnt:
    """Args:
    directory: its name in the settings; empty: the first one.
    answered: somebody could say whether the person is there; only then another directory may be
        asked.
    known: the login is somebody's there, though perhaps nobody's who can be used.
    why_not: in words, where there is no account.
    dn: of the entry.
    """

    directory: str
    answered: bool
    known: bool = False
    account: Account | None = None
    dn: str = ""
    state: PasswordState = NOTHING_TOLD
    tried: Tried = UNTRIED
    why_not: str = ""


@dataclass(frozen=True, slots=True)
class Asked:
    """What the administrator wants to know.

    Args:
        password: to be tried; None: none is.
    """

    login: str
    own_domains: frozenset[str]
    password: bytes | None = None

    def __repr__(self) -> str:
        return f"<Asked about {self.login!a}>"
