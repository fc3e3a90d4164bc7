"""Which attributes and filters a kind of directory uses: the map from its words to the gateway's.

Owns the map's shape and the questions that are asked by it. ``presets`` has one for each kind, and
settings override single fields with ``dataclasses.replace``. Never talks to a server and never
reads an entry (see ``entries``).
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, fields

import idna

from gateway.core.address import Address
from gateway.core.ports.clock import WallClock
from gateway.directory.groups.words import STANDARD_WORDS, GroupWords
from gateway.directory.states import StateRule
from gateway.directory.templates import NOBODY, DnTemplate, FilterTemplate, halves
from gateway.directory.times import TimeForm
from gateway.wire.address import AddressSyntax, parse_mailbox
from gateway.wire.ldap.filters import (
    And,
    Equal,
    EqualOctets,
    Filter,
    FilterSyntax,
    Not,
    Or,
    Present,
    attributes_of,
    check_attribute,
)

MEMBERS = 5000
"""Of a group, unless the settings say otherwise."""


@dataclass(frozen=True, slots=True)
class Schema:
    """One directory's attributes and filters.

    Args:
        person: which entries are people; all searches are narrowed by it.
        id_attribute: immutable id of an entry, the store's key.
        login_attributes: what people may type as login; the first one that an entry has gives the
            canonical login.
        address_attributes: plain addresses; the first value of the first one is the primary.
        prefixed_address_attributes: addresses behind ``smtp:`` (``SMTP:`` marks the primary one);
            values with other prefixes are no mail addresses.
        display_attributes: the person's name, the first one that an entry has.
        quota_attributes: how much the person may keep, the first one that an entry has.
        quota_unit_octets: of numbers there that stand alone.
        no_quota: whose quota attributes do not count; None: nobody's.
        next_hop_attributes: whose mail server takes the person's mail: a host name or a server's
            URL, of the first one that an entry has.
        routing_address_attributes: the address that it goes to instead, likewise.
        forwarding_attributes: addresses that copies go to.
        forwarding_link_attributes: DNs of entries whose addresses those are; where an entry has
            one, ``forwarding_attributes`` do not count.
        forwards: whose entries forward at all; None: all that have such an attribute.
        keeps_copy: of those who forward, who keeps their mail here as well; None: everybody.
        states: who may not log in.
        last_login: when somebody has logged in last, by attribute and form; None: it is not told.
        id_is_octets: the immutable id is no text; its hexadecimal form is the key (SECURITY L13).
        logs_in_by_address: every mail address is a login as well.
        account_name_attribute: what stands behind ``DOMAIN\\`` in logins of Active Directory;
            empty: there are no such.
        windows_domains: names of that domain, in lower case: of NetBIOS, and in DNS.
        login_filter: finds people by login in the place of the attributes.
        login_dn: likewise, by the DN that their entry has.
        secret_attribute: SCRAM verifiers as RFC 5803 has them; empty: they are not read.
        certificate_attribute: names of client certificates; empty: those name logins or addresses.
        group: which entries are groups, with addresses in the same attributes as people; None: the
            directory has none.
        contact: which entries besides are members of groups, and get their mail elsewhere; None:
            they are not listed.
        member_attributes: of groups; values are DNs of members or their addresses.
        member_of_attributes: of people; DNs of groups they are in, where the server tells.
        about_groups: what else it says about groups.
        members: of one group, all in all; a larger one gets no mail (ExpansionFailed).
        wall_clock: by which times in entries have passed.
    """

    person: Filter
    id_attribute: str
    login_attributes: tuple[str, ...]
    address_attributes: tuple[str, ...]
    prefixed_address_attributes: tuple[str, ...]
    display_attributes: tuple[str, ...]
    quota_attributes: tuple[str, ...] = ()
    quota_unit_octets: int = 1
    no_quota: Filter | None = None
    next_hop_attributes: tuple[str, ...] = ()
    routing_address_attributes: tuple[str, ...] = ()
    forwarding_attributes: tuple[str, ...] = ()
    forwarding_link_attributes: tuple[str, ...] = ()
    forwards: Filter | None = None
    keeps_copy: Filter | None = None
    states: tuple[StateRule, ...] = ()
    last_login: tuple[str, TimeForm] | None = None
    id_is_octets: bool = False
    logs_in_by_address: bool = True
    account_name_attribute: str = ""
    windows_domains: tuple[str, ...] = ()
    login_filter: FilterTemplate | None = None
    login_dn: DnTemplate | None = None
    secret_attribute: str = ""
    certificate_attribute: str = ""
    group: Filter | None = None
    contact: Filter | None = None
    member_attributes: tuple[str, ...] = ()
    member_of_attributes: tuple[str, ...] = ()
    about_groups: GroupWords = STANDARD_WORDS
    members: int = MEMBERS
    wall_clock: WallClock = time.time
    _requested: tuple[str, ...] = field(default=(), init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for name in (*self._names(), *self.member_attributes, *self.member_of_attributes):
            check_attribute(name)
        for name in filter(None, (self.secret_attribute, self.certificate_attribute)):
            check_attribute(name)
        if not self.login_attributes:
            raise FilterSyntax("at least one login attribute is needed")
        if not self.address_attributes and not self.prefixed_address_attributes:
            raise FilterSyntax("at least one address attribute is needed")
        requested = self._each_once(self._names(), *self._of_people)
        object.__setattr__(self, "_requested", requested)

    def _names(self) -> Iterator[str]:
        yield self.id_attribute
        for each in fields(self):
            # What only groups are asked for would make every look-up of a person larger.
            if each.name.endswith("_attributes") and not each.name.startswith("member_"):
                yield from getattr(self, each.name)
        for rule in self.states:
            yield from rule.attributes

    @property
    def requested(self) -> tuple[str, ...]:
        """All attributes that a search must bring."""
        return self._requested

    @property
    def _of_people(self) -> tuple[Filter | None, ...]:
        return (self.person, self.forwards, self.keeps_copy, self.no_quota)

    @property
    def login_names(self) -> frozenset[str]:
        """Every attribute whose value may be a login, in lower case."""
        names = {*self.login_attributes}
        if self.login_filter is not None:
            names |= self.login_filter.attributes
        elif self.logs_in_by_address:
            names |= {*self.address_attributes, *self.prefixed_address_attributes}
        return frozenset(name.lower() for name in names)

    @property
    def requested_with_secret(self) -> tuple[str, ...]:
        """The same and the secret, which nothing else has to bring."""
        return (*self.requested, self.secret_attribute)

    @property
    def requested_of_recipients(self) -> tuple[str, ...]:
        """The same where the answer may be a group."""
        return self._each_once(
            (*self._names(), *self.member_attributes, *self.about_groups.of_groups),
            *self._of_people,
            self.group,
            self.contact,
            self.about_groups.left_out,
        )

    @property
    def requested_of_members(self) -> tuple[str, ...]:
        """The same of a person whose groups are asked for."""
        return self._each_once(
            (*self._names(), *self.member_of_attributes, *self.about_groups.of_people),
            *self._of_people,
        )

    @staticmethod
    def _each_once(names: Iterable[str], *filters: Filter | None) -> tuple[str, ...]:
        every = [*names]
        for wanted in filters:
            if wanted is not None:
                every += attributes_of(wanted)
        return tuple({name.lower(): name for name in reversed(every)}.values())

    def by_login(self, login: str) -> Filter:
        """Who has this login."""
        return And((self.person, Or(self._logged_in_as(login))))

    def by_id(self, account_id: str) -> Filter:
        """Whose immutable id this is."""
        return And((self.person, self.has_id(account_id)))

    def has_id(self, account_id: str) -> Filter:
        """Which entry has this immutable id."""
        if not self.id_is_octets:
            return Equal(self.id_attribute, account_id)
        try:
            return EqualOctets(self.id_attribute, bytes.fromhex(account_id))
        except ValueError:
            return NOBODY

    def by_certificate(self, name: str) -> Filter:
        """Whose client certificate has this name; only where an attribute says it."""
        return And((self.person, Equal(self.certificate_attribute, name)))

    def by_address(self, address: Address) -> Filter:
        """Who has this mail address, primary or other."""
        return And((self.person, Or(self._reached_at(address))))

    def by_addresses(self, addresses: Sequence[Address]) -> Filter:
        """People who have one of these addresses."""
        return And((self.person, self._reached_at_any(addresses)))

    def recipients(self, addresses: Sequence[Address]) -> Filter:
        """People and groups who have one of these addresses."""
        kind = self.person if self.group is None else Or((self.person, self.group))
        return And((kind, self._reached_at_any(addresses)))

    def groups(self, addresses: Sequence[Address]) -> Filter:
        """Groups that have one of these addresses; only where there are groups."""
        assert self.group is not None
        return And((self.group, self._reached_at_any(addresses)))

    def _reached_at_any(self, addresses: Sequence[Address]) -> Filter:
        return Or(tuple(each for address in addresses for each in self._reached_at(address)))

    def by_login_or_address(self, login: str, address: Address | None) -> Filter:
        """Who has this login or, unless it is None, this address; more than one may."""
        reached = self._reached_at(address) if address is not None else ()
        return And((self.person, Or((*self._logged_in_as(login), *reached))))

    def _logged_in_as(self, login: str) -> tuple[Filter, ...]:
        if self.login_filter is not None:
            return (self.login_filter.filled(login),)
        if self.login_dn is not None:
            dn = self.login_dn.filled(login)
            return (Equal(self.about_groups.dn, dn) if dn else NOBODY,)
        wanted: list[Filter] = [Equal(name, login) for name in self.login_attributes]
        if self.account_name_attribute and self.windows_domains:
            wanted += self._by_account_name(login)
        if self.logs_in_by_address and "@" in login:
            with suppress(AddressSyntax):
                wanted += self._reached_at(parse_mailbox(login))
        return tuple(dict.fromkeys(wanted))

    def _by_account_name(self, login: str) -> Iterator[Filter]:
        user, domain = halves(login)
        if domain.casefold() not in self.windows_domains or not user:
            return
        same = Equal(self.account_name_attribute, user)
        if "\\" in login:
            yield same
        else:
            # MS-ADTS section 5.1.1.1.1: whose userPrincipalName is not set has this one; one that
            # is set goes by itself, so that two people never share a login.
            yield And((same, Not(Present("userPrincipalName"))))

    def _reached_at(self, address: Address) -> tuple[Filter, ...]:
        return tuple(
            each
            for text in _spellings(address)
            for each in (
                *(Equal(name, text) for name in self.address_attributes),
                *(Equal(name, f"smtp:{text}") for name in self.prefixed_address_attributes),
            )
        )


def _spellings(address: Address) -> tuple[str, ...]:
    """As a directory may have it: an international domain in A-labels or U-labels (RFC 5890)."""
    if "xn--" not in address.domain:
        return (str(address),)
    try:
        domain = idna.decode(address.domain)
    except (idna.IDNAError, UnicodeError):
        return (str(address),)
    return (str(address), str(Address(address.local_part, domain)))
