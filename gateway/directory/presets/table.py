"""The presets by the names that settings give them, and what administrators call their kinds."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.directory.presets.ad import AD, SAMBA
from gateway.directory.presets.ds389 import DS389
from gateway.directory.presets.freeipa import FREEIPA
from gateway.directory.presets.lldap import LLDAP
from gateway.directory.presets.openldap import OPENLDAP
from gateway.directory.schema import Schema

PRESETS: Mapping[str, Schema] = {
    "ad": AD,
    "openldap": OPENLDAP,
    "freeipa": FREEIPA,
    "389ds": DS389,
    "samba": SAMBA,
    "lldap": LLDAP,
    # Every field of it may be overridden; starting from a working row keeps the settings short.
    "custom": OPENLDAP,
}

KINDS: Mapping[str, str] = {
    "ad": "Active Directory",
    "openldap": "OpenLDAP",
    "freeipa": "FreeIPA",
    "389ds": "389 Directory Server",
    "samba": "Samba's Active Directory",
    "lldap": "lldap",
    "custom": "some other directory",
}
