"""Active Directory, with or without Exchange's attributes, and Samba's domain controllers.

``otherMailbox`` is no address: it holds private addresses of other domains, and often people or
their help desk may write it, who could claim addresses of others by it. Who wants it names it in
``address_attributes``. proxyAddresses are the administrator's; of them those with ``smtp:`` count
(SECURITY L17).
"""

from __future__ import annotations

from gateway.directory.groups.words import ACTIVE_DIRECTORY
from gateway.directory.schema import Schema
from gateway.directory.states import BitSet, Effect, Passed, StateRule
from gateway.directory.times import TimeForm
from gateway.wire.ldap.filters import And, Equal, Not, Or, Present

# MS-ADTS sections 2.2.16 and 3.1.1.4.5.17: msDS-User-Account-Control-Computed is worked out for
# each answer, with the domain's policies.
_ACCOUNT_DISABLED = 0x2
_LOCKED_OUT = 0x10
_PASSWORD_EXPIRED = 0x800000
_COMPUTED = "msDS-User-Account-Control-Computed"

_USER = Equal("sAMAccountType", "805306368")
"""SAM_NORMAL_USER_ACCOUNT: people, and neither computers nor trusts; one index has it."""

_ANY_CONTACT = Equal("objectClass", "contact")
_CONTACT = And((_ANY_CONTACT, Present("targetAddress")))
"""Somebody whose mail is elsewhere, under an address of ours."""

_NOBODYS = Or(
    tuple(Equal("msExchRecipientTypeDetails", number) for number in ("2", "4", "16", "32"))
)
"""Exchange's linked and shared mailboxes, rooms and devices: their accounts are disabled so that
nobody logs in, and their mail comes all the same."""

STATES = (
    StateRule(
        Effect.DISABLED,
        BitSet("userAccountControl", _ACCOUNT_DISABLED),
        "disabled by an administrator (userAccountControl)",
        unless=_NOBODYS,
    ),
    StateRule(
        Effect.LOCKED,
        BitSet("userAccountControl", _ACCOUNT_DISABLED),
        "a mailbox that is shared, of a room or a device, or of an account in another forest",
        unless=Not(_NOBODYS),
    ),
    StateRule(
        Effect.DISABLED,
        Passed("accountExpires", TimeForm.FILETIME),
        "the account has expired (accountExpires)",
    ),
    StateRule(
        Effect.LOCKED,
        BitSet(_COMPUTED, _LOCKED_OUT),
        "locked after failed logins (lockoutTime)",
        fleeting=True,
    ),
    StateRule(
        Effect.LOCKED,
        BitSet(_COMPUTED, _PASSWORD_EXPIRED),
        "the password has expired or must be changed",
    ),
    StateRule(
        Effect.LOCKED,
        # Tells when; the bit is as old as the answer.
        Passed("msDS-UserPasswordExpiryTimeComputed", TimeForm.FILETIME),
        "the password has expired or must be changed",
    ),
    StateRule(Effect.LOCKED, _CONTACT, "a contact, who has no password here"),
)

AD = Schema(
    person=Or((_USER, _CONTACT)),
    id_attribute="objectGUID",
    id_is_octets=True,
    login_attributes=("sAMAccountName", "userPrincipalName", "mail"),
    account_name_attribute="sAMAccountName",
    address_attributes=("mail",),
    prefixed_address_attributes=("proxyAddresses",),
    display_attributes=("displayName", "cn"),
    # Exchange's "prohibit send and receive", in KiB; without the others, which only warn or stop
    # sending.
    quota_attributes=("mDBOverHardQuotaLimit",),
    quota_unit_octets=1024,
    no_quota=Equal("mDBUseDefaults", "TRUE"),
    # Of a contact, or a mailbox that has moved; ``SMTP:`` before it.
    routing_address_attributes=("targetAddress",),
    forwarding_attributes=("msExchGenericForwardingAddress",),
    forwarding_link_attributes=("altRecipient",),
    keeps_copy=Equal("deliverAndRedirect", "TRUE"),
    states=STATES,
    last_login=("lastLogonTimestamp", TimeForm.FILETIME),  # up to two weeks behind
    group=Or(
        (Equal("objectClass", "group"), Equal("objectClass", "msExchDynamicDistributionList"))
    ),
    contact=_ANY_CONTACT,
    member_attributes=("member",),
    member_of_attributes=("memberOf",),
    about_groups=ACTIVE_DIRECTORY,
)

SAMBA = AD
"""Samba's schema has nothing of Exchange but proxyAddresses; what somebody has put there means the
same, and what is not there matches nobody."""
