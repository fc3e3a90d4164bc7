"""What DNS says of this host, for ``gateway check``: its address, its reverse name, and whether
mail for our domains comes here.

Owns those looks. Asks the name servers that the gateway asks. What nobody can say is told as that,
and is never taken for wrong; mail may also reach us by ways that DNS does not show (a filtering
service, a relay), so nothing here is more than a warning.

Limits: MOST_DOMAINS are looked at.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterator, Sequence

from gateway.cli.loop import Loop
from gateway.core.findings import Finding, Findings
from gateway.core.log_text import escaped
from gateway.core.settings.model import Settings
from gateway.delivery.dns.answers import Answer, Found, Kind
from gateway.delivery.dns.resolver import Resolver
from gateway.delivery.dns.services import make_resolver

MOST_DOMAINS = 20
MOST_EXCHANGERS = 10
_DNS = Findings("dns")


def dns_findings(settings: Settings) -> Iterator[Finding]:
    hostname = settings.hostname.lower()
    addresses, finding = _addresses(hostname)
    yield finding
    takes_mail = any(listen.protocol == "smtp" for listen in settings.listen)
    domains = [*settings.domains][:MOST_DOMAINS] if takes_mail else []
    public = [each for each in addresses if ipaddress.ip_address(each).is_global]
    if not domains and not public:
        return
    loop = Loop()
    try:
        names = _Names(make_resolver(settings.outbound, loop.reactor), loop)
        for address in public:
            yield _reverse(address, hostname, names)
        for domain in domains:
            yield _exchangers(domain, hostname, addresses, names)
    finally:
        loop.close()


class _Names:
    """Asks, one question after the other."""

    def __init__(self, resolver: Resolver, loop: Loop) -> None:
        self._resolver = resolver
        self._loop = loop

    def ask(self, kind: Kind, name: str) -> Answer:
        return self._loop.run(self._resolver.ask(kind, name))

    def addresses(self, name: str) -> set[str]:
        return {text for kind in _ADDRESSES for text in self.ask(kind, name).texts}


_ADDRESSES: tuple[Kind, ...] = ("A", "AAAA")


def _addresses(hostname: str) -> tuple[Sequence[str], Finding]:
    """By the host's own resolver, which knows /etc/hosts as well."""
    try:
        found = socket.getaddrinfo(hostname, 25, type=socket.SOCK_STREAM)
    except OSError as error:
        return (), _DNS.warning(
            f"{hostname} has no address: {error.strerror or error}",
            "make an A or AAAA record for it, or other servers refuse our mail; see hostname",
        )
    addresses = list(dict.fromkeys(str(each[4][0]).partition("%")[0] for each in found))
    return addresses, _DNS.ok(f"{hostname} has the address {', '.join(addresses)}")


def _reverse(address: str, hostname: str, names: _Names) -> Finding:
    """RFC 1912 section 2.1: most servers take no mail from an address without a name."""
    answer = names.ask("PTR", ipaddress.ip_address(address).reverse_pointer)
    if answer.failed:
        return _unknown(f"the reverse name of {address}", answer)
    if hostname in answer.texts:
        return _DNS.ok(f"{address} has the reverse name {hostname}")
    found = ", ".join(escaped(each, 100) for each in answer.texts[:3]) or "none"
    return _DNS.warning(
        f"the reverse name of {address} is {found}",
        f"let whoever gave you the address make it {hostname}, or others refuse our mail",
    )


def _exchangers(domain: str, hostname: str, addresses: Sequence[str], names: _Names) -> Finding:
    """RFC 5321 section 5.1: who takes mail for the domain."""
    answer = names.ask("MX", domain)
    if answer.failed:
        return _unknown(f"the MX records of {domain}", answer)
    if answer.found is not Found.RECORDS or not answer.exchangers:
        if names.addresses(domain) & set(addresses):
            return _DNS.ok(f"{domain} has no MX record, and an address of ours")
        advice = f"make an MX record that names {hostname}, or no mail for {domain} comes here"
        return _DNS.warning(f"{domain} has no MX record", advice)
    every = sorted(answer.exchangers, key=lambda each: each.preference)[:MOST_EXCHANGERS]
    told = ", ".join(f"{escaped(each.host, 100) or '.'} ({each.preference})" for each in every)
    ours = [
        each.host
        for each in every
        if each.host == hostname
        or (each.host and addresses and names.addresses(each.host) & set(addresses))
    ]
    if not ours:
        return _DNS.warning(
            f"mail for {domain} goes to {told}, and none of them is this host",
            f"let an MX record of {domain} name {hostname}, unless those pass the mail on to us",
        )
    if every[0].host not in ours:
        return _DNS.ok(f"mail for {domain} goes to {told}; this host is not the first")
    return _DNS.ok(f"mail for {domain} comes here first: {told}")


def _unknown(what: str, answer: Answer) -> Finding:
    why = escaped(answer.why, 200) or "no answer"
    return _DNS.warning(
        f"{what}: nobody could say: {why}",
        "look at outbound.resolvers, /etc/resolv.conf, and whether this host reaches DNS",
    )
