"""lldap: a small directory with few attributes, which complains in its log of those it lacks.

It knows no account states: who is not to log in is taken out of it or of a group that
``person_filter`` asks for. Its entryUUID is made of the name and the time of creation, and a name
never changes there. Attributes that an administrator adds to it are named in the settings.
"""

from __future__ import annotations

from gateway.directory.groups.words import GroupWords
from gateway.directory.schema import Schema
from gateway.wire.ldap.filters import Equal

LLDAP = Schema(
    person=Equal("objectClass", "person"),
    id_attribute="entryUUID",
    login_attributes=("uid", "mail"),
    address_attributes=("mail",),
    prefixed_address_attributes=(),
    display_attributes=("displayName", "cn"),
    group=Equal("objectClass", "groupOfUniqueNames"),
    member_attributes=("member",),
    member_of_attributes=("memberOf",),
    about_groups=GroupWords(member_logins=(), member_urls=(), owners=()),
)
