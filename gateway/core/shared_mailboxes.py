"""Mailboxes that several people share: whose they are, what they are called, who may do what.

Values only. A shared mailbox belongs to a group of the directory and has an account of its own in
the store, under the group's immutable id, so that it stays the same whatever the group is called.
Rights are the letters of RFC 4314 section 2.1; administrators write words.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum

from gateway.core.account import Account
from gateway.core.address import Address
from gateway.core.group import Group
from gateway.core.ids import AccountId

Rights = frozenset[str]
"""Letters: (l)ook up, (r)ead, (s)een, (w)rite other flags, (i)nsert, (p)ost, ma(k)e mailboxes,
delete a mailbo(x), dele(t)e messages, (e)xpunge."""

NOTHING: Rights = frozenset()
READ: Rights = frozenset("lr")
WRITE: Rights = frozenset("lrswipkte")
FULL: Rights = WRITE | {"x"}
WORDS: Mapping[str, Rights] = {"none": NOTHING, "read": READ, "write": WRITE, "full": FULL}

MEMBERS = "members"
ROOT = "Shared"
"""The level below which all shared mailboxes are shown."""

# In no id that a directory gives (``directory.entries``): nobody's own mailboxes are called so.
_OF_A_GROUP = "group="


class Deliver(Enum):
    """Where mail for the group's address goes."""

    MAILBOX = "mailbox"
    MEMBERS = "members"
    BOTH = "both"


@dataclass(frozen=True, slots=True)
class Share:
    """What the settings say of one group's mailbox.

    Args:
        address: one of the group's.
        name: the level below ROOT.
        rights: by MEMBERS or the address of a person or group, case folded. The highest of several
            counts, but NOTHING for an address takes away all others.
    """

    address: Address
    name: str
    rights: Mapping[str, Rights]
    deliver: Deliver = Deliver.MAILBOX


Shares = Mapping[str, Share]
"""By an address of the group, case folded."""

NO_SHARES: Shares = {}


@dataclass(frozen=True, slots=True)
class SharedMailbox:
    """A shared mailbox as one person has it; ``rights`` are never empty.

    Args:
        account: the group's own, in whose name its mailboxes are kept.
    """

    account: Account
    name: str
    rights: Rights


def share_for(shares: Shares, addresses: Iterable[str]) -> Share | None:
    """What the settings say of a group with these addresses, by whichever they name it."""
    if not shares:
        return None
    for address in addresses:
        share = shares.get(address.casefold())
        if share is not None:
            return share
    return None


def account_of(group: Group) -> Account | None:
    """The account that a group's mailbox belongs to; None: the directory gives the group no
    immutable id, so that nobody could say whose the mailbox is after the next rename."""
    if "=" in group.group_id:  # its DN
        return None
    return Account(
        AccountId(f"{_OF_A_GROUP}{group.group_id}"),
        group.addresses[0],
        group.addresses[0],
        group.addresses,
        group.display_name,
        allowance=group.allowance,
    )


def is_of_a_group(account_id: AccountId) -> bool:
    """Whether these mailboxes are a group's, and nobody's own."""
    return account_id.startswith(_OF_A_GROUP)
