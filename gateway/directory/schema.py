"""Which attributes and filters a kind of directory uses: a preset is one row of PRESETS.

Owns the map from the directory's words to the gateway's; settings override single fields with
``dataclasses.replace``. Never talks to a server and never reads an entry (see ``entries``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields

import idna

from gateway.core.address import Address
from gateway.directory.groups.words import STANDARD_WORDS, GroupWords
from gateway.wire.ldap.filters import (
    And,
    Equal,
    Filter,
    FilterSyntax,
    Or,
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
        disabled: people who match may not log in; None when the directory has no such state.
        id_attribute: immutable id of an entry, the store's key.
        login_attributes: what people may type as login; the first one that an entry has gives the
            canonical login.
        address_attributes: plain addresses; the first value of the first one is the primary.
        prefixed_address_attributes: addresses behind ``smtp:`` (``SMTP:`` marks the primary one);
            values with other prefixes are no mail addresses.
        display_attributes: the person's name, the first one that an entry has.
        quota_attributes: how much the person may keep, the first one that an entry has.
        next_hop_attributes: whose mail server takes the person's mail: a host name or a server's
            URL, of the first one that an entry has.
        routing_address_attributes: the address that it goes to instead, likewise.
        secret_attribute: SCRAM verifiers as RFC 5803 has them; empty: they are not read.
        certificate_attribute: names of client certificates; empty: those name logins or addresses.
        group: which entries are groups, with addresses in the same attributes as people; None: the
            directory has none.
        member_attributes: of groups; values are DNs of members or their addresses.
        member_of_attributes: of people; DNs of groups they are in, where the server tells.
        about_groups: what else it says about groups.
        members: of one group, all in all; a larger one gets no mail (ExpansionFailed).
    """

    person: Filter
    disabled: Filter | None
    id_attribute: str
    login_attributes: tuple[str, ...]
    address_attributes: tuple[str, ...]
    prefixed_address_attributes: tuple[str, ...]
    display_attributes: tuple[str, ...]
    quota_attributes: tuple[str, ...] = ()
    next_hop_attributes: tuple[str, ...] = ()
    routing_address_attributes: tuple[str, ...] = ()
    secret_attribute: str = ""
    certificate_attribute: str = ""
    group: Filter | None = None
    member_attributes: tuple[str, ...] = ()
    member_of_attributes: tuple[str, ...] = ()
    about_groups: GroupWords = STANDARD_WORDS
    members: int = MEMBERS

    def __post_init__(self) -> None:
        for name in (*self._names(), *self.member_attributes, *self.member_of_attributes):
            check_attribute(name)
        for name in filter(None, (self.secret_attribute, self.certificate_attribute)):
            check_attribute(name)
        if not self.login_attributes:
            raise FilterSyntax("at least one login attribute is needed")
        if not self.address_attributes and not self.prefixed_address_attributes:
            raise FilterSyntax("at least one address attribute is needed")

    def _names(self) -> Iterator[str]:
        yield self.id_attribute
        for field in fields(self):
            # What only groups are asked for would make every look-up of a person larger.
            if field.name.endswith("_attributes") and not field.name.startswith("member_"):
                yield from getattr(self, field.name)

    @property
    def requested(self) -> tuple[str, ...]:
        """All attributes that a search must bring."""
        return self._each_once(self._names(), self.person, self.disabled)

    @property
    def requested_with_secret(self) -> tuple[str, ...]:
        """The same and the secret, which nothing else has to bring."""
        return (*self.requested, self.secret_attribute)

    @property
    def requested_of_recipients(self) -> tuple[str, ...]:
        """The same where the answer may be a group."""
        return self._each_once(
            (*self._names(), *self.member_attributes, *self.about_groups.of_groups),
            self.person,
            self.disabled,
            self.group,
            self.about_groups.left_out,
        )

    @property
    def requested_of_members(self) -> tuple[str, ...]:
        """The same of a person whose groups are asked for."""
        return self._each_once(
            (*self._names(), *self.member_of_attributes, *self.about_groups.of_people),
            self.person,
            self.disabled,
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
        return And((self.person, Equal(self.id_attribute, account_id)))

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
        return tuple(Equal(name, login) for name in self.login_attributes)

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


OPENLDAP = Schema(
    person=Equal("objectClass", "inetOrgPerson"),
    # draft-behera-ldap-password-policy-11 section 5.3.3: locked by an administrator, for good. A
    # lock that failed logins caused has another value and must not stop a person's mail.
    disabled=Equal("pwdAccountLockedTime", "000001010000Z"),
    id_attribute="entryUUID",  # RFC 4530
    login_attributes=("uid", "mail"),
    address_attributes=("mail", "mailAlternateAddress", "mailLocalAddress"),
    prefixed_address_attributes=("proxyAddresses",),
    display_attributes=("displayName", "cn"),
    quota_attributes=("mailQuota",),  # of qmail-ldap's schema, which others have taken over
    # inetLocalMailRecipient (draft-lachman-laser-ldap-mail-routing-02), as mailLocalAddress is
    next_hop_attributes=("mailHost",),
    routing_address_attributes=("mailRoutingAddress",),
    group=Or(
        (
            Equal("objectClass", "groupOfNames"),
            Equal("objectClass", "groupOfUniqueNames"),
            Equal("objectClass", "mailGroup"),
            Equal("objectClass", "nisMailAlias"),
            Equal("objectClass", "posixGroup"),
            Equal("objectClass", "groupOfURLs"),
        )
    ),
    member_attributes=("member", "uniqueMember", "mgrpRFC822MailMember", "rfc822MailMember"),
    member_of_attributes=("memberOf",),  # of OpenLDAP's overlay, also elsewhere
)
"""OpenLDAP with inetOrgPerson (RFC 2798); attributes that the server does not know match nobody."""

PRESETS: Mapping[str, Schema] = {
    "openldap": OPENLDAP,
    # Every field of it may be overridden; starting from a working row keeps the settings short.
    "custom": OPENLDAP,
}
