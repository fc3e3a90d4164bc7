"""Where an address leads, decided by the domains of the configuration and the directory.

Owns the order of the questions: is the domain ours, does somebody there have the address, is the
domain relayed to an older server, may the sender relay. Never opens a connection, never caches.

A disabled account still receives mail: whether a leaver's mail is refused is a policy for the
administrator, and a lost message cannot be had back. Such a person merely cannot log in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.core.account import Account
from gateway.core.address import Address
from gateway.core.errors import RelayDenied, UnknownRecipient
from gateway.core.ports.directory import Directory
from gateway.core.route import LocalMailbox, Outbound, Route

POSTMASTER = "postmaster"


@dataclass(frozen=True, slots=True)
class Domain:
    """A domain whose people are in the directory.

    Args:
        name: the main name, lower case, without a trailing dot.
        relay: next hop such as ``smtp://exchange.example.com:25`` for the mail of the people known
            here; empty: they have their mailboxes here.
    """

    name: str
    relay: str = ""


class DomainRouter:
    """Implements ``core.ports.routing.Router``.

    Args:
        domains: every name of a domain, main and alias alike, to its Domain. The first one is
            where the bare ``postmaster`` of RFC 5321 section 4.5.1 belongs.
        directory: the people.
        postmaster: an address that stands in for postmaster@ our domains where nobody in the
            directory has that address; empty: such mail is refused like any unknown address.
    """

    def __init__(
        self, domains: Mapping[str, Domain], directory: Directory, *, postmaster: str = ""
    ) -> None:
        self._domains = {_fold(name): domain for name, domain in domains.items()}
        self._first = next(iter(self._domains.values()), None)
        self._directory = directory
        local, at, domain = postmaster.rpartition("@")
        self._postmaster = Address(local, _fold(domain)) if at else None

    async def route(self, recipient: Address, *, may_relay: bool) -> Route:
        """See ``core.ports.routing.Router.route``."""
        is_postmaster = recipient.local_part.casefold() == POSTMASTER
        # RFC 5321 section 4.5.1: the bare name, without a domain, must be understood.
        domain = self._domains.get(_fold(recipient.domain)) if recipient.domain else self._first
        if domain is None:
            if recipient.domain and may_relay:
                return Outbound()
            raise RelayDenied(recipient=str(recipient))
        route = await self._known(recipient, domain)
        if route is None and is_postmaster and self._postmaster is not None:
            route = await self._stand_in(self._postmaster)
        if route is None:
            raise UnknownRecipient(recipient=str(recipient))
        return route

    async def _known(self, recipient: Address, domain: Domain) -> Route | None:
        """The person's mailbox or old server; None when nobody has the address.

        An address that the directory spells with the alias domain wins over its twin in the main
        domain, as two different people may have them.
        """
        account: Account | None = None
        own_name = _fold(recipient.domain)
        if own_name and own_name != domain.name:
            account = await self._directory.find_by_address(Address(recipient.local_part, own_name))
        if account is None:
            main = Address(recipient.local_part, domain.name)
            account = await self._directory.find_by_address(main)
        if account is None:
            return None
        return Outbound(domain.relay) if domain.relay else LocalMailbox(account)

    async def _stand_in(self, address: Address) -> Route | None:
        domain = self._domains.get(address.domain)
        return await self._known(address, domain) if domain is not None else Outbound()


def _fold(name: str) -> str:
    """Domain names are equal whatever their case (RFC 5321 section 2.4)."""
    return name.casefold().rstrip(".")
