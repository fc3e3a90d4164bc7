"""What ``gateway check`` finds out about a directory: each server by itself, then what is in it.

Owns the order of the steps of ``gateway.directory.steps``. Every server of the settings is reached
and looked at, so that the second one is known to be good before the first one fails; people and
groups are read from the first that answers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random

from gateway.cli.loop import Loop
from gateway.core.errors import SettingsError
from gateway.core.findings import Finding, Findings
from gateway.core.settings.directory import DirectorySettings
from gateway.core.settings.model import Settings
from gateway.delivery.dns.services import ServicesByDns, make_resolver
from gateway.directory import steps
from gateway.directory.from_settings import servers_from
from gateway.directory.ldap.asking import Asks, LdapFailed, Listening
from gateway.directory.ldap.discovery import Discovery
from gateway.directory.ldap.opening import Place, Security
from gateway.directory.ldap.windows_domain import WindowsDomain
from gateway.directory.ldif.people import load_people
from gateway.directory.presets.from_settings import schema_from
from gateway.directory.schema import Schema


def directory_findings(
    name: str, section: DirectorySettings, settings: Settings
) -> Iterator[Finding]:
    """Args:
    name: of the directory in the settings; empty: the first one.
    """
    findings = Findings(f"directory {name}".strip())
    schema = schema_from(section, {})
    own_domains = frozenset(
        each for domain, of in settings.domains.items() for each in (domain, *of.aliases)
    )
    if section.kind == "ldif":
        yield from _of_file(section, schema, own_domains, findings)
        return
    loop = Loop()
    try:
        yield from _Servers(section, schema, own_domains, findings, settings, loop).findings()
    finally:
        loop.close()


def _of_file(
    section: DirectorySettings, schema: Schema, own_domains: frozenset[str], findings: Findings
) -> Iterator[Finding]:
    try:
        people, _ = load_people(Path(section.path), schema)
    except SettingsError as error:
        for problem in error.problems:
            text = f"{problem.source}: {problem.key}: {problem.found}"
            yield findings.failed(text, f"expected {problem.expected}")
        return
    found = steps.People(usable=[person.account for person in people])
    yield from steps.people_usable(found, schema, own_domains, findings, section.path)
    yield from steps.shared_addresses(found, findings, section.path)


class _Servers:
    """One look at the servers of a directory."""

    def __init__(
        self,
        section: DirectorySettings,
        schema: Schema,
        own_domains: frozenset[str],
        findings: Findings,
        settings: Settings,
        loop: Loop,
    ) -> None:
        self._section = section
        self._schema = schema
        self._own_domains = own_domains
        self._findings = findings
        self._settings = settings
        self._loop = loop
        self._seen = False

    def findings(self) -> Iterator[Finding]:
        uris = list(self._section.uri)
        if self._section.domain:
            places, trouble = self._discovered()
            if trouble:
                yield self._findings.failed(
                    f"servers of {self._section.domain} by DNS: {trouble}",
                    "look at directory.domain and directory.site, and at the name servers",
                )
            else:
                named = ", ".join(place.name for place in places)
                yield self._findings.ok(f"servers of {self._section.domain} by DNS: {named}")
            uris += [place.name for place in places if place.name not in uris]
        for uri in uris:
            yield from self._of_server(uri)

    def _discovered(self) -> tuple[Sequence[Place], str]:
        section = self._section
        found: list[Sequence[Place]] = []
        discovery = Discovery(
            ServicesByDns(make_resolver(self._settings.outbound, self._loop.reactor)),
            self._loop.reactor,
            Random(),
            domain=section.domain,
            site=section.site,
            security=Security.START_TLS if section.start_tls else Security.CLEAR,
            server_name=section.tls_server_name,
            changed=found.append,
        )
        self._loop.run(discovery.first_look())
        discovery.close()
        return (found[-1] if found else ()), discovery.trouble

    def _of_server(self, uri: str) -> Iterator[Finding]:
        alone = self._section.model_copy(update={"uri": (uri,), "domain": "", "site": ""})
        try:
            servers = servers_from(alone, reactor=self._loop.reactor, finds=None)
        except SettingsError as error:
            for problem in error.problems:
                found = f"{problem.key}: {problem.found}"
                yield self._findings.failed(found, f"expected {problem.expected}")
            return
        try:
            listening, finding = self._loop.run(steps.reached(servers, alone, self._findings, uri))
            yield finding
            if listening is not None:
                yield from self._looked_at(servers, listening)
                self._loop.run(listening.close())
            for warning in servers.health().warnings:
                yield self._findings.warning(warning, "renew it")
        finally:
            self._loop.run(servers.close())

    def _looked_at(self, servers: Asks, listening: Listening) -> Iterator[Finding]:
        section, findings, loop = self._section, self._findings, self._loop
        yield steps.preset_fits(listening.server, section.preset, findings)
        base = loop.run(steps.base_found(listening, section, findings))
        yield base
        if self._seen or base.advice:
            return
        self._seen = True
        try:
            yield from self._people(listening)
            yield from loop.run(
                steps.groups_usable(listening, section.base_dn, self._schema, findings)
            )
            if self._schema.account_name_attribute:
                domain = WindowsDomain(servers, section.base_dn, self._schema, loop.reactor)
                names = loop.run(domain.names())
                yield steps.netbios_fits(names, section, findings, listening.server.name)
        except LdapFailed as failed:
            yield findings.failed(failed.reason, "look at the server's log")

    def _people(self, listening: Listening) -> Iterator[Finding]:
        """Raises: LdapFailed."""
        section, schema, findings = self._section, self._schema, self._findings
        name = listening.server.name
        people = self._loop.run(steps.people_in(listening, section.base_dn, schema))
        if people.several:
            count, more = self._loop.run(steps.counted(listening, section.base_dn, schema.person))
            least = "at least " if more else ""
            yield findings.ok(f"{name}: {least}{count:,} people are found by {schema.person}")
        yield from steps.people_usable(people, schema, self._own_domains, findings, name)
        yield from steps.shared_addresses(people, findings, name)
