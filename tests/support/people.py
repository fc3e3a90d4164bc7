"""A directory in memory for tests of what asks one; counts what it is asked."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.core.account import Account
from gateway.core.address import Address
from gateway.core.errors import DirectoryUnavailable
from gateway.core.group import Group
from gateway.core.ids import AccountId


def person(*addresses: str, enabled: bool = True) -> Account:
    """Called after the first address."""
    first = addresses[0]
    return Account(AccountId(first), first.partition("@")[0], first, addresses, enabled=enabled)


class People:
    """People by their addresses, and groups.

    Args:
        addresses: of one person each.
    """

    def __init__(self, *addresses: str, enabled: bool = True) -> None:
        self.accounts: dict[str, Account] = {}
        self.groups: dict[str, Group] = {}
        self.broken = False
        self.questions: list[list[str]] = []
        for address in addresses:
            self.add(person(address, enabled=enabled))

    def add(self, account: Account) -> None:
        self.accounts.update(dict.fromkeys(account.addresses, account))

    def add_group(self, address: str, *members: str, dead: Sequence[str] = ()) -> None:
        """Members who are people are known as such, as a directory tells it."""
        people = {each: self.accounts[each] for each in members if each in self.accounts}
        self.groups[address] = Group(
            f"id of {address}", (address,), members, people=people, dead=tuple(dead)
        )

    async def find_recipient(self, addresses: Sequence[Address]) -> Account | Group | None:
        self.questions.append([each.key for each in addresses])
        if self.broken:
            raise DirectoryUnavailable()
        for address in addresses:
            found = self.accounts.get(address.key) or self.groups.get(address.key)
            if found is not None:
                return found
        return None
