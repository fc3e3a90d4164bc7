"""The servers of a directory as its settings describe them: from settings to ``LdapServers``.

Owns construction alone; opens nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from random import Random
from typing import Any

from gateway.core.ports.clock import Timers, WallClock
from gateway.core.ports.services import FindsServices
from gateway.directory.ldap.account import Marks, ServiceAccount
from gateway.directory.ldap.discovery import Discovery
from gateway.directory.ldap.expiry import Expiry
from gateway.directory.ldap.opening import Limits, Opener, Place
from gateway.directory.ldap.pool import Link, PoolLimits
from gateway.directory.ldap.servers import LdapServers
from gateway.directory.ldap.settings import LdapSettings
from gateway.directory.ldap.tls import LdapTls, Protection
from gateway.directory.ldap.tls_files import TlsFiles
from gateway.wire.ldap.messages import Control


def make_servers(
    settings: LdapSettings,
    reactor: Any,
    wall_clock: WallClock,
    *,
    finds: FindsServices | None = None,
    random: Random,
    bind_controls: Sequence[Control] = (),
    search_controls: Sequence[Control] = (),
    marks: Marks | None = None,
) -> LdapServers:
    """Args:
        finds: servers of ``settings.domain``, which needs it.
        bind_controls: of people's binds.
        search_controls: of searches that are no listings.
        marks: of all processes, for the service account.

    Raises:
        SettingsError: with all mistakes found.
    """
    settings.check()
    expiry = Expiry(wall_clock)
    files: TlsFiles | None = None
    if settings.needs_tls():
        files = TlsFiles(
            reactor,
            ca_file=settings.ca_file,
            certificate=settings.client_certificate,
            key=settings.client_key,
        )
        if files.own_ends is not None:
            expiry.ends(str(settings.client_certificate), files.own_ends)
    account = service_account(settings, reactor, bind_controls, marks)
    discovers = None
    if settings.domain and finds is not None:
        discovers = partial(_discovery, settings, reactor, finds, random)
    return LdapServers(
        settings.places(),
        account,
        Opening(settings, reactor, files),
        reactor,
        wall_clock,
        deadline_s=settings.operation_timeout_s,
        connect_s=settings.connect_timeout_s,
        limits=PoolLimits(
            connections=settings.connections,
            running=settings.running,
            waiting=settings.waiting,
            idle_s=settings.idle_limit_s,
            reply_octets=settings.reply_limit_octets,
            listing_octets=settings.listing_limit_octets,
        ),
        expiry=expiry,
        discovers=discovers,
        search_controls=search_controls,
    )


def service_account(
    settings: LdapSettings,
    timers: Timers,
    bind_controls: Sequence[Control] = (),
    marks: Marks | None = None,
) -> ServiceAccount:
    """As whom everything but people's passwords is asked."""
    external = settings.bind_method == "external"
    return ServiceAccount(
        timers,
        dn="" if external else settings.bind_dn,
        password=settings.bind_password.encode("utf-8"),
        mechanism="EXTERNAL" if external else "",
        pause_s=settings.refused_pause_s,
        bind_controls=bind_controls,
        marks=marks,
    )


class Opening:
    """Implements ``member.Opens`` with TLS as the files are now."""

    def __init__(self, settings: LdapSettings, reactor: Any, files: TlsFiles | None) -> None:
        self._settings = settings
        self._reactor = reactor
        self._files = files
        self._tls: LdapTls | None = None
        self._opener = Opener(reactor, None)

    async def __call__(
        self, place: Place, *, deadline_s: float, message_octets: int
    ) -> tuple[Link, Protection]:
        if self._files is not None:
            tls = self._files.current()
            if tls is not self._tls:
                self._tls, self._opener = tls, Opener(self._reactor, tls)
        connect_s = min(deadline_s, self._settings.connect_timeout_s)
        limits = Limits(connect_s, deadline_s, message_octets)
        opened = await self._opener.open(place, limits)
        return opened.dialogue, opened.protection


def _discovery(
    settings: LdapSettings, reactor: Any, finds: FindsServices, random: Random, changed: Any
) -> Discovery:
    return Discovery(
        finds,
        reactor,
        random,
        domain=settings.domain,
        site=settings.site,
        security=settings.security,
        server_name=settings.tls_server_name,
        changed=changed,
    )
