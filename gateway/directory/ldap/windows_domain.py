"""By which names a domain of Active Directory may stand before a backslash in a login.

Owns the question for the NetBIOS name, which only the domain's own partition record tells
(MS-ADTS section 6.1.1.2.1.1). Asked for when the first such login comes, unless the settings name
it. Where it cannot be read, such logins are unknown, and the names in the settings are good.

Limits: asked for once in KEPT_S; after trouble once in TROUBLE_S.
"""

from __future__ import annotations

from dataclasses import replace

from twisted.internet.defer import DeferredLock
from twisted.logger import Logger

from gateway.core.log_text import escaped
from gateway.core.ports.clock import Timers
from gateway.directory.dn import dn_key
from gateway.directory.ldap.asking import Asks
from gateway.directory.schema import Schema
from gateway.wire.ldap.filters import Present
from gateway.wire.ldap.messages import Scope, SearchRequest

KEPT_S = 3600.0
TROUBLE_S = 60.0
_MOST = 100
_ANY = Present("objectClass")


class WindowsDomain:
    """Args:
    base_dn: below the root of the domain that is meant.
    """

    log = Logger()

    def __init__(self, asks: Asks, base_dn: str, schema: Schema, timers: Timers) -> None:
        self._asks = asks
        self._base = dn_key(base_dn)
        self._given = self._schema = schema
        self._timers = timers
        self._asked_until = float("-inf")
        self._one_at_a_time = DeferredLock()

    async def for_login(self, login: str) -> Schema:
        """The schema that knows whom such a login means.

        Raises: LdapFailed.
        """
        domain, backslash, _ = login.partition("\\")
        if backslash and self._given.account_name_attribute:
            # Who comes while another one's question is under way waits for its answer: without
            # it their login would be an unknown one.
            await self._one_at_a_time.acquire()
            try:
                unknown = domain.casefold() not in self._schema.windows_domains
                if unknown and self._timers.seconds() >= self._asked_until:
                    await self._learn()
            finally:
                self._one_at_a_time.release()
        return self._schema

    async def _learn(self) -> None:
        names = await self.names()
        self._asked_until = self._timers.seconds() + TROUBLE_S
        if not names:
            self.log.warn(
                "the NetBIOS name of the domain cannot be read, so logins as DOMAIN\\user are"
                " unknown; set directory.netbios_domain"
            )
            return
        self._asked_until = self._timers.seconds() + KEPT_S
        known = (*self._given.windows_domains, *names)
        self._schema = replace(self._given, windows_domains=tuple(dict.fromkeys(known)))
        self.log.info(
            "logins as DOMAIN\\user: {names}", names=", ".join(escaped(name, 100) for name in names)
        )

    async def names(self) -> list[str]:
        """Of the domain, as it tells them, the NetBIOS name first, in one case; none: it does not.

        Raises: LdapFailed.
        """
        asked = ("configurationNamingContext",)
        root = await self._asks.search(SearchRequest("", Scope.BASE, _ANY, asked))
        contexts = root.entries[0].attributes.get(asked[0].lower(), ()) if root.entries else ()
        if not contexts:
            return []
        base = f"CN=Partitions,{contexts[0].decode('utf-8', 'replace')}"
        request = SearchRequest(
            base,
            Scope.ONE,
            Present("nETBIOSName"),
            ("nETBIOSName", "dnsRoot", "nCName"),
            most=_MOST,
        )
        found = await self._asks.search(request)
        for entry in found.entries:
            contexts = entry.attributes.get("ncname", ())
            root_of = [octets.decode("utf-8", "replace") for octets in contexts]
            # The NC's root may come with its GUID and SID before it (extended DN).
            if root_of and self._is_ours(root_of[0].rpartition(";")[2]):
                return [
                    octets.decode("utf-8", "replace").casefold()
                    for name in ("netbiosname", "dnsroot")
                    for octets in entry.attributes.get(name, ())
                ]
        return []

    def _is_ours(self, context: str) -> bool:
        key = dn_key(context)
        return self._base == key or self._base.endswith(f",{key}")
