"""A group's shared mailbox, as administrators name it: by one of the group's addresses.

Owns finding it, and what is shown of it. Never says who may open it; ``sharing`` does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from gateway.core.account import Account
from gateway.core.address import Address
from gateway.core.group import Group
from gateway.core.mailboxes import SEPARATOR
from gateway.core.shared_mailboxes import ROOT, WORDS, Share, Shares, account_of, share_for
from gateway.wire.address import AddressSyntax, parse_mailbox


class FindsGroups(Protocol):
    """Kept by the directory."""

    async def find_group(self, address: Address) -> Group | None: ...


@dataclass(frozen=True, slots=True)
class GroupMailbox:
    """One that the settings and the directory both know."""

    account: Account
    group: Group
    share: Share

    def shown(self) -> dict[str, Any]:
        """JSON."""
        words = {rights: word for word, rights in WORDS.items()}
        return {
            "name": f"{ROOT}{SEPARATOR}{self.share.name}",
            "deliver": self.share.deliver.value,
            "members": len(self.group.people),
            "rights": {who: words[rights] for who, rights in self.share.rights.items()},
        }


class GroupMailboxes:
    """Those of one gateway."""

    def __init__(self, directory: FindsGroups, shares: Shares) -> None:
        self._directory = directory
        self._shares = shares

    async def find(self, text: str) -> GroupMailbox | None:
        """The mailbox of the group with this address; None: there is none.

        Raises:
            DirectoryUnavailable: nobody can say at the moment.
        """
        if not self._shares:
            return None
        try:
            address = parse_mailbox(text)
        except AddressSyntax:
            return None
        group = await self._directory.find_group(address) if address.domain else None
        share = share_for(self._shares, group.addresses) if group is not None else None
        account = account_of(group) if group is not None else None
        if group is None or share is None or account is None:
            return None
        return GroupMailbox(account, group, share)
