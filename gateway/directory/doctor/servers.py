"""The way to one server of a directory: DNS, TCP to each address, TLS, who it is, bind, base.

Owns those looks and their order. One that fails hides those that need it, which are told as not
looked at, and never another server's. The service account is tried at one server after the other
and at none any more once its password was refused, as that would lock it (SECURITY L22).

Limits: MOST_ADDRESSES of a name; times of connections and questions are the gateway's own.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.protocol import Factory, Protocol

from gateway.core.findings import Findings, Outcome
from gateway.core.hosts import is_loopback
from gateway.core.log_text import escaped
from gateway.core.settings.directory import DirectorySettings
from gateway.directory.doctor.certificates import advice_for, shown_by
from gateway.directory.doctor.names import addresses_of
from gateway.directory.doctor.one_server import OneServer
from gateway.directory.doctor.step import Look, Step, Tell, skip, skipped
from gateway.directory.ldap.account import ServiceAccount, ServiceRefused
from gateway.directory.ldap.asking import LdapFailed
from gateway.directory.ldap.opening import Limits, Opener, Place, Security, TlsFailed
from gateway.directory.ldap.patience import within
from gateway.directory.ldap.reaching import Reaches
from gateway.directory.ldap.settings import LdapSettings
from gateway.directory.ldap.tls import LdapTls, Protection
from gateway.directory.steps import base_found, preset_fits

MOST_ADDRESSES = 8
_BEHIND = ("tcp", "tls", "root dse", "bind", "base")


@dataclass(frozen=True, slots=True)
class Means:
    """What all servers of a directory are asked with.

    Args:
        tls: None: nothing but clear text is configured.
        now: for dates of certificates.
    """

    section: DirectorySettings
    ldap: LdapSettings
    account: ServiceAccount
    tls: LdapTls | None
    reactor: Any
    now: Callable[[], float]

    @property
    def limits(self) -> Limits:
        ldap = self.ldap
        return Limits(ldap.connect_timeout_s, 2 * ldap.connect_timeout_s, ldap.reply_limit_octets)


async def look_at(place: Place, means: Means, tell: Tell) -> OneServer | None:
    """Every look at one server, in their order; the server if it can be asked about people."""
    addresses, step = await addresses_of(place, means.reactor)
    if step is not None:
        tell(step)
    if not addresses:
        _skip(0, place, "it has no address", tell)
        return None
    accepting = await _reached(place, addresses[:MOST_ADDRESSES], means, tell)
    if not accepting:
        _skip(1, place, "no address accepts connections", tell)
        return None
    server = await _protected(place, accepting, means, tell)
    if server is None:
        _skip(2, place, "there is no connection that may be used", tell)
        return None
    ready = False
    try:
        ready = await _looked_into(server, means, tell)
    finally:
        if not ready:
            server.hang_up()
    return server if ready else None


def _skip(done: int, place: Place, why: str, tell: Tell) -> None:
    skip(_BEHIND[done:], place.name, why, tell)


# -- TCP


async def _reached(place: Place, addresses: Sequence[str], means: Means, tell: Tell) -> list[str]:
    """The addresses that accept connections; all are tried at once."""
    trying = [Deferred.fromCoroutine(_tried(place, each, means)) for each in addresses]
    steps: list[Step] = await gatherResults(trying, consumeErrors=True)
    accepting = []
    for address, step in zip(addresses, steps, strict=True):
        tell(step)
        if step.outcome is Outcome.OK:
            accepting.append(address)
    return accepting


async def _tried(place: Place, address: str, means: Means) -> Step:
    limit_s = means.ldap.connect_timeout_s
    look = Look("tcp", place.name, means.reactor.seconds)
    where = f"[{address}]:{place.port}" if ":" in address else f"{address}:{place.port}"
    factory: Any = Factory.forProtocol(Protocol)
    factory.noisy = False
    connecting = Reaches(means.reactor).connect(address, place.port, factory, timeout_s=limit_s)
    try:
        protocol = await within(means.reactor, limit_s, connecting, f"no answer in {limit_s:g} s")
    except LdapFailed as failed:
        advice = "is the server up, and does every firewall let this host through?"
        return look.failed(f"{where}: {failed.reason}", advice)
    except Exception as error:
        advice = (
            "the host is there, and nothing listens on this port: is the server running? see"
            " directory.uri"
            if "refused" in str(error).lower()
            else "is the server up, and does every firewall let this host through?"
        )
        return look.failed(f"{where}: {escaped(error, 200) or type(error).__name__}", advice)
    step = look.ok(f"{where} accepts connections", address=address, port=place.port)
    protocol.transport.abortConnection()
    return step


# -- TLS


async def _protected(
    place: Place, addresses: Sequence[str], means: Means, tell: Tell
) -> OneServer | None:
    """A connection to the first address where one comes about; TLS is looked at on all."""
    found: OneServer | None = None
    opener = Opener(means.reactor, means.tls)
    for address in addresses:
        there = Place(
            place.name, address, place.port, place.security, place.server_name or place.host
        )
        look = Look("tls", place.name, means.reactor.seconds)
        lead = f"{address}: " if len(addresses) > 1 else ""
        try:
            opened = await opener.open(there, means.limits)
        except TlsFailed as failed:
            tell(_unprotected(look, lead, failed.reason, failed.protection, there, means))
            continue
        except LdapFailed as failed:
            tell(_unprotected(look, lead, failed.reason, Protection(), there, means))
            continue
        tell(_protection(look, lead, opened.protection, there, means))
        if found is None:
            found = OneServer(there, opened, opener, means.limits, means.section.timeout_s)
        else:
            opened.dialogue.close()
    return found


def _protection(look: Look, lead: str, protection: Protection, place: Place, means: Means) -> Step:
    if not protection.protocol:
        if is_loopback(place.host):
            return look.ok(f"{lead}clear text, on this host alone", protocol="")
        return look.warning(
            f"{lead}clear text: everybody on the way can read passwords",
            "use ldaps://, or directory.start_tls = true",
            protocol="",
        )
    how = "StartTLS is offered, " if place.security is Security.START_TLS else ""
    now = datetime.datetime.fromtimestamp(means.now(), datetime.UTC)
    shown = shown_by(protection, now)
    text = (
        f"{lead}{how}{protection.protocol} {protection.cipher}; the certificate is right for"
        f" {place.server_name}, of a known authority; {shown.ends}"
    )
    facts = {"protocol": protection.protocol, **shown.facts}
    if shown.ends_soon:
        return look.warning(text, "renew the server's certificate", shown.lines, **facts)
    return look.ok(text, shown.lines, **facts)


def _unprotected(
    look: Look, lead: str, reason: str, protection: Protection, place: Place, means: Means
) -> Step:
    now = datetime.datetime.fromtimestamp(means.now(), datetime.UTC)
    shown = shown_by(protection, now)
    expected = f"expected: a certificate for {place.server_name}, of {_authorities(means.section)}"
    text = f"{lead}{reason.removeprefix(f'{place.name}: ')}"
    advice = advice_for(reason, protection, place, means.section)
    return look.failed(text, advice, (expected, *shown.lines), **shown.facts)


def _authorities(section: DirectorySettings) -> str:
    return f"an authority in {section.ca_file}" if section.ca_file else "an authority of the system"


# -- what is said on it


async def _looked_into(server: OneServer, means: Means, tell: Tell) -> bool:
    section, name, seconds = means.section, server.place.name, means.reactor.seconds
    tell(await _root_seen(server, section, Look("root dse", name, seconds)))
    step = await _bound(server, means, Look("bind", name, seconds))
    tell(step)
    if step.outcome is not Outcome.OK:
        tell(skipped("base", name, "nobody is bound"))
        return False
    findings = Findings(name)
    look = Look("base", name, seconds)
    base = look.of(await base_found(server, section, findings))
    tell(base)
    return base.outcome is Outcome.OK


async def _root_seen(server: OneServer, section: DirectorySettings, look: Look) -> Step:
    try:
        root = await server.look_at_root()
    except LdapFailed as failed:
        return look.failed(failed.reason, "does an LDAP server listen there? see directory.uri")
    if root is None:
        return look.warning(
            "the root DSE is not shown before the bind",
            "let everybody read the root DSE, as RFC 4513 section 5.1.1 wants",
        )
    told = server.server
    vendor = " ".join((*told.values("vendorName")[:1], *told.values("vendorVersion")[:1]))
    fits = preset_fits(told, section.preset, Findings(server.place.name))
    step = look.of(fits)
    contexts = ", ".join(escaped(each, 200) for each in told.values("namingContexts")[:5])
    more = [f"vendor {escaped(vendor, 200)}"] if vendor else []
    more += [f"it has {contexts}"] if contexts else []
    facts = {"vendor": escaped(vendor, 200), "preset": section.preset}
    return Step(
        step.name, step.about, step.outcome, step.found, step.advice, tuple(more), step.took_ms,
        facts,
    )  # fmt: skip


async def _bound(server: OneServer, means: Means, look: Look) -> Step:
    """As the service account; its password is never shown."""
    account, name = means.account, server.place.name
    file = means.section.bind_password_file or "directory.bind_password"
    advice = f"look at directory.bind_dn and its password in {escaped(file)}"
    try:
        account.check()
        await account.bind(server.link, name, deadline_s=means.ldap.connect_timeout_s)
    except ServiceRefused as failed:
        return look.failed(failed.reason.removeprefix(f"{name}: "), advice)
    except LdapFailed as failed:
        return look.failed(failed.reason.removeprefix(f"{name}: "), advice)
    server.is_bound(account.who)
    try:
        await server.look_at_root()  # some show more of it to those they know
    except LdapFailed as failed:
        return look.failed(failed.reason, "look at the server's log")
    return look.ok(f"bound {escaped(account.who, 300)}", who=account.who)
