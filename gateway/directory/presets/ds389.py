"""389 Directory Server, Red Hat's and what Sun's has become: Netscape's mail attributes and states.

nsAccountLock, accountUnlockTime and passwordExpirationTime are operational: they come because they
are asked for by name.
"""

from __future__ import annotations

from dataclasses import replace

from gateway.directory.presets.openldap import OPENLDAP
from gateway.directory.states import Ahead, Effect, Passed, StateRule
from gateway.directory.times import TimeForm
from gateway.wire.ldap.filters import Equal, Or

DISABLED = StateRule(
    Effect.DISABLED,
    Equal("nsAccountLock", "true"),
    "disabled by an administrator (nsAccountLock)",
)
LOCKED = (
    StateRule(
        Effect.LOCKED,
        Ahead("accountUnlockTime", TimeForm.GENERALISED),
        "locked after failed logins (accountUnlockTime)",
    ),
    StateRule(
        Effect.LOCKED,
        # Where a policy has passwordUnlock off: until an administrator resets the password.
        Equal("accountUnlockTime", "19700101000000Z"),
        "locked after failed logins until it is unlocked by hand (accountUnlockTime)",
    ),
)
PASSWORD_EXPIRED = StateRule(
    Effect.LOCKED,
    # 19700101000000Z: an administrator has set it, and it must be changed.
    Passed("passwordExpirationTime", TimeForm.GENERALISED),
    "the password has expired or must be changed (passwordExpirationTime)",
)

DS389 = replace(
    OPENLDAP,
    id_attribute="nsUniqueId",
    address_attributes=("mail", "mailAlternateAddress", "mailLocalAddress"),
    prefixed_address_attributes=(),
    # Of Netscape's messaging server: what is not among the options is not done.
    forwards=Equal("mailDeliveryOption", "forward"),
    keeps_copy=Equal("mailDeliveryOption", "mailbox"),
    states=(DISABLED, *LOCKED, PASSWORD_EXPIRED),
    last_login=("lastLoginTime", TimeForm.GENERALISED),  # of its account policy plugin
    group=Or(
        (
            Equal("objectClass", "groupOfNames"),
            Equal("objectClass", "groupOfUniqueNames"),
            Equal("objectClass", "mailGroup"),
            Equal("objectClass", "posixGroup"),
            Equal("objectClass", "groupOfURLs"),
        )
    ),
    member_attributes=("member", "uniqueMember", "mgrpRFC822MailMember"),
)
