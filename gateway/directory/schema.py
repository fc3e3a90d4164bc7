"""Which attributes and filters a kind of directory uses: a preset is one row of PRESETS.

Owns the map from the directory's words to the gateway's; settings override single fields with
``dataclasses.replace``. Never talks to a server and never reads an entry (see ``entries``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields

from gateway.core.address import Address
from gateway.directory.filters import (
    And,
    Equal,
    Filter,
    FilterSyntax,
    Or,
    attributes_of,
    check_attribute,
)


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
    """

    person: Filter
    disabled: Filter | None
    id_attribute: str
    login_attributes: tuple[str, ...]
    address_attributes: tuple[str, ...]
    prefixed_address_attributes: tuple[str, ...]
    display_attributes: tuple[str, ...]
    quota_attributes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in self._names():
            check_attribute(name)
        if not self.login_attributes:
            raise FilterSyntax("at least one login attribute is needed")
        if not self.address_attributes and not self.prefixed_address_attributes:
            raise FilterSyntax("at least one address attribute is needed")

    def _names(self) -> Iterator[str]:
        yield self.id_attribute
        for field in fields(self):
            if field.name.endswith("_attributes"):
                yield from getattr(self, field.name)

    @property
    def requested(self) -> tuple[str, ...]:
        """All attributes that a search must bring."""
        names = [*self._names(), *attributes_of(self.person)]
        if self.disabled is not None:
            names += attributes_of(self.disabled)
        return tuple({name.lower(): name for name in reversed(names)}.values())

    def by_login(self, login: str) -> Filter:
        """Who has this login."""
        return And((self.person, Or(self._logged_in_as(login))))

    def by_address(self, address: Address) -> Filter:
        """Who has this mail address, primary or other."""
        return And((self.person, Or(self._reached_at(address))))

    def by_login_or_address(self, login: str, address: Address | None) -> Filter:
        """Who has this login or, unless it is None, this address; more than one may."""
        reached = self._reached_at(address) if address is not None else ()
        return And((self.person, Or((*self._logged_in_as(login), *reached))))

    def _logged_in_as(self, login: str) -> tuple[Filter, ...]:
        return tuple(Equal(name, login) for name in self.login_attributes)

    def _reached_at(self, address: Address) -> tuple[Filter, ...]:
        text = str(address)
        return (
            *(Equal(name, text) for name in self.address_attributes),
            *(Equal(name, f"smtp:{text}") for name in self.prefixed_address_attributes),
        )


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
)
"""OpenLDAP with inetOrgPerson (RFC 2798); attributes that the server does not know match nobody."""

PRESETS: Mapping[str, Schema] = {
    "openldap": OPENLDAP,
    # Every field of it may be overridden; starting from a working row keeps the settings short.
    "custom": OPENLDAP,
}
