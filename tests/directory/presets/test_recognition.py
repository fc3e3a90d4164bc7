"""Which preset fits, by root DSEs as servers show them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from gateway.directory.recognition import recognise
from gateway.wire.ldap.messages import SearchEntry

AD = "1.2.840.113556.1.4.800"
Root = Mapping[str, Sequence[str]]


@pytest.mark.parametrize(
    ("root", "presets"),
    [
        (
            {  # Windows Server 2019
                "supportedCapabilities": [AD, "1.2.840.113556.1.4.1670", "1.2.840.113556.1.4.1935"],
                "isGlobalCatalogReady": ["TRUE"],
                "dnsHostName": ["DC1.corp.example.com"],
                "forestFunctionality": ["7"],
            },
            ["ad"],
        ),
        ({"isGlobalCatalogReady": ["TRUE"]}, ["ad"]),
        (
            {
                "supportedCapabilities": [AD],
                "vendorName": ["Samba Team (https://www.samba.org)"],
                "isGlobalCatalogReady": ["TRUE"],
            },
            ["samba", "ad"],
        ),
        ({"supportedCapabilities": ["1.2.840.113556.1.4.1851"]}, ["custom"]),
        (
            {
                "vendorName": ["389 Project"],
                "vendorVersion": ["389-Directory/2.3.1 B2025.016.1616"],
                "netscapeMDSuffix": ["cn=ldap://dc=localhost:389"],
            },
            ["389ds"],
        ),
        (
            {
                "vendorName": ["389 Project"],
                "vendorVersion": ["389-Directory/1.4.3.39 B2023.256.1430"],
                "ipaDomainLevel": ["1"],
                "namingContexts": ["cn=changelog", "dc=ipa,dc=example", "o=ipaca"],
            },
            ["freeipa", "389ds"],
        ),
        (
            {"vendorName": ["389 Project"], "namingContexts": ["dc=ipa,dc=example", "O=IPACA"]},
            ["freeipa", "389ds"],
        ),
        ({"vendorName": ["Red Hat"], "vendorVersion": ["Red Hat-Directory/11.6"]}, ["389ds"]),
        ({"vendorName": ["Sun Microsystems, Inc."]}, ["389ds"]),
        ({"netscapeMDSuffix": ["cn=ldap://dc=x:389"]}, ["389ds"]),
        ({"objectClass": ["top", "OpenLDAProotDSE"]}, ["openldap"]),
        (
            {  # which says of itself that it is no global catalogue
                "vendorName": ["LLDAP"],
                "vendorVersion": ["lldap_0.6.1"],
                "isGlobalCatalogReady": ["false"],
                "supportedLDAPVersion": ["3"],
            },
            ["lldap"],
        ),
        ({"vendorName": ["Apache Software Foundation"]}, ["openldap"]),
        ({"vendorName": ["NetIQ Corporation"]}, ["custom"]),
        ({"vendorName": ["somebody"], "namingContexts": ["dc=example"]}, []),
        ({}, []),
    ],
)
def test_the_preset_that_fits(root: Root, presets: list[str]) -> None:
    entry = SearchEntry(
        "", {name.lower(): [each.encode() for each in values] for name, values in root.items()}
    )
    found = recognise(entry)
    assert [each.preset for each in found] == presets
    assert all(each.why for each in found)


def test_L25_what_a_root_dse_says_is_shown_escaped_and_short() -> None:
    vendor = b"LLDAP\r\n\x1b[2J" + b"x" * 10_000 + b"\xff"
    (found,) = recognise(SearchEntry("", {"vendorname": [vendor]}))
    assert found.why.isprintable() and len(found.why) < 1000
