"""Every preset on entries as its servers show them: who they are, where mail goes, who may log in.

A row is an entry, and what of its account is not as of anybody else (SECURITY L13, L16, L17, L25).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from gateway.core.account import Account, Elsewhere
from gateway.core.address import Address
from gateway.core.quota import Allowance
from gateway.directory.entries import Entry, account_from, links_of
from gateway.directory.presets.table import KINDS, PRESETS
from gateway.wire.ldap.filters import matches

NOW = 1_750_000_000.0  # 15 June 2025
AHEAD, PAST = "20260101000000Z", "20250101000000Z"
AHEAD_S, PAST_S = 1_767_225_600.0, 1_735_689_600.0
FILETIME_AHEAD = str(int((AHEAD_S + 11_644_473_600) * 10**7))
FILETIME_PAST = str(int((PAST_S + 11_644_473_600) * 10**7))
NEVER = str(2**63 - 1)
X_AT = "x@far.example"
X = Address("x", "far.example")
GUID = bytes(range(0x80, 0x90))

Values = str | bytes | Sequence[str]

BASIC: Mapping[str, Mapping[str, Values]] = {
    "ad": {
        "objectClass": ["top", "person", "organizationalPerson", "user"],
        "sAMAccountType": "805306368",
        "objectGUID": GUID,
        "sAMAccountName": "Anna",
        "userPrincipalName": "anna@corp.example.com",
        "mail": "Anna.Schmidt@example.com",
        "displayName": "Schmidt, Anna",
        "userAccountControl": "66048",
        "accountExpires": NEVER,
        "msDS-User-Account-Control-Computed": "0",
        "msDS-UserPasswordExpiryTimeComputed": NEVER,
    },
    "openldap": {
        "objectClass": ["inetOrgPerson"],
        "entryUUID": "F81D4FAE-7DEC-11D0-A765-00A0C91E6BF6",
        "uid": "Anna",
        "mail": "Anna.Schmidt@example.com",
        "cn": "Anna Schmidt",
    },
    "389ds": {
        "objectClass": ["top", "person", "inetOrgPerson", "mailRecipient"],
        "nsUniqueId": "6a98b11a-e65b11f1-91d2b655-6e6a7ede",
        "uid": "anna",
        "mail": "anna.schmidt@example.com",
        "cn": "Anna Schmidt",
        "passwordExpirationTime": AHEAD,
    },
    "freeipa": {
        "objectClass": ["inetorgperson", "posixaccount", "krbprincipalaux", "ipaobject"],
        "ipaUniqueID": "3d2bb2e4-9b6b-11ee-8f6c-525400a1b2c3",
        "uid": "anna",
        "krbPrincipalName": "anna@EXAMPLE.COM",
        "mail": "anna.schmidt@example.com",
        "displayName": "Anna Schmidt",
        "nsAccountLock": "FALSE",
        "krbPasswordExpiration": PAST,
    },
    "lldap": {
        "objectClass": ["inetOrgPerson", "posixAccount", "mailAccount", "person"],
        "entryUUID": "04ac75e0-2900-3e21-926c-2f732c26b3fc",
        "uid": "anna",
        "mail": "anna.schmidt@example.com",
        "cn": "Anna Schmidt",
    },
}
IDS = {
    "ad": GUID.hex(),
    "openldap": "f81d4fae-7dec-11d0-a765-00a0c91e6bf6",
    "389ds": "6a98b11a-e65b11f1-91d2b655-6e6a7ede",
    "freeipa": "3d2bb2e4-9b6b-11ee-8f6c-525400a1b2c3",
    "lldap": "04ac75e0-2900-3e21-926c-2f732c26b3fc",
}


def entry_of(preset: str, **changes: Values) -> Entry:
    """A usual entry of this kind with some attributes changed; None-like ``""`` takes one away."""
    told = {**BASIC[preset], **changes}
    return Entry(
        "cn=Anna,dc=example,dc=com",
        {
            name.lower().replace("_", "-"): [
                value if isinstance(value, bytes) else value.encode()
                for value in ([values] if isinstance(values, str | bytes) else values)
            ]
            for name, values in told.items()
            if values
        },
    )


def account_of(preset: str, **changes: Values) -> Account:
    entry = entry_of(preset, **changes)
    schema = replace(PRESETS[preset], wall_clock=lambda: NOW)
    assert matches(schema.person, entry.attributes)
    return account_from(entry, schema)


@pytest.mark.parametrize("preset", BASIC)
def test_L13_a_usual_person(preset: str) -> None:
    account = account_of(preset)
    assert account == Account(
        account_id=IDS[preset],  # type: ignore[arg-type]
        login="anna",
        primary_address="anna.schmidt@example.com",
        addresses=("anna.schmidt@example.com",),
        display_name="Schmidt, Anna" if preset == "ad" else "Anna Schmidt",
        state_until=AHEAD_S if preset == "389ds" else 0.0,
    )


def test_every_preset_has_a_kind() -> None:
    assert PRESETS.keys() == KINDS.keys()
    assert PRESETS["samba"] is PRESETS["ad"]


DISABLED, LOCKED, FINE = (False, False), (True, True), (True, False)
BOTH = (False, True)


@pytest.mark.parametrize(
    ("preset", "changes", "state", "until"),
    [
        # MS-ADTS section 2.2.16: ACCOUNTDISABLE is bit 2, whatever else is set (66050 = 66048 + 2)
        ("ad", {"userAccountControl": "514"}, DISABLED, 0),
        ("ad", {"userAccountControl": "66050"}, DISABLED, 0),
        ("ad", {"userAccountControl": "512"}, FINE, 0),
        ("ad", {"userAccountControl": ""}, FINE, 0),
        ("ad", {"userAccountControl": "many"}, FINE, 0),
        ("ad", {"userAccountControl": "-2"}, DISABLED, 0),
        ("ad", {"accountExpires": "0"}, FINE, 0),
        ("ad", {"accountExpires": FILETIME_PAST}, DISABLED, 0),
        ("ad", {"accountExpires": FILETIME_AHEAD}, FINE, AHEAD_S),
        ("ad", {"accountExpires": "9" * 25}, FINE, 0),
        ("ad", {"msDS_User_Account_Control_Computed": "16"}, LOCKED, NOW + 60),
        ("ad", {"msDS_User_Account_Control_Computed": "8388608"}, LOCKED, 0),
        ("ad", {"msDS_User_Account_Control_Computed": "8388624"}, LOCKED, NOW + 60),
        ("ad", {"msDS_UserPasswordExpiryTimeComputed": FILETIME_PAST}, LOCKED, 0),
        ("ad", {"msDS_UserPasswordExpiryTimeComputed": FILETIME_AHEAD}, FINE, AHEAD_S),
        # Exchange's shared mailboxes: disabled on purpose, and their mail comes.
        ("ad", {"userAccountControl": "514", "msExchRecipientTypeDetails": "4"}, LOCKED, 0),
        ("ad", {"userAccountControl": "514", "msExchRecipientTypeDetails": "1"}, DISABLED, 0),
        (
            "ad",
            {"userAccountControl": "514", "msDS_User_Account_Control_Computed": "16"},
            BOTH,
            NOW + 60,
        ),
        ("openldap", {"pwdAccountLockedTime": "000001010000Z"}, DISABLED, 0),
        ("openldap", {"pwdAccountLockedTime": "20250615150000Z"}, LOCKED, NOW + 60),
        ("openldap", {"pwdAccountLockedTime": PAST}, FINE, 0),
        ("openldap", {"pwdReset": "TRUE"}, LOCKED, 0),
        ("openldap", {"pwdReset": "FALSE"}, FINE, 0),
        ("openldap", {"pwdEndTime": PAST}, DISABLED, 0),
        ("openldap", {"pwdEndTime": AHEAD}, FINE, AHEAD_S),
        ("openldap", {"pwdStartTime": AHEAD}, DISABLED, AHEAD_S),
        ("openldap", {"pwdStartTime": PAST}, FINE, 0),
        ("389ds", {"nsAccountLock": "true"}, DISABLED, AHEAD_S),
        ("389ds", {"nsAccountLock": "TRUE"}, DISABLED, AHEAD_S),
        ("389ds", {"nsAccountLock": "false"}, FINE, AHEAD_S),
        ("389ds", {"accountUnlockTime": AHEAD}, LOCKED, AHEAD_S),
        ("389ds", {"accountUnlockTime": PAST}, FINE, AHEAD_S),
        ("389ds", {"accountUnlockTime": "19700101000000Z"}, LOCKED, AHEAD_S),
        ("389ds", {"passwordExpirationTime": PAST}, LOCKED, 0),
        ("389ds", {"passwordExpirationTime": "19700101000000Z"}, LOCKED, 0),
        ("389ds", {"passwordExpirationTime": "soon"}, FINE, 0),
        ("freeipa", {"nsAccountLock": "TRUE"}, DISABLED, 0),
        ("freeipa", {"krbPrincipalExpiration": PAST}, DISABLED, 0),
        ("freeipa", {"krbPrincipalExpiration": AHEAD}, FINE, AHEAD_S),
        ("freeipa", {"krbPasswordExpiration": PAST}, FINE, 0),
        ("lldap", {"nsAccountLock": "TRUE"}, FINE, 0),
    ],
)
def test_L16_states(
    preset: str, changes: dict[str, Any], state: tuple[bool, bool], until: float
) -> None:
    account = account_of(preset, **changes)
    assert (account.enabled, account.locked) == state
    assert bool(account.condition) == (state != FINE)
    assert account.state_until == until


def test_L17_proxy_addresses() -> None:
    account = account_of(
        "ad",
        mail="old@example.com",
        proxyAddresses=[
            "smtp:anna@example.com",
            "SMTP:Primary@example.com",
            "X400:c=DE;a= ;p=Example",
            "SIP:anna@example.com",
            "x500:/o=Example/cn=anna",
            "smtp:broken\r\nRCPT TO:<x@example.com>",
            "smtp:",
            "anna-without-prefix@example.com",
        ],
        otherMailbox="anna@private.example",
    )
    assert account.primary_address == "primary@example.com"
    assert set(account.addresses[1:]) == {"old@example.com", "anna@example.com"}


@pytest.mark.parametrize(
    ("preset", "changes", "elsewhere"),
    [
        (
            "openldap",
            {"mailHost": "old.example.com"},
            Elsewhere("old.example.com", "smtp://old.example.com:25"),
        ),
        ("openldap", {"mailForwardingAddress": X_AT}, Elsewhere(forwards=(X,))),
        (
            "openldap",
            {"mailForwardingAddress": [X_AT, "y@far.example"], "deliveryMode": "nolocal"},
            Elsewhere(forwards=(X, Address("y", "far.example")), keeps_copy=False),
        ),
        ("openldap", {"mailForwardingAddress": X_AT, "deliveryMode": "noforward"}, None),
        (
            "openldap",
            {"mailForwardingAddress": X_AT, "mailDeliveryOption": "forward"},
            Elsewhere(forwards=(X,), keeps_copy=False),
        ),
        ("389ds", {"mailForwardingAddress": X_AT}, None),
        (
            "389ds",
            {"mailForwardingAddress": X_AT, "mailDeliveryOption": ["forward", "mailbox"]},
            Elsewhere(forwards=(X,)),
        ),
        (
            "ad",
            {"msExchGenericForwardingAddress": "smtp:x@far.example", "deliverAndRedirect": "TRUE"},
            Elsewhere(forwards=(X,)),
        ),
        (
            "ad",
            {"msExchGenericForwardingAddress": "smtp:x@far.example"},
            Elsewhere(forwards=(X,), keeps_copy=False),
        ),
        (
            "ad",
            {"targetAddress": "SMTP:anna@tenant.example"},
            Elsewhere(address=Address("anna", "tenant.example")),
        ),
        ("lldap", {"mailHost": "old.example.com"}, None),
    ],
)
def test_where_mail_goes(preset: str, changes: dict[str, Any], elsewhere: Elsewhere | None) -> None:
    assert account_of(preset, **changes).elsewhere == elsewhere


@pytest.mark.parametrize(
    ("preset", "changes"),
    [
        ("openldap", {"mailForwardingAddress": "nobody"}),
        ("openldap", {"mailForwardingAddress": [X_AT, "a\r\nb@far.example"]}),
        (
            "openldap",
            {"mailForwardingAddress": [f"x{number}@far.example" for number in range(101)]},
        ),
        ("ad", {"targetAddress": "X400:c=DE;p=Example"}),
        ("ad", {"msExchGenericForwardingAddress": b"smtp:\xff@far.example"}),
        ("ad", {"altRecipient": "CN=Not looked for,DC=example,DC=com"}),
    ],
)
def test_L25_what_cannot_be_used_lets_the_mail_wait(preset: str, changes: dict[str, Any]) -> None:
    elsewhere = account_of(preset, **changes).elsewhere
    assert elsewhere is not None and elsewhere.trouble


def test_forwarding_by_an_entry_needs_that_entry() -> None:
    dn = "CN=Bert,DC=example,DC=com"
    entry = entry_of("ad", altRecipient=dn, msExchGenericForwardingAddress="smtp:x@far.example")
    schema = PRESETS["ad"]
    assert links_of(entry, schema) == (dn,)
    # Nobody has looked: whoever keeps this account has to ask for it again at once.
    assert 0 < account_from(entry, schema).state_until < NOW
    bert = entry_of("ad", mail="bert@example.com")
    known = account_from(entry, schema, {"cn=bert,dc=example,dc=com": bert})
    assert known.elsewhere == Elsewhere(
        forwards=(Address("bert", "example.com"),), keeps_copy=False
    )
    assert known.state_until == 0
    gone = account_from(entry, schema, {})
    assert gone.elsewhere is not None and gone.elsewhere.trouble
    assert gone.state_until == 0


def test_contacts_have_mail_and_no_login() -> None:
    contact = Entry(
        "CN=Partner,DC=example,DC=com",
        {
            "objectclass": [b"top", b"contact"],
            "objectguid": [GUID],
            "mail": [b"partner@example.com"],
            "targetaddress": [b"SMTP:partner@far.example"],
        },
    )
    schema = PRESETS["ad"]
    assert matches(schema.person, contact.attributes)
    account = account_from(contact, schema)
    assert account.enabled and account.locked and "contact" in account.condition
    assert account.elsewhere == Elsewhere(address=Address("partner", "far.example"))


@pytest.mark.parametrize(
    ("changes", "allowance"),
    [
        ({"mDBOverHardQuotaLimit": "1048576"}, Allowance(octets=2**30)),
        ({"mDBOverHardQuotaLimit": "1048576", "mDBUseDefaults": "FALSE"}, Allowance(octets=2**30)),
        ({"mDBOverHardQuotaLimit": "1048576", "mDBUseDefaults": "TRUE"}, Allowance()),
        ({"mDBStorageQuota": "1048576"}, Allowance()),
    ],
)
def test_exchange_counts_in_kib(changes: dict[str, Any], allowance: Allowance) -> None:
    assert account_of("ad", **changes).allowance == allowance


def test_computers_and_trusts_are_no_people() -> None:
    for kind in ("805306369", "805306370", "536870912"):
        entry = entry_of("ad", sAMAccountType=kind)
        assert not matches(PRESETS["ad"].person, entry.attributes)


def test_the_compat_tree_of_freeipa_shows_nobody_twice() -> None:
    entry = entry_of("freeipa", objectClass=["posixAccount", "top"])
    assert not matches(PRESETS["freeipa"].person, entry.attributes)


@pytest.mark.parametrize("guid", [b"", b"short", b"x" * 65])
def test_L13_L25_an_id_has_an_ids_length(guid: bytes) -> None:
    with pytest.raises(Exception, match="cannot be asked"):
        account_of("ad", objectGUID=guid or [b""])  # type: ignore[list-item]
