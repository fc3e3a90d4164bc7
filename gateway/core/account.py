"""A person of the directory, as the rest of the gateway sees them.

Values only. Never holds a password or a DN, so it may be logged and kept.
"""

from __future__ import annotations

from dataclasses import dataclass

from gateway.core.address import Address
from gateway.core.ids import AccountId
from gateway.core.quota import NOTHING_SAID, Allowance


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """What the directory says of where a person's mail goes instead of a mailbox here
    (inetLocalMailRecipient, draft-lachman-laser-ldap-mail-routing-02).

    Args:
        host: whose mail server takes it, lower case; empty: not said.
        next_hop: the same as the URL of a server.
        address: the address it goes to; None: the one that was asked for.
        forwards: where copies go to.
        keeps_copy: with ``forwards``: the mail comes here as well.
        trouble: why what is said there cannot be used, so that nobody knows where the mail goes.
    """

    host: str = ""
    next_hop: str = ""
    address: Address | None = None
    trouble: str = ""
    forwards: tuple[Address, ...] = ()
    keeps_copy: bool = True


@dataclass(frozen=True, slots=True)
class Account:
    """One person. Every field has passed the directory package's checks (SECURITY L25).

    Args:
        account_id: immutable id from the directory; the store's key. Never an address.
        login: canonical login name taken from the entry, lower case; key for limits and logs.
        primary_address: ``local@domain``, lower case, or empty if the entry has no mail attribute.
        addresses: all addresses, lower case, the primary one first.
        display_name: for people; may hold any printable text.
        enabled: False when the directory says that the account is disabled or expired: nobody logs
            in, and what becomes of the mail is a policy.
        locked: True when the directory lets nobody log in for a while, as after failed logins; mail
            is not touched.
        condition: why ``enabled`` or ``locked`` are as they are, in words for administrators.
        allowance: how much the directory lets this person keep.
        elsewhere: None: their mail goes where the domain's does.
        state_until: Unix time at which what is said here may be wrong though the directory has not
            changed; whoever keeps an account asks again from then on. 0: never.
    """

    account_id: AccountId
    login: str
    primary_address: str
    addresses: tuple[str, ...]
    display_name: str = ""
    enabled: bool = True
    locked: bool = False
    condition: str = ""
    allowance: Allowance = NOTHING_SAID
    elsewhere: Elsewhere | None = None
    state_until: float = 0.0
