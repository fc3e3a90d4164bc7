"""The router from settings: domains, aliases, and networks that may relay.

Owns which setting reaches which part of routing; never decides anything at run time.
"""

from __future__ import annotations

from pathlib import Path

from gateway.core.address import Address
from gateway.core.errors import SettingsError, SettingsProblem
from gateway.core.networks import Networks, named
from gateway.core.ports.clock import CallFromThread
from gateway.core.ports.directory import Directory
from gateway.core.settings.model import Settings
from gateway.directory.threads import WorkerThreads
from gateway.routing.alias_file import AliasFile, AliasSource, FixedAliases
from gateway.routing.aliases import Aliases, from_settings
from gateway.routing.domains import Domain, DomainRouter
from gateway.wire.address import AddressSyntax, parse_mailbox


def router_from(
    settings: Settings, directory: Directory, call_from_thread: CallFromThread
) -> DomainRouter:
    """Reads the aliases' file, which blocks.

    Raises:
        SettingsError: addresses that cannot be used.
    """
    domains = _domains(settings)
    recipients = settings.recipients
    return DomainRouter(
        domains,
        directory,
        postmaster=settings.postmaster,
        aliases=_aliases(settings, tuple(domains), call_from_thread),
        literals=recipients.accept_literals,
        members=recipients.members,
    )


def relay_networks(settings: Settings) -> Networks:
    """Whose clients may send to anywhere."""
    return named(settings.relay_networks, settings.networks)


def _domains(settings: Settings) -> dict[str, Domain]:
    domains: dict[str, Domain] = {}
    for name, section in settings.domains.items():
        domain = Domain(
            name,
            section.relay or "",
            any_recipient=section.relay_recipients == "any",
            delimiter=section.delimiter,
            catch_all=_address(section.catch_all, f'domains."{name}".catch_all'),
        )
        domains[name] = domain
        domains.update(dict.fromkeys(section.aliases, domain))
    return domains


def _address(text: str, key: str) -> Address | None:
    try:
        return parse_mailbox(text) if text else None
    except AddressSyntax as error:
        problem = SettingsProblem("configuration", key, f'"{text}" ({error})', "a mail address")
        raise SettingsError([problem]) from None


def _aliases(
    settings: Settings, domains: tuple[str, ...], call_from_thread: CallFromThread
) -> AliasSource:
    fixed = from_settings(settings.aliases, domains)
    path = settings.recipients.aliases_file
    if not path:
        return FixedAliases(Aliases(fixed))
    threads = WorkerThreads("aliases", threads=1, waiting=8, call_from_thread=call_from_thread)
    return AliasFile(Path(path), fixed, domains, in_thread=threads.submit)
