"""Which preset fits a directory server, by what its root DSE shows (RFC 4512 section 5.1).

Owns the marks of each kind. Some servers hide part of their root DSE from strangers, so nothing is
concluded from what is missing, and what is shown is told with the conclusion. Never asks a server.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gateway.core.log_text import escaped
from gateway.wire.ldap.messages import SearchEntry

WANTED = (
    "objectClass", "vendorName", "vendorVersion", "supportedCapabilities", "isGlobalCatalogReady",
    "forestFunctionality", "namingContexts", "defaultNamingContext", "configurationNamingContext",
    "dnsHostName", "ipaDomainLevel", "ipaTopologyPluginVersion", "netscapeMDSuffix",
    "supportedControl", "supportedExtension", "supportedSASLMechanisms", "configContext",
)  # fmt: skip
"""What to ask a root DSE for; operational attributes come by name alone."""

_ACTIVE_DIRECTORY = "1.2.840.113556.1.4.800"  # MS-ADTS section 3.1.1.3.4.3.1
_LIGHTWEIGHT = "1.2.840.113556.1.4.1851"  # AD LDS: no domain, no accounts of Windows

_OTHERS = {
    # Vendors by a word of their vendorName, and the preset that comes near.
    "opendj": ("openldap", "an OpenDJ"),
    "forgerock": ("openldap", "a ForgeRock Directory Services"),
    "ping identity": ("openldap", "a PingDirectory"),
    "unboundid": ("openldap", "an UnboundID directory"),
    "apache software foundation": ("openldap", "an ApacheDS"),
    "sun microsystems": ("389ds", "a Sun Directory Server, of the same descent"),
    "oracle corporation": ("389ds", "an Oracle directory, of the same descent"),
    "novell": ("custom", "an eDirectory"),
    "netiq": ("custom", "an eDirectory"),
    "micro focus": ("custom", "an eDirectory"),
    "international business machines": ("custom", "an IBM directory"),
    "authentik": ("custom", "an authentik outpost"),
}


@dataclass(frozen=True, slots=True)
class Recognised:
    """Args:
    preset: that fits; the first of several fits best.
    why: what of the root DSE says so.
    """

    preset: str
    why: str


def recognise(root: SearchEntry) -> list[Recognised]:
    """The presets that fit, the best first; empty: nothing is shown by which a kind is known."""
    return list(_recognised(root))


def _recognised(root: SearchEntry) -> Iterator[Recognised]:
    vendor, version = _text(root, "vendorName"), _text(root, "vendorVersion")
    name = vendor.lower()
    if "lldap" in name or version.lower().startswith("lldap"):
        yield Recognised("lldap", f"vendorVersion is {escaped(version or vendor)}")
        return
    capabilities = _texts(root, "supportedCapabilities")
    if _ACTIVE_DIRECTORY in capabilities or _text(root, "isGlobalCatalogReady").upper() == "TRUE":
        if "samba" in name:
            yield Recognised("samba", f"vendorName is {escaped(vendor)}")
            yield Recognised("ad", "Samba shows the same attributes as Active Directory")
            return
        mark = _ACTIVE_DIRECTORY if _ACTIVE_DIRECTORY in capabilities else "isGlobalCatalogReady"
        yield Recognised("ad", f"its root DSE has the mark of Active Directory ({mark})")
        return
    if _LIGHTWEIGHT in capabilities:
        yield Recognised("custom", "AD LDS: like Active Directory, but without Windows accounts")
        return
    if "samba" in name:
        yield Recognised("samba", f"vendorName is {escaped(vendor)}")
        return
    if any(_texts(root, each) for each in ("ipaDomainLevel", "ipaTopologyPluginVersion")):
        yield Recognised("freeipa", "its root DSE has ipaDomainLevel or ipaTopologyPluginVersion")
        yield Recognised("389ds", "FreeIPA is built upon it")
        return
    if "o=ipaca" in map(str.lower, _texts(root, "namingContexts")):
        yield Recognised("freeipa", "it has the naming context o=ipaca")
        yield Recognised("389ds", "FreeIPA is built upon it")
        return
    if "389" in name or "389-directory" in version.lower() or "red hat" in version.lower():
        yield Recognised("389ds", f"vendorVersion is {escaped(version or vendor)}")
        return
    if "openldaprootdse" in map(str.lower, _texts(root, "objectClass")) or "openldap" in name:
        yield Recognised("openldap", "the object class of its root DSE is OpenLDAProotDSE")
        return
    for mark, (preset, words) in _OTHERS.items():
        if mark in name:
            yield Recognised(preset, f"vendorName is {escaped(vendor)}: {words}")
            return
    if _text(root, "netscapeMDSuffix"):
        yield Recognised("389ds", "its root DSE has netscapeMDSuffix")


def _texts(root: SearchEntry, attribute: str) -> Sequence[str]:
    octets = root.attributes.get(attribute.lower(), ())
    return [each[:500].decode("utf-8", "replace") for each in octets]


def _text(root: SearchEntry, attribute: str) -> str:
    return next(iter(_texts(root, attribute)), "")
