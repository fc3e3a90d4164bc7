"""Where an address leads, decided by the settings' domains and aliases and by the directory.

Owns the order of the questions: is the domain ours, does the address stand for others, who in the
directory has it, exactly or without its tag, who gets what nobody has; is the domain relayed to
another server, may the sender relay. One question to the directory at most for one recipient, and
none where the settings alone decide. Never opens a connection, never caches.

A disabled account still receives mail unless the administrator's policy for leavers says something
else, as a lost message cannot be had back. Who had an address once is asked about when nobody has
it: behind directory and aliases, before a catch-all.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from gateway.core.account import Account
from gateway.core.address import Address
from gateway.core.errors import RelayDenied, UnknownRecipient
from gateway.core.group import Group
from gateway.core.hosts import parse_ip
from gateway.core.ports.directory import RecipientFinder
from gateway.core.ports.leavers import LeaversMail
from gateway.core.ports.routing import Steps
from gateway.core.route import LocalMailbox, Outbound, Route
from gateway.core.shared_mailboxes import NO_SHARES, Shares, share_for
from gateway.directory.groups.bounds import Pause, no_pause
from gateway.routing.alias_file import AliasSource, FixedAliases
from gateway.routing.elsewhere import way_of
from gateway.routing.expansion import (
    Found,
    Moved,
    Several,
    alias_key,
    expand,
    of_alias,
    of_catch_all,
    of_group,
    of_moved,
)

POSTMASTER = "postmaster"
_ROUTED_BY_SENDER = frozenset("@%!")
_OUTBOUND = Outbound()

Whence = Callable[[Sequence[Address]], str]


@dataclass(frozen=True, slots=True)
class Domain:
    """A domain of ours.

    Args:
        name: the main name, lower case, without a trailing dot.
        relay: next hop such as ``smtp://exchange.example.com:25`` for the mail of the people known
            here (see ``core.route.Outbound``); empty: they have their mailboxes here.
        any_recipient: with ``relay``: only that server knows the recipients, as for a backup MX.
        delimiter: between user and tag; empty: there are no tags.
        catch_all: gets the mail for addresses that nobody has.
    """

    name: str
    relay: str = ""
    any_recipient: bool = False
    delimiter: str = "+"
    catch_all: Address | None = None


class DomainRouter:
    """Implements ``core.ports.routing.Router`` and ``ExplainingRouter``.

    Args:
        domains: every name of a domain, main and alias alike, to its Domain. The first one is
            where the bare ``postmaster`` of RFC 5321 section 4.5.1 belongs.
        directory: the people and groups.
        postmaster: an address that stands in for postmaster@ our domains where nobody in the
            directory has that address; empty: such mail is refused like any unknown address.
        aliases: addresses that stand for others.
        literals: our IP addresses, which mean the first domain in ``user@[192.0.2.1]``.
        members: of one group or alias at most.
        own_hosts: names of this server, by which the directory may say that a mailbox is here.
        whence: tells administrators where the directory's answer about some names comes from.
        pause: lets others run while a large group is worked on.
        shares: groups that have mailboxes of their own.
    """

    def __init__(
        self,
        domains: Mapping[str, Domain],
        directory: RecipientFinder,
        *,
        postmaster: str = "",
        aliases: AliasSource | None = None,
        literals: Sequence[str] = (),
        members: int = 5000,
        own_hosts: Collection[str] = (),
        whence: Whence | None = None,
        pause: Pause = no_pause,
        shares: Shares = NO_SHARES,
    ) -> None:
        self._domains = {_fold(name): domain for name, domain in domains.items()}
        self._first = next(iter(self._domains.values()), None)
        self._directory = directory
        local, at, domain = postmaster.rpartition("@")
        self._postmaster = Address(local, _fold(domain)) if at else None
        self._aliases: AliasSource = aliases or FixedAliases()
        self._literals = frozenset(filter(None, map(parse_ip, literals)))
        self._members = members
        self._own_hosts = frozenset(map(_fold, own_hosts))
        self._whence = whence
        self._pause = pause
        self._shares = shares
        self._leavers: LeaversMail | None = None

    def ask_about_leavers(self, leavers: LeaversMail) -> None:
        """Their notes are in the store, which is opened when the settings have proved usable."""
        self._leavers = leavers

    async def route(
        self, recipient: Address, *, may_relay: bool, steps: Steps | None = None
    ) -> Route:
        """See ``core.ports.routing.Router.route``.

        Args:
            steps: takes down how the answer was found.
        """
        if self._aliases.due:
            await self._aliases.look()
        domain = self._domain_of(recipient)
        if domain is None:
            if recipient.domain and may_relay:
                _note(steps, f"{recipient.domain} is not ours: it leaves by relay")
                return _OUTBOUND
            _note(steps, f"{recipient.domain} is not ours, and the sender may not relay")
            raise RelayDenied(recipient=str(recipient))
        if domain.relay and not may_relay:
            self._refuse_ways_on(recipient, domain, steps)
        found = await self._find(recipient, domain, None, "", steps)
        if found is None:
            raise UnknownRecipient(recipient=str(recipient))
        if isinstance(found, Outbound) and found.owner is not None and not may_relay:
            self._refuse_ways_on(recipient, domain, steps)
        if isinstance(found, Moved):
            return of_moved(f"mail routing address of {recipient}", found)
        if not isinstance(found, Several):
            return found
        expansion = await expand(found, self._find_member, self._members, steps, self._pause)
        only = expansion.members[0].route
        # Another name of one person; who gets what nobody has is not called so.
        # Nor is a group of one, which may have a word who writes to it.
        if len(expansion.members) == 1 and isinstance(only, LocalMailbox) and not expansion.groups:
            owner = found.owner
            same = owner is not None and owner.account_id == only.account.account_id
            if found.alias is not None or same:
                return only
        return expansion

    @staticmethod
    def _refuse_ways_on(recipient: Address, domain: Domain, steps: Steps | None) -> None:
        """Of what goes to another server: it may trust us, and would send on what stands before
        the last @. Raises: RelayDenied."""
        if _routes_itself(recipient, domain):
            _note(steps, f"{recipient.local_part} names a way on, and the sender may not relay")
            raise RelayDenied(recipient=str(recipient))

    def _domain_of(self, address: Address) -> Domain | None:
        name = address.domain
        domain = self._domains.get(name)
        if domain is not None:
            return domain
        if not name:  # RFC 5321 section 4.5.1: postmaster without a domain must be understood
            return self._first
        if name[0] == "[" and self._literals:
            # RFC 5321 section 4.1.3; an IPv6 address has more than one spelling.
            text = name[1:-1]
            ip = parse_ip(text[5:] if text[:5].lower() == "ipv6:" else text)
            return self._first if ip in self._literals else None
        return self._domains.get(_fold(name))

    async def _find_member(
        self, address: Address, known: Account | None, ignored: str, steps: Steps | None
    ) -> Found | None:
        domain = self._domain_of(address)
        if domain is not None:
            return await self._find(address, domain, known, ignored, steps)
        _note(steps, f"{address} is outside")
        return _OUTBOUND

    def _member_address(self, text: str, account: Account | None) -> str:
        """The directory's first address of a person may be elsewhere, and another one here."""
        if account is None or self._is_ours(text):
            return text
        return next(filter(self._is_ours, account.addresses), text)

    def _is_ours(self, text: str) -> bool:
        return text.rpartition("@")[2] in self._domains

    async def _find(
        self,
        address: Address,
        domain: Domain,
        known: Account | None,
        ignored: str,
        steps: Steps | None,
    ) -> Found | None:
        """Where an address in a domain of ours leads.

        Args:
            known, ignored: see ``expansion.Finder``.
        """
        names = _names(address, domain)
        if steps is not None:
            _note_names(steps, names, domain)
        position, targets = self._alias_among(names, domain, ignored)
        # What the directory has by a name that is nearer to what was asked for comes first.
        found: Account | Group | None = known if position else None
        if found is None and position and not domain.any_recipient:
            asked = names[:position]
            if steps is not None and self._whence is not None:
                steps.add(f"looked up in {self._whence(asked)}")
            found = await self._directory.find_recipient(asked)
        if targets and found is None:
            name = names[position]
            _note(steps, f"{name} is an alias of {', '.join(map(str, targets))}")
            return of_alias(name, targets)
        if domain.any_recipient:
            _note(steps, f"all of {domain.name} is relayed to {domain.relay}")
            return Outbound(domain.relay)
        if found is None:
            _note(steps, f"nobody in the directory has {' or '.join(map(str, names[:position]))}")
            # Of a relayed domain, the server there knows who had what.
            if self._leavers is not None and not domain.relay:
                found = await self._leavers.former_owner(names[:position], steps)
            if found is None:
                return self._fallback(address, domain, ignored, steps)
        if isinstance(found, Account) and not found.enabled:
            instead = await self._instead_of(found, ignored, steps)
            if instead is not None:
                return instead
        if isinstance(found, Account) and found.elsewhere is not None:
            way = way_of(found, found.elsewhere, address, self._own_hosts, ignored, steps)
            if way is not None:
                return way
        if domain.relay:
            _note(steps, f"{address} is known, and {domain.name} is relayed to {domain.relay}")
            group = found if isinstance(found, Group) else None
            return Outbound(domain.relay, group=group)
        if isinstance(found, Group):
            _note(steps, f"{address} is the group {found.name}")
            share = share_for(self._shares, found.addresses)
            return of_group(found, self._member_address, share)
        _note(steps, f"{address} is {found.login}, with a mailbox here")
        return LocalMailbox(found)

    async def _instead_of(
        self, person: Account, ignored: str, steps: Steps | None
    ) -> Several | None:
        """Who gets the mail of somebody who is disabled. Raises: MailboxDisabled."""
        key = f"leaver {person.account_id}"
        if self._leavers is None or ignored == key:
            return None
        target = await self._leavers.goes_to(person, steps)
        if target is None:
            return None
        return Several(key, f"mail of {person.login}, who has left", (target,), owner=person)

    def _alias_among(
        self, names: Sequence[Address], domain: Domain, ignored: str
    ) -> tuple[int, tuple[Address, ...]]:
        """The first name that is an alias, and its targets; behind the last one if none is."""
        table = self._aliases.table
        if len(table):
            for position, name in enumerate(names):
                targets = table.targets(name, here=not domain.relay)
                if targets and alias_key(name) != ignored:
                    return position, targets
        return len(names), ()

    def _fallback(
        self, address: Address, domain: Domain, ignored: str, steps: Steps | None
    ) -> Found | None:
        """Who gets the mail for an address that nobody has."""
        stand_in = self._postmaster
        if stand_in is not None and address.local_part.casefold() == POSTMASTER:
            if ignored != POSTMASTER:
                _note(steps, f"{stand_in} stands in for postmaster")
                return Several(POSTMASTER, POSTMASTER, (stand_in,), alias=address)
        elif domain.catch_all is not None:
            key = f"catch-all of {domain.name}"
            if ignored != key:
                _note(steps, f"{domain.catch_all} is the {key}")
                return of_catch_all(key, domain.catch_all)
        return None


def _names(address: Address, domain: Domain) -> tuple[Address, ...]:
    """Whom an address may mean, the nearest first: as it is, in the main domain, without its tag.

    An address that the directory spells with the alias domain wins over its twin in the main
    domain, as two different people may have them; so does ``user+tag`` over ``user``.
    """
    own = address.domain
    if own == domain.name:
        exact: tuple[Address, ...] = (address,)
    else:
        own = _fold(own)
        main = Address(address.local_part, domain.name)
        is_alias = own and own != domain.name and own[0] != "["
        exact = (Address(address.local_part, own), main) if is_alias else (main,)
    delimiter = domain.delimiter
    if delimiter and delimiter in address.local_part:
        user = address.local_part.partition(delimiter)[0]
        if user:
            return (*exact, *(Address(user, each.domain) for each in exact))
    return exact


def _routes_itself(address: Address, domain: Domain) -> bool:
    """The percent hack, a bang path, or an address inside an address, in what is passed on to a
    domain's server and nobody here knows: a tag, or all of it."""
    unknown = address.local_part
    if not domain.any_recipient:
        unknown = unknown.partition(domain.delimiter)[2] if domain.delimiter else ""
    return not _ROUTED_BY_SENDER.isdisjoint(unknown)


def _note(steps: Steps | None, text: str) -> None:
    if steps is not None:
        steps.add(text)


def _note_names(steps: Steps, names: Sequence[Address], domain: Domain) -> None:
    first, last = names[0], names[-1]
    if first.domain != domain.name:
        steps.add(f"domain {first.domain} is an alias of {domain.name}")
    if last.local_part != first.local_part:
        steps.add(f"{first.local_part} may be {last.local_part} with a tag")


def _fold(name: str) -> str:
    """Domain names are equal whatever their case (RFC 5321 section 2.4)."""
    return name.casefold().rstrip(".")
