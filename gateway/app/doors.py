"""What answers on each listener: factories from the parts and the listener's settings.

Owns which setting reaches which door; never decides anything at run time.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, cast

from twisted.internet.interfaces import IOpenSSLServerConnectionCreator, IProtocolFactory
from twisted.protocols.tls import TLSMemoryBIOFactory

from gateway.app.build import Parts
from gateway.core.networks import named
from gateway.core.settings.listen import ListenSettings
from gateway.core.tls_transport import EagerTlsFactory, tls_layers
from gateway.edge.connection import Door
from gateway.edge.http.health import health_site
from gateway.edge.imap.door import ImapFactory
from gateway.edge.imap.services import ImapLimits, ImapServices
from gateway.edge.pop3 import Pop3Factory, Pop3Services
from gateway.edge.proxy import ProxyFactory
from gateway.edge.smtp.door import SmtpFactory
from gateway.edge.smtp.extensions import honoured
from gateway.edge.smtp.services import SmtpServices
from gateway.policy.engine import NO_POLICY
from gateway.routing.from_settings import relay_networks
from gateway.wire.smtp_extensions import DoorOffer
from gateway.wire.smtp_limits import SmtpLimits

DAY_S = 86_400
ROOM_FOR_MESSAGES = 1.5
"""Free space for this many of the largest messages, or no mail is taken (SECURITY S15)."""


def door_factory(
    parts: Parts,
    listen: ListenSettings,
    reactor: Any,
    *,
    tls: IOpenSSLServerConnectionCreator | None,
    clear_text_login: bool,
    ready: Callable[[], bool],
) -> IProtocolFactory:
    """What answers on one listener: the door, behind TLS if it is implicit, behind our proxies."""
    factory: Any
    if listen.protocol == "http":
        factory = health_site(ready, reactor)
    else:
        factory = _mail_factory(parts, listen, reactor, tls, clear_text_login)
    if listen.tls == "implicit":
        assert tls is not None
        # The web side relies on how Twisted's own layer buffers.
        layers = TLSMemoryBIOFactory if listen.protocol == "http" else EagerTlsFactory
        factory = layers(tls, False, factory, reactor)
    if listen.proxy_from:
        proxies = named(listen.proxy_from, parts.settings.networks)
        factory = ProxyFactory(factory, proxies.contains, reactor)
    return cast(IProtocolFactory, factory)


def _mail_factory(
    parts: Parts,
    listen: ListenSettings,
    reactor: Any,
    tls: IOpenSSLServerConnectionCreator | None,
    clear_text_login: bool,
) -> Any:
    door = mail_door(parts, listen, reactor, tls, clear_text_login)
    if listen.protocol == "pop3":
        return Pop3Factory(door, Pop3Services(parts.logins.portal))
    if listen.protocol == "imap":
        limits = ImapLimits(message_octets=parts.settings.limits.message_octets)
        imap_services = ImapServices(
            parts.logins.portal, parts.store, time.time, limits, quota=parts.store.quota
        )
        return ImapFactory(door, imap_services)
    return SmtpFactory(door, smtp_services(parts, listen))


def mail_door(
    parts: Parts,
    listen: ListenSettings,
    reactor: Any,
    tls: IOpenSSLServerConnectionCreator | None,
    clear_text_login: bool,
) -> Door:
    """What the connections of a listener for mail have in common."""
    offered = tls if listen.tls != "none" else None
    return Door(
        protocol=listen.protocol,
        hostname=parts.settings.hostname,
        timers=reactor,
        sessions=parts.sessions,
        tls=offered,
        tls_layers=None if offered is None else tls_layers(offered, reactor),
        implicit_tls=listen.tls == "implicit",
        clear_text_login=clear_text_login,
        listener=listen.label,
        banner=listen.banner,
        means=parts.logins.means,
    )


def smtp_services(parts: Parts, listen: ListenSettings) -> SmtpServices:
    """What the sessions of a listener for SMTP are given."""
    bounds = parts.settings.limits
    size_octets = listen.message_octets or bounds.message_octets
    limits = SmtpLimits(
        size_octets=size_octets,
        discard_octets=size_octets,
        recipients=listen.recipients or bounds.recipients,
        errors_soft=listen.errors // 2,
        errors_hard=listen.errors,
        greet_pause_s=listen.greet_pause_s,
        # People's own programs end lines as their system does; other servers may not (S2).
        bare_newlines=listen.bare_newlines
        or ("normalise" if listen.protocol == "submission" else "reject"),
    )
    auth = listen.auth or ("required" if listen.protocol == "submission" else "no")
    xclient_from = named(listen.xclient_from, parts.settings.networks)
    etrn_from = named(listen.etrn_from, parts.settings.networks)
    offer = DoorOffer(
        parts.settings.hostname,
        size_octets,
        honoured(
            auth=auth,
            holds=listen.hold_days > 0,
            etrn=parts.queue_starter is not None and (bool(etrn_from) or auth != "no"),
            proxies=bool(xclient_from),
            unwanted=bool(listen.no_soliciting),
        ),
        lmtp=listen.protocol == "lmtp",
        starttls=listen.tls == "starttls",
        recipients=limits.recipients,
        hold_s=listen.hold_days * DAY_S,
        no_soliciting=listen.no_soliciting,
    )
    needed = int(size_octets * ROOM_FOR_MESSAGES)
    return SmtpServices(
        parts.store,
        parts.router,
        parts.logins.portal,
        time.time,
        offer,
        limits,
        quota=parts.quota,
        submission=parts.submission,
        trace=parts.store.trace if parts.settings.trace.keep_days else None,
        policy=parts.policies.get(listen.policy or listen.protocol, NO_POLICY),
        posting=parts.posting,
        auth=auth,
        may_relay=relay_networks(parts.settings).contains,
        has_room=lambda: parts.free_space.octets() >= needed,
        may_xclient=xclient_from.contains,
        find_person=parts.directory.find,
        may_etrn=etrn_from.contains,
        queue_starter=parts.queue_starter,
    )
