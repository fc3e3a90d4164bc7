"""One DNS list: what it is asked, what its answers mean, and whether it can be believed at all.

Owns RFC 5782's forms (reversed octets and nibbles, names in front of the zone), which answers
count, and the list's own state: one that lists what no list may (section 5: 127.0.0.1, or the name
INVALID) answers everything and is left out for as long as it does; one that refuses our questions
(127.255.255.0/24 by custom) or does not answer is trouble, and after SICK_AFTER times in a row not
asked for SICK_S.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from gateway.core.hosts import parse_ip
from gateway.core.ports.clock import Timers
from gateway.policy.dns import Dns, DnsAnswer
from gateway.policy.facts import Facts
from gateway.policy.sender_domain import ascii_domain

SICK_AFTER = 5
SICK_S = 60.0

_REFUSED = ipaddress.IPv4Network("127.255.255.0/24")
_NEVER_LISTED_IP = "1.0.0.127"
_NEVER_LISTED_NAME = "invalid"


@dataclass(frozen=True, slots=True)
class ZoneSettings:
    """As in the settings."""

    zone: str
    of: str
    weight: float
    answers: tuple[ipaddress.IPv4Network, ...]


@dataclass(frozen=True, slots=True)
class Said:
    """What a list said of somebody.

    Args:
        listed: answers that count; empty: not listed.
        name: that was asked for.
    """

    zone: ZoneSettings
    name: str
    listed: tuple[str, ...] = ()
    trouble: str = ""


class Zone:
    """One list, shared by all connections of a process."""

    log = Logger()

    def __init__(self, settings: ZoneSettings, names: Dns, timers: Timers) -> None:
        self.settings = settings
        self._names = names
        self._timers = timers
        self._failures = 0
        self._asked_again_at = 0.0
        self._answers_everything = False

    def subject(self, facts: Facts) -> str:
        """The name to ask for; empty: there is nothing to look up."""
        client, envelope = facts.client, facts.envelope
        match self.settings.of:
            case "ip":
                front = reversed_ip(client.peer_ip)
            case "host_name":
                front = client.host_name
            case "helo":
                front = "" if parse_ip(client.hello.strip("[]")) else client.hello
            case _:
                sender = envelope.sender if envelope is not None else None
                front = ascii_domain(sender.domain) if sender is not None else ""
        front = front.lower().strip(".")
        return f"{front}.{self.settings.zone}" if front and "[" not in front else ""

    async def ask(self, name: str, timeout_s: float) -> Said:
        """What it says of a name made by ``subject``."""
        settings = self.settings
        if self._timers.seconds() < self._asked_again_at:
            return Said(settings, name, trouble="left out, as it has not answered")
        never = _NEVER_LISTED_IP if settings.of == "ip" else _NEVER_LISTED_NAME
        # Asked for along with the rest: it is remembered, so it costs one question in a while.
        test = self._names.ask("A", f"{never}.{settings.zone}", timeout_s)
        found = self._names.ask("A", name, timeout_s)
        found = await found if isinstance(found, Deferred) else found
        test = await test if isinstance(test, Deferred) else test
        if self._believes(test):
            return self._judge(name, found)
        return Said(settings, name, trouble="left out, as it lists everything")

    def _believes(self, test: DnsAnswer) -> bool:
        everything = bool(self._counting(test))
        if everything != self._answers_everything and not test.trouble:
            self._answers_everything = everything
            if everything:
                text = "{zone} lists what no list may (RFC 5782 section 5) and is left out"
                self.log.error(text, zone=self.settings.zone)
            else:
                self.log.info("{zone} is asked again", zone=self.settings.zone)
        return not self._answers_everything

    def _judge(self, name: str, found: DnsAnswer) -> Said:
        refused = [value for value in found.values if ipaddress.IPv4Address(value) in _REFUSED]
        trouble = f"it refuses our questions ({refused[0]})" if refused else found.trouble
        if not trouble:
            self._failures = 0
            return Said(self.settings, name, self._counting(found))
        self._failures += 1
        if self._failures >= SICK_AFTER:
            self._failures = 0
            self._asked_again_at = self._timers.seconds() + SICK_S
            self.log.warn(
                "{zone} is not asked for {seconds:g} s: {trouble}",
                zone=self.settings.zone,
                seconds=SICK_S,
                trouble=trouble,
            )
        return Said(self.settings, name, trouble=trouble)

    def _counting(self, answer: DnsAnswer) -> tuple[str, ...]:
        return tuple(
            value
            for value in answer.values
            if any(ipaddress.IPv4Address(value) in network for network in self.settings.answers)
        )


def reversed_ip(ip: str) -> str:
    """RFC 5782 sections 2.1 and 2.4: the octets, or the nibbles, last first."""
    address = parse_ip(ip)
    if address is None:
        return ""
    return address.reverse_pointer.removesuffix(".in-addr.arpa").removesuffix(".ip6.arpa")
