"""What a kind of directory calls what it says about groups: a part of its ``Schema``.

Owns names of attributes alone. Never reads an entry (see ``members``, ``dynamic``, ``posting``).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields

from gateway.wire.ldap.filters import Filter, check_attribute


@dataclass(frozen=True, slots=True)
class GroupWords:
    """Empty names: the directory has no such thing.

    Args:
        dn: an entry's own name as something that can be searched for: RFC 5020, or AD's.
        member_logins: members by login name (RFC 2307 section 2.2, posixGroup).
        member_urls: members by search, as LDAP URLs (groupOfURLs).
        member_filter, member_base: the same as a filter and the entry below which it counts
            (Exchange's dynamic distribution groups).
        primary_group: of people: the last number of the SID of the group that they are in without
            being named there (SECURITY L18).
        sid: of groups: what that number is the end of.
        chain_rule: matching rule that follows membership through groups, where the root DSE says
            that the server is Active Directory.
        owners: DNs of those who answer for a group.
        posters: DNs of the people and groups who alone may write to it.
        refused_posters: likewise, who may not.
        authenticated_posters: TRUE: nobody may who has not logged in.
        delegates: DNs of the people and groups who may send in its name.
        left_out: members that match get no mail by way of groups; None: all get it.
        leaves_out_disabled: nor do members who are disabled.
    """

    dn: str = "entryDN"
    member_logins: tuple[str, ...] = ("memberUid",)
    member_urls: tuple[str, ...] = ("memberURL",)
    member_filter: str = ""
    member_base: str = ""
    primary_group: str = ""
    sid: str = ""
    chain_rule: str = ""
    owners: tuple[str, ...] = ("owner",)
    posters: tuple[str, ...] = ()
    refused_posters: tuple[str, ...] = ()
    authenticated_posters: str = ""
    delegates: tuple[str, ...] = ()
    left_out: Filter | None = None
    leaves_out_disabled: bool = False

    def __post_init__(self) -> None:
        for name in (self.dn, *self.of_groups, *self.of_people):
            check_attribute(name)

    @property
    def of_groups(self) -> tuple[str, ...]:
        """What has to be asked for of a group."""
        return tuple(name for name in self._names() if name not in (self.dn, self.primary_group))

    @property
    def of_people(self) -> tuple[str, ...]:
        """What has to be asked for of a person, to know their groups."""
        return tuple(filter(None, (self.primary_group, self.sid)))

    def _names(self) -> Iterator[str]:
        for each in fields(self):
            value = getattr(self, each.name)
            if each.name in ("chain_rule", "left_out", "leaves_out_disabled") or not value:
                continue
            if isinstance(value, str):
                yield value
            else:
                yield from value


STANDARD_WORDS = GroupWords()

ACTIVE_DIRECTORY = GroupWords(
    dn="distinguishedName",
    member_logins=(),
    member_urls=(),
    member_filter="msExchDynamicDLFilter",
    member_base="msExchDynamicDLBaseDN",
    primary_group="primaryGroupID",
    sid="objectSid",
    chain_rule="1.2.840.113556.1.4.1941",  # MS-ADTS section 3.1.1.3.4.4.3
    owners=("managedBy", "msExchCoManagedByLink"),
    posters=("authOrig", "dLMemSubmitPerms"),
    refused_posters=("unauthOrig", "dLMemRejectPerms"),
    authenticated_posters="msExchRequireAuthToSendTo",
    delegates=("publicDelegates",),
)
"""Also where Exchange is elsewhere or long gone: its words for groups stay, and are still meant."""
