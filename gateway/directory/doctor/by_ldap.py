"""The doctor at a directory behind servers: each server, then the person at the best of them.

Owns the order of looks. Who the person is, is asked of the first server that can be asked, as the
gateway does; the others only whether they find the same entry. Ends every connection it opened.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gateway.core.errors import SettingsError
from gateway.core.findings import Findings, Outcome
from gateway.core.log_text import escaped
from gateway.core.ports.clock import WallClock
from gateway.core.ports.services import FindsServices
from gateway.core.settings.directory import DirectorySettings
from gateway.directory.dn import dn_key
from gateway.directory.doctor.entry import AtServer, entries_found, filter_sent, same_elsewhere
from gateway.directory.doctor.mapping import mapped
from gateway.directory.doctor.names import discovered
from gateway.directory.doctor.one_server import OneServer
from gateway.directory.doctor.person import Asked, Learnt
from gateway.directory.doctor.servers import Means, look_at
from gateway.directory.doctor.standing import (
    UNTRIED,
    groups_told,
    lockout_told,
    password_tried,
    state_told,
)
from gateway.directory.doctor.step import Look, Step, Tell, skip
from gateway.directory.entries import Entry, links_of
from gateway.directory.from_settings import ldap_settings
from gateway.directory.ldap.asking import LdapFailed
from gateway.directory.ldap.building import service_account
from gateway.directory.ldap.groups import ServerEntries
from gateway.directory.ldap.lockout import Lockouts, password_attributes
from gateway.directory.ldap.opening import Place
from gateway.directory.ldap.tls_files import TlsFiles
from gateway.directory.ldap.windows_domain import WindowsDomain
from gateway.directory.logins import login_is_possible
from gateway.directory.schema import Schema
from gateway.directory.steps import netbios_fits

_BEHIND = ("filter", "entries", "mapping", "state", "lockout", "groups")


class AtServers:
    """Args:
    name: of the directory in the settings; empty: the first one.
    """

    def __init__(
        self,
        name: str,
        section: DirectorySettings,
        schema: Schema,
        *,
        reactor: Any,
        wall_clock: WallClock,
        finds: FindsServices | None,
        tell: Tell,
    ) -> None:
        self._name = name
        self._section = section
        self._schema = schema
        self._reactor = reactor
        self._wall_clock = wall_clock
        self._finds = finds
        self._tell = tell
        self.roots: dict[str, dict[str, list[str]]] = {}
        """What each server shows of itself, by its name."""

    async def ask(self, asked: Asked) -> Learnt:
        servers: list[OneServer] = []
        try:
            try:
                means = self._means()
            except SettingsError as error:
                for problem in error.problems:
                    look = self._look("settings", problem.key)
                    self._tell(look.failed(problem.found, f"expected {problem.expected}"))
                return self._unanswered("the settings cannot be used")
            for place in await self._places(means):
                server = await look_at(place, means, self._tell)
                if server is not None:
                    self._note_root(server)
                    servers.append(server)
            if not servers:
                self._tell_filter(asked.login, self._schema)
                skip(_BEHIND[1:], "", "no server can be asked", self._tell)
                return self._unanswered("no server of the directory can be asked")
            return await self._ask(servers, asked)
        finally:
            for server in servers:
                server.hang_up()

    def _means(self) -> Means:
        """Raises: SettingsError."""
        ldap = ldap_settings(self._section)
        ldap.check()
        tls = None
        if ldap.needs_tls():
            tls = TlsFiles(
                self._reactor,
                ca_file=ldap.ca_file,
                certificate=ldap.client_certificate,
                key=ldap.client_key,
            ).current()
        account = service_account(ldap, self._reactor)
        return Means(self._section, ldap, account, tls, self._reactor, self._wall_clock)

    async def _places(self, means: Means) -> Sequence[Place]:
        places = list(means.ldap.places())
        if means.ldap.domain and self._finds is not None:
            found, step = await discovered(means.ldap, self._finds, self._reactor)
            self._tell(step)
            known = {(place.host.lower(), place.port) for place in places}
            places += [each for each in found if (each.host, each.port) not in known]
        return places

    def _note_root(self, server: OneServer) -> None:
        self.roots[server.place.name] = {
            name: [octets.decode("utf-8", "backslashreplace")[:500] for octets in values[:100]]
            for name, values in server.server.root.attributes.items()
        }

    def _look(self, name: str, about: str = "") -> Look:
        return Look(name, about, self._reactor.seconds)

    def _unanswered(self, why: str) -> Learnt:
        return Learnt(self._name, answered=False, why_not=why)

    # -- the person

    async def _ask(self, servers: Sequence[OneServer], asked: Asked) -> Learnt:
        best, section, login = servers[0], self._section, asked.login
        if not login_is_possible(login):
            self._tell_filter(login, self._schema)
            return Learnt(self._name, answered=True, why_not="nobody can have such a login")
        schema = await self._schema_at(best, login)
        finds = AtServer(best, section.base_dn)
        self._tell_filter(login, schema)
        attributes = (*schema.requested_of_members, *password_attributes(schema.id_attribute))
        look = self._look("entries", best.place.name)
        entry, step = await entries_found(login, finds, schema, attributes, look)
        self._tell(step)
        if entry is None:
            skip(_BEHIND[2:], "", "no entry to look at", self._tell)
            dns = step.facts.get("dns", ())
            unknown = step.outcome is Outcome.FAILED and step.found.startswith("nobody")
            answered = bool(dns) or unknown
            why = step.found if answered else f"no usable answer: {step.found}"
            return Learnt(self._name, answered, bool(dns), why_not=why)
        for other in servers[1:]:
            self._tell(await self._same(other, login, schema, entry))
        return await self._known(best, schema, entry, asked)

    def _tell_filter(self, login: str, schema: Schema) -> None:
        self._tell(filter_sent(login, schema, self._section.base_dn, self._look("filter")))

    async def _schema_at(self, server: OneServer, login: str) -> Schema:
        schema, name = self._schema, server.place.name
        if not schema.account_name_attribute:
            return schema
        look = self._look("domain", name)
        domain = WindowsDomain(server, self._section.base_dn, schema, self._reactor)
        try:
            names = await domain.names()
            fits = netbios_fits(names, self._section, Findings(name), name)
            self._tell(look.of(fits))
            return await domain.for_login(login)
        except LdapFailed as failed:
            self._tell(look.failed(failed.reason, "set directory.netbios_domain"))
            return schema

    async def _same(self, other: OneServer, login: str, schema: Schema, entry: Entry) -> Step:
        look = self._look("entries", other.place.name)
        finds = AtServer(other, self._section.base_dn)
        try:
            found = await finds.entries(schema.by_login(login), ("1.1",))
        except LdapFailed as failed:
            return look.warning(failed.reason, "look at the server's log")
        return same_elsewhere(found, entry, look)

    async def _known(self, server: OneServer, schema: Schema, entry: Entry, asked: Asked) -> Learnt:
        entries = ServerEntries(server, self._section.base_dn, schema)
        linked = {}
        look = self._look("mapping")
        if links := links_of(entry, schema):
            try:
                linked = {dn_key(dn): each for dn, each in (await entries.named(links)).items()}
            except LdapFailed as failed:
                self._tell(look.warning(failed.reason, "forwarding cannot be told"))
        account, step = mapped(entry, schema, linked, asked.own_domains, look)
        self._tell(step)
        if account is None:
            skip(_BEHIND[3:], "", "the entry cannot be used", self._tell)
            return Learnt(self._name, True, True, dn=entry.dn, why_not=step.found)
        state_step = state_told(entry, account, schema, self._look("state"))
        self._tell(state_step)
        lockouts = Lockouts(
            server,
            self._section.base_dn,
            wall_clock=self._wall_clock,
            monotonic=self._reactor.seconds,
        )
        state, step = await lockout_told(lockouts, entry, self._look("lockout"))
        self._tell(step)
        look = self._look("groups")
        self._tell(await groups_told(account, entry, schema, entries, self._reactor, look))
        tried = UNTRIED
        if asked.password is not None:
            look = self._look("password", server.place.name)
            tried, step = await password_tried(
                asked.login, asked.password, entry, account, state, server, look
            )
            self._tell(step)
        return Learnt(self._name, True, True, account, entry.dn, state, tried)


def where(name: str) -> str:
    """What a directory is called."""
    return f"directory {escaped(name)}" if name else "directory"
