"""The port to the people and groups: kept by ``directory.ldif`` and ``directory.ldap`` alike.

Trouble of any kind is DirectoryUnavailable; it never looks like "no such person" or "wrong
password" (DESIGN section 9, SECURITY L15). No method blocks the reactor.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from gateway.core.account import Account
from gateway.core.address import Address
from gateway.core.directory_health import DirectoryHealth
from gateway.core.group import Group
from gateway.core.ids import AccountId
from gateway.core.login_secret import LoginSecret, SecretKind
from gateway.core.ports.may_ask import MayAsk


class SecretSource(Protocol):
    """Knows secrets of people, so that they need not send them (CRAM-MD5, SCRAM)."""

    def secret_kinds(self) -> frozenset[SecretKind]:
        """What it can tell of anybody at all, now; empty: nothing. Answers at once."""
        ...

    def common_secret_kinds(self) -> frozenset[SecretKind]:
        """Those of them that it can tell of everybody who has a password. Answers at once."""
        ...

    async def secret(self, login: str) -> LoginSecret | None:
        """The secret of the one person whose login this is; disabled people are returned.

        None for unknown and ambiguous people, and for those whose secret is not kept or kept in a
        form that tells nothing.

        Raises:
            DirectoryUnavailable: nobody can say at the moment.
        """
        ...


class RecipientFinder(Protocol):
    """Says who gets mail: what routing asks."""

    async def find_recipient(self, addresses: Sequence[Address]) -> Account | Group | None:
        """Who has the first of these addresses that anybody has; one question, however many.

        Raises:
            DirectoryUnavailable: also when more than one entry has that address (SECURITY L5).
            ExpansionFailed: a group that is too large.
        """
        ...


class TellsHealth(Protocol):
    """Says how those are whom it asks."""

    def health(self) -> Sequence[DirectoryHealth]:
        """One value a directory. Answers at once, and asks nobody."""
        ...


class Directory(RecipientFinder, SecretSource, TellsHealth, Protocol):
    """Finds people and groups, and checks passwords."""

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

    async def find_by_id(self, account_id: AccountId) -> Account | None:
        """The person with this immutable id, whatever they are called by now.

        None when nobody has it (any more). Disabled people are returned.

        Raises:
            DirectoryUnavailable: nobody can say at the moment.
        """
        ...

    async def people(self, after: str, limit: int, *, directory: str = "") -> Sequence[Account]:
        """Some of the people in the order of their ids, beginning behind the id ``after``; fewer
        than ``limit``: that was all. Disabled people are among them.

        Args:
            directory: only of the one with this name in the settings; empty: of all.

        Raises:
            DirectoryUnavailable: nobody can tell at the moment, or there is no such directory.
        """
        ...

    async def find_by_certificate(self, name: str) -> Account | None:
        """The one person to whom a client certificate with this name belongs.

        The name is compared with the attribute that the settings name for it; without one it is a
        login or an address, as for ``find``. Disabled people are returned.

        Raises:
            DirectoryUnavailable: also when it could be more than one.
        """
        ...

    async def find_group(self, address: Address) -> Group | None:
        """The one group that has this address, with its members.

        Raises: as ``find_recipient``.
        """
        ...

    async def groups_of(self, account: Account) -> Sequence[Group]:
        """The groups with an address that this person is in, also by way of other groups; without
        their members.

        Raises:
            DirectoryUnavailable: nobody can say at the moment.
        """
        ...

    async def authenticate(
        self, login: str, password: bytes, may_ask: MayAsk | None = None
    ) -> Account:
        """The person whose login (uid, address…) and password these are.

        Empty logins and passwords are refused before any network use (SECURITY L1).

        Args:
            may_ask: asked once the entry is found, where servers count failures; what it raises
                ends the attempt.

        Raises:
            WrongCredentials: unknown, ambiguous, wrong password, disabled: with the reason, and
                with whom it is about where the entry was found.
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
