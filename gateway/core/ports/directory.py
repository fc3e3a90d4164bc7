"""The port to the people: kept by ``directory.ldif`` and ``directory.ldap`` alike.

Trouble of any kind is DirectoryUnavailable; it never looks like "no such person" or "wrong
password" (DESIGN section 9, SECURITY L15). No method blocks the reactor.
"""

from __future__ import annotations

from typing import Protocol

from gateway.core.account import Account
from gateway.core.address import Address


class Directory(Protocol):
    """Finds people and checks their passwords."""

    async def find_by_address(self, address: Address) -> Account | None:
        """The one person who has this address (primary or other), compared ignoring case.

        None when nobody has it. Disabled people are returned, with ``enabled`` False.

        Raises:
            DirectoryUnavailable: also when more than one entry matches (SECURITY L5).
        """
        ...

    async def find(self, login_or_address: str) -> Account | None:
        """The one person who is called so, by login or by address, as an administrator types it.

        None when nobody is, and for text that can be neither. Disabled people are returned.

        Raises:
            DirectoryUnavailable: also when it is one person's login and another's address.
        """
        ...

    async def authenticate(self, login: str, password: bytes) -> Account:
        """The person whose login (uid, address…) and password these are.

        Empty logins and passwords are refused before any network use (SECURITY L1).

        Raises:
            WrongCredentials: unknown, ambiguous, wrong password, disabled: all alike.
            DirectoryUnavailable: the directory gave no verdict.
        """
        ...

    async def probe(self) -> str:
        """One line for the administrator that says what answered.

        Raises:
            DirectoryUnavailable: with a text for the administrator.
        """
        ...

    async def close(self) -> None:
        """Release connections and threads; pending calls end with DirectoryUnavailable."""
        ...
