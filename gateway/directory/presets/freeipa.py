"""FreeIPA: a 389 Directory Server with users below ``cn=users,cn=accounts``.

``base_dn`` is ``cn=accounts,…``: the tree ``cn=compat`` shows everybody a second time. That a
Kerberos password has expired (krbPasswordExpiration) stops a bind only where an administrator says
so, so it is left to the bind.
"""

from __future__ import annotations

from dataclasses import replace

from gateway.directory.presets.ds389 import DISABLED, DS389, LOCKED
from gateway.directory.states import Effect, Passed, StateRule
from gateway.directory.times import TimeForm
from gateway.wire.ldap.filters import And, Equal, Or

FREEIPA = replace(
    DS389,
    # The compat tree has posixAccount alone.
    person=And((Equal("objectClass", "inetOrgPerson"), Equal("objectClass", "posixAccount"))),
    id_attribute="ipaUniqueID",
    login_attributes=("uid", "mail", "krbPrincipalName"),
    address_attributes=("mail", "mailAlternateAddress"),
    states=(
        DISABLED,
        StateRule(
            Effect.DISABLED,
            Passed("krbPrincipalExpiration", TimeForm.GENERALISED),
            "the account has expired (krbPrincipalExpiration)",
        ),
        *LOCKED,
    ),
    last_login=("krbLastSuccessfulAuth", TimeForm.GENERALISED),
    group=Or((Equal("objectClass", "ipaUserGroup"), Equal("objectClass", "mailGroup"))),
    member_attributes=("member", "mgrpRFC822MailMember"),
)
