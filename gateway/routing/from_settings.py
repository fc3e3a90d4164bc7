"""The router from settings: domains, aliases, and networks that may relay.

Owns which setting reaches which part of routing. ``check_addresses`` never reads files, so that a
configuration can be checked with it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from twisted.internet.defer import Deferred

from gateway.core.address import Address
from gateway.core.errors import SettingsError, SettingsProblem
from gateway.core.networks import Networks, named
from gateway.core.next_hop import BY_MX, chain_text, parse_next_hop
from gateway.core.ports.clock import CallFromThread
from gateway.core.ports.directory import Directory
from gateway.core.settings.explain import join
from gateway.core.settings.groups import shares_in
from gateway.core.settings.model import Settings
from gateway.directory.threads import WorkerThreads
from gateway.routing.alias_file import AliasFile, AliasSource, FixedAliases
from gateway.routing.aliases import Aliases, Table, from_settings
from gateway.routing.domains import Domain, DomainRouter, Whence
from gateway.wire.address import AddressSyntax, parse_mailbox


def router_from(
    settings: Settings,
    directory: Directory,
    call_from_thread: CallFromThread,
    *,
    whence: Whence | None = None,
) -> DomainRouter:
    """Reads the aliases' file, which blocks.

    Args:
        whence: see ``DomainRouter``.

    Raises:
        SettingsError: addresses that cannot be used.
    """
    domains = _domains(settings, {})
    recipients = settings.recipients
    return DomainRouter(
        domains,
        directory,
        postmaster=settings.postmaster,
        aliases=_aliases(settings, tuple(domains), call_from_thread),
        literals=recipients.accept_literals,
        own_hosts=(settings.hostname,),
        members=recipients.members,
        whence=whence,
        pause=partial(_breathe, call_from_thread),
        shares=shares_in(settings.groups, settings.domains),
    )


async def _breathe(call_from_thread: CallFromThread) -> None:
    """Until the reactor has done what else waits."""
    rested: Deferred[None] = Deferred()
    call_from_thread(lambda: rested.callback(None))
    await rested


def relay_networks(settings: Settings) -> Networks:
    """Whose clients may send to anywhere."""
    return named(settings.relay_networks, settings.networks)


def check_addresses(settings: Settings, origins: Mapping[str, str]) -> None:
    """The addresses in the settings, which their classes know by shape only.

    Args:
        origins: where each setting came from, for error lines.

    Raises:
        SettingsError: with every one that cannot be used.
    """
    _fixed(settings, tuple(_domains(settings, origins)), origins)
    _address(settings.leavers.forward_to, "leavers.forward_to", origins)


def _domains(settings: Settings, origins: Mapping[str, str]) -> dict[str, Domain]:
    domains: dict[str, Domain] = {}
    for name, section in settings.domains.items():
        key = join(join("domains", name), "catch_all")
        domain = Domain(
            name,
            _chain(section.relay),
            any_recipient=section.relay_recipients == "any",
            delimiter=section.delimiter,
            catch_all=_address(section.catch_all, key, origins),
        )
        domains[name] = domain
        domains.update(dict.fromkeys(section.aliases, domain))
    return domains


def _chain(urls: Sequence[str]) -> str:
    if not urls or urls == (BY_MX,):
        return BY_MX if urls else ""
    return chain_text([parse_next_hop(url) for url in urls])


def _address(text: str, key: str, origins: Mapping[str, str]) -> Address | None:
    try:
        return parse_mailbox(text) if text else None
    except AddressSyntax as error:
        source = origins.get(key, "configuration")
        problem = SettingsProblem(source, key, f'"{text}" ({error})', "a mail address")
        raise SettingsError([problem]) from None


def _fixed(settings: Settings, domains: tuple[str, ...], origins: Mapping[str, str]) -> Table:
    def place(name: str) -> tuple[str, str]:
        key = join("aliases", name)
        return origins.get(key, "configuration"), key

    return from_settings(settings.aliases, domains, place)


def _aliases(
    settings: Settings, domains: tuple[str, ...], call_from_thread: CallFromThread
) -> AliasSource:
    fixed = _fixed(settings, domains, {})
    path = settings.recipients.aliases_file
    if not path:
        return FixedAliases(Aliases(fixed))
    threads = WorkerThreads("aliases", threads=1, waiting=8, call_from_thread=call_from_thread)
    return AliasFile(Path(path), fixed, domains, in_thread=threads.submit)
