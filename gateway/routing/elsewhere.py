"""The way of a person's mail where the directory says that it is not the domain's.

Owns the rules of inetLocalMailRecipient (draft-lachman-laser-ldap-mail-routing-02 section 4): a
server alone takes the mail under the address that was asked for; an address alone is routed like
any other; with both, that server takes it under that address. Our own name means a mailbox here,
also in a domain that is relayed: so people move one by one. An address that leads back to the
person means their own mailbox. Copies go to whom the entry names, and the mail comes to the person
as well where it says so.
"""

from __future__ import annotations

from collections.abc import Collection

from gateway.core.account import Account, Elsewhere
from gateway.core.address import Address
from gateway.core.errors import DirectoryUnavailable
from gateway.core.ports.routing import Steps
from gateway.core.route import LocalMailbox, Outbound
from gateway.routing.expansion import Found, Moved, Several


def way_of(
    person: Account,
    elsewhere: Elsewhere,
    asked: Address,
    own_hosts: Collection[str],
    ignored: str,
    steps: Steps | None,
) -> Found | None:
    """None: as for anybody else of the domain.

    Args:
        asked: the address that is theirs.
        ignored: see ``expansion.Finder``.

    Raises:
        DirectoryUnavailable: what the directory says cannot be used.
    """
    login = person.login
    if elsewhere.trouble:
        raise DirectoryUnavailable(reason=elsewhere.trouble, login=login)
    key = f"person {person.account_id}"
    here = elsewhere.host in own_hosts
    if elsewhere.forwards and ignored != key:
        return _forwarded(person, elsewhere, asked, key, steps)
    address = elsewhere.address if ignored != key else None
    if elsewhere.host and not here:
        _note(steps, f"the directory names {elsewhere.next_hop} for the mail of {login}")
        route = Outbound(elsewhere.next_hop, owner=person)
        if address is None:
            return route
        _note(steps, f"and {address} as the address there")
        return Moved(address, route)
    if address is not None:
        _note(steps, f"the directory names {address} for the mail of {login}")
        name = f"mail routing address of {login}"
        return Several(key, name, (address,), owner=person)
    if here:
        _note(steps, f"the directory says that the mailbox of {login} is here")
        return LocalMailbox(person)
    return None


def _forwarded(
    person: Account, elsewhere: Elsewhere, asked: Address, key: str, steps: Steps | None
) -> Several:
    """The own address comes back here as one of its own targets, and then leads where it did."""
    targets = ", ".join(map(str, elsewhere.forwards))
    besides = ", and it comes to them as well" if elsewhere.keeps_copy else ""
    _note(steps, f"the directory forwards the mail of {person.login} to {targets}{besides}")
    members = (*elsewhere.forwards, asked) if elsewhere.keeps_copy else elsewhere.forwards
    return Several(key, f"forwarding of {person.login}", members, owner=person)


def _note(steps: Steps | None, text: str) -> None:
    if steps is not None:
        steps.add(text)
