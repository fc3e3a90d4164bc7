"""Entries of an LDAP server as ``groups`` asks for them: in batches, each under the one guard.

Owns which searches that are. Members are read many at a time by ``entryDN`` (RFC 5020), and those
that are not found so one by one: a server may not know that attribute, or they are elsewhere in
its tree. Runs in worker threads only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gateway.core.account import Account
from gateway.core.address import Address
from gateway.directory.dn import dn_key
from gateway.directory.entries import Entry
from gateway.directory.groups import BATCH, MAX_GROUPS, Ambiguous
from gateway.directory.ldap.asking import LdapFailed
from gateway.directory.ldap.guard import Guard
from gateway.directory.ldap.results import SIZE_LIMIT_EXCEEDED
from gateway.directory.ldap.settings import LdapSettings
from gateway.directory.ldap.worker import LdapWorker
from gateway.wire.ldap.filters import And, Equal, Filter, Or

ENTRY_DN = "entryDN"


class ServerEntries:
    """Implements ``groups.Entries`` for one operation."""

    def __init__(self, worker: LdapWorker, settings: LdapSettings, guard: Guard) -> None:
        self._worker = worker
        self._schema = settings.schema
        self._reply_octets = settings.reply_limit_octets
        self._guard = guard
        self._attributes = self._schema.requested_of_recipients

    async def having(self, addresses: Sequence[Address], wanted: Filter) -> Sequence[Entry]:
        found = self._search(wanted, 2 * len(addresses), self._attributes)
        if found is None:
            raise Ambiguous(f"too many entries have one of {len(addresses)} addresses")
        return found

    async def named(self, dns: Sequence[str]) -> Mapping[str, Entry]:
        found: dict[str, Entry] = {}
        if len(dns) > 1:
            for start in range(0, len(dns), BATCH):
                batch = dns[start : start + BATCH]
                wanted = Or(tuple(Equal(ENTRY_DN, dn) for dn in batch))
                for entry in self._search(wanted, len(batch) + 1, self._attributes) or ():
                    found[dn_key(entry.dn)] = entry
        for dn in dns:
            key = dn_key(dn)
            if key not in found:
                self._guard.allow(self._reply_octets)
                single = self._worker.read(dn, self._attributes, self._guard)
                if single is not None:
                    found[key] = single
        return found

    async def of(self, account: Account) -> Entry | None:
        schema = self._schema
        wanted = And((schema.person, Equal(schema.id_attribute, account.account_id)))
        found = self._search(wanted, 1, (*schema.requested, *schema.member_of_attributes))
        if found is None:
            raise Ambiguous(f"several have {schema.id_attribute} {account.account_id}")
        return found[0] if found else None

    async def groups_with(self, dns: Sequence[str], addresses: Sequence[str]) -> Sequence[Entry]:
        schema = self._schema
        if schema.group is None:
            return ()
        groups: dict[str, Entry] = {}
        members = [*dns, *addresses]
        for start in range(0, len(members), BATCH):
            batch = members[start : start + BATCH]
            one = tuple(Equal(name, text) for text in batch for name in schema.member_attributes)
            found = self._search(And((schema.group, Or(one))), MAX_GROUPS, schema.requested)
            if found is None:
                raise LdapFailed(f"more than {MAX_GROUPS} groups have one member")
            groups.update((entry.dn, entry) for entry in found)
        return tuple(groups.values())

    def _search(
        self, wanted: Filter, most: int, attributes: Sequence[str]
    ) -> Sequence[Entry] | None:
        """None: there are more."""
        self._guard.allow(self._reply_octets)
        result = self._worker.search_some(wanted, attributes, most, self._guard)
        if result.code == SIZE_LIMIT_EXCEEDED:
            return None
        return result.entries
