"""Where a recipient's mail goes together with others: a text, by the configuration alone.

Owns the order of the rules, and what a destination's text means. Asked for every recipient that is
queued, in every process: look-ups in tables that are made once, nothing else. Never asks DNS.

The first rule that knows a way has the say:

1. routing: a relayed domain, the directory's next hop, an administrator's reroute;
2. ``outbound.destinations``: the recipient's domain, else the nearest ``*.`` above it;
3. ``outbound.senders``: the sender's address, else ``@domain``;
4. ``outbound.smart_host``;
5. MX records of the domain.

The text is a chain of servers' URLs joined by a space, with what their TLS must be, or the domain,
or LOCAL. So it says all that ``routes`` needs, whatever recipient it is about.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256

from gateway.core.address import Address
from gateway.core.messages import LOCAL
from gateway.core.next_hop import (
    BY_MX,
    NextHopSyntax,
    TlsLevel,
    chain_text,
    parse_chain,
    parse_next_hop,
)
from gateway.core.settings.outbound import OutboundSettings
from gateway.delivery.by_domain import ByDomain

MAX_LEVELED = 1000
_FORM = "1"
"""Of the texts; counts in the fingerprint, so that what is queued is asked about again."""


@dataclass(frozen=True, slots=True)
class Rule:
    """Args:
    text: of the destination.
    why: which rule of the configuration it is, in words for administrators.
    """

    text: str
    why: str


class Destinations:
    """Implements ``core.ports.queue.DestinationOf``."""

    def __init__(self, outbound: OutboundSettings) -> None:
        domains = outbound.destinations
        self._levels = tls_levels(outbound)
        self._domains = ByDomain(
            {
                name: _chain(section.next_hop, self._levels.get(name) or "opportunistic")
                for name, section in domains.items()
                if section.next_hop
            }
        )
        self._senders = {
            name.casefold(): _chain(section.smart_host, "verified")
            for name, section in outbound.senders.items()
            if section.smart_host
        }
        self._smart_host = _chain(outbound.smart_host, "verified") if outbound.smart_host else ""
        self._leveled: dict[tuple[str, str], str] = {}
        self.fingerprint = self._fingerprint()

    def __call__(self, sender: Address | None, recipient: Address, next_hop: str) -> str:
        domain = recipient.domain
        if next_hop:
            return self._named(domain, next_hop)
        if self._domains:
            text = self._domains.get(domain)
            if text:
                return _domain(domain) if text == BY_MX else text
        if self._senders and sender is not None:
            text = self._of_sender(sender)
            if text:
                return text
        return self._smart_host or _domain(domain)

    def rule(self, sender: Address | None, recipient: Address, next_hop: str) -> Rule:
        """The same, with the reason."""
        text = self(sender, recipient, next_hop)
        if next_hop:
            why = "it waits for people here" if next_hop == LOCAL else "routing names the next hop"
        elif self._domains.get(recipient.domain):
            why = f"outbound.destinations has {recipient.domain} or a domain above it"
        elif sender is not None and self._of_sender(sender):
            why = f"outbound.senders has {sender} or @{sender.domain}"
        elif self._smart_host:
            why = "outbound.smart_host takes what no other rule names"
        else:
            why = f"no rule names a server, so the MX records of {text} do"
        return Rule(text, why)

    def _named(self, domain: str, next_hop: str) -> str:
        if next_hop == BY_MX:
            return _domain(domain)
        level = self._levels.get(domain) if self._levels else None
        if level is None or next_hop == LOCAL:
            return next_hop
        key = (next_hop, level)
        text = self._leveled.get(key)
        if text is None:
            if len(self._leveled) >= MAX_LEVELED:
                self._leveled.clear()
            text = self._leveled[key] = _with_level(next_hop, level)
        return text

    def _of_sender(self, sender: Address) -> str:
        senders = self._senders
        return senders.get(sender.key, "") or senders.get(f"@{sender.domain}", "")

    def _fingerprint(self) -> str:
        tables = (self._domains.entries, self._levels.entries, self._senders)
        text = repr((_FORM, self._smart_host, [sorted(table.items()) for table in tables]))
        return sha256(text.encode()).hexdigest()[:32]


def tls_levels(outbound: OutboundSettings) -> ByDomain[TlsLevel]:
    """What the settings ask of TLS to domains, where it is not what they ask of all."""
    return ByDomain(
        {name: section.tls for name, section in outbound.destinations.items() if section.tls}
    )


def names_servers(destination: str) -> bool:
    """A chain of servers, not a domain."""
    return "://" in destination


def _domain(name: str) -> str:
    """A domain as a destination; there may be one that is called as LOCAL is."""
    return f"{name}." if name == LOCAL else name


def _with_level(next_hop: str, level: TlsLevel) -> str:
    try:
        return chain_text(parse_chain(next_hop), level)
    except NextHopSyntax:
        return next_hop  # fails when it is used, with the reason


def _chain(urls: tuple[str, ...], level: TlsLevel) -> str:
    if urls == (BY_MX,):
        return BY_MX
    return chain_text([parse_next_hop(url) for url in urls], level)
