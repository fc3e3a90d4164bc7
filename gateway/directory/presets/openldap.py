"""OpenLDAP with inetOrgPerson (RFC 2798), and what mail servers have added to it.

Attributes that the server does not know match nobody (RFC 4511 section 4.5.1.7), so the map names
those of several schemas: inetLocalMailRecipient (draft-lachman-laser-ldap-mail-routing-02),
qmail-ldap's, Exchange's ``proxyAddresses``, ``mailAlias`` of the Postfix book.
"""

from __future__ import annotations

from gateway.directory.schema import Schema
from gateway.directory.states import Ahead, Effect, Lately, Passed, StateRule
from gateway.directory.times import TimeForm
from gateway.wire.ldap.filters import And, Equal, Not, Or

LOCK_BELIEVED_S = 3600.0
"""OpenLDAP leaves the time of a lock in the entry until the next login that works, and how long it
lasts in a policy elsewhere. A bind tells; for whoever does not bind it counts so long."""

DISABLED_BY_HAND = StateRule(
    Effect.DISABLED,
    # draft-behera-ldap-password-policy-11 section 5.3.3: locked by an administrator, for good. A
    # lock that failed logins caused has another value and must not stop a person's mail.
    Equal("pwdAccountLockedTime", "000001010000Z"),
    "locked by an administrator (pwdAccountLockedTime)",
)

STATES = (
    DISABLED_BY_HAND,
    # Section 5.3.10 and 5.3.11, which OpenLDAP has from 2.5 on.
    StateRule(
        Effect.DISABLED,
        Passed("pwdEndTime", TimeForm.GENERALISED),
        "the account has expired (pwdEndTime)",
    ),
    StateRule(
        Effect.DISABLED,
        Ahead("pwdStartTime", TimeForm.GENERALISED),
        "the account is not valid yet (pwdStartTime)",
    ),
    StateRule(
        Effect.LOCKED,
        Lately("pwdAccountLockedTime", TimeForm.GENERALISED, LOCK_BELIEVED_S),
        "locked after failed logins (pwdAccountLockedTime)",
        fleeting=True,
    ),
    StateRule(
        Effect.LOCKED,
        Equal("pwdReset", "TRUE"),
        "the password must be changed first (pwdReset)",
    ),
)

OPENLDAP = Schema(
    person=Equal("objectClass", "inetOrgPerson"),
    id_attribute="entryUUID",  # RFC 4530
    login_attributes=("uid", "mail"),
    address_attributes=("mail", "mailAlternateAddress", "mailLocalAddress", "mailAlias"),
    prefixed_address_attributes=("proxyAddresses",),
    display_attributes=("displayName", "cn"),
    quota_attributes=("mailQuota",),  # of qmail-ldap's schema, which others have taken over
    next_hop_attributes=("mailHost",),
    routing_address_attributes=("mailRoutingAddress",),
    forwarding_attributes=("mailForwardingAddress",),
    # Of qmail-ldap: a mode that may have several values; without one, mail is kept and forwarded.
    forwards=Not(Equal("deliveryMode", "noforward")),
    keeps_copy=Not(
        Or(
            (
                Equal("deliveryMode", "nolocal"),
                Equal("deliveryMode", "forwardonly"),
                # Of Netscape's messaging server, which others have taken over
                And(
                    (
                        Equal("mailDeliveryOption", "forward"),
                        Not(Equal("mailDeliveryOption", "mailbox")),
                    )
                ),
            )
        )
    ),
    states=STATES,
    last_login=("pwdLastSuccess", TimeForm.GENERALISED),  # of "lastbind on", from 2.5 on
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
