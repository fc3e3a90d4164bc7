"""The TLSA records of a mail host, by the word of name servers that are trusted (RFC 7672).

Owns the questions, and which answers count: what DNSSEC does not prove is as if it were not there,
and what fails proves nothing, so that such a host must be left out (section 2.1.1): whoever can
break the answer could otherwise have clear text.

Limits: MAX_RECORDS of an answer are looked at.
"""

from __future__ import annotations

from dataclasses import dataclass

from gateway.delivery.dane import usable
from gateway.delivery.dns.answers import Answer, Kind
from gateway.delivery.https import Names
from gateway.delivery.targets import Tlsa

MAX_RECORDS = 50


class TlsaUnknown(Exception):
    """Nobody can say now whether the host has TLSA records; the text says why, printable."""


@dataclass(frozen=True, slots=True)
class HostRecords:
    """Records that are there and proven.

    Args:
        base: the TLSA base domain: the host, or the end of its alias.
        records: usable ones; empty: there are records, and none of them is usable.
    """

    base: str
    records: tuple[Tlsa, ...]


async def find(names: Names, host: str, port: int = 25) -> HostRecords | None:
    """Records of a host whose addresses DNSSEC proves; None: there are none.

    Raises: TlsaUnknown.
    """
    for base in await _bases(names, host):
        name = f"_{port}._tcp.{base}"
        answer = await names.ask("TLSA", name)
        if answer.failed:
            raise TlsaUnknown(f"DNS gives no proven answer for {name}: {answer.why}")
        if answer.secure and answer.octets:
            records = [_read(octets) for octets in answer.octets[:MAX_RECORDS]]
            good = tuple(each for each in records if each is not None and usable(each))
            return HostRecords(base, good)
    return None


async def _bases(names: Names, host: str) -> list[str]:
    """RFC 7672 section 2.2.2: where the host is an alias, the end of it first, then itself."""
    kinds: tuple[Kind, ...] = ("A", "AAAA")
    for kind in kinds:
        answer: Answer = await names.ask(kind, host)
        if not answer.failed and answer.secure and answer.name != host:
            return [answer.name, host]
    return [host]


def _read(octets: bytes) -> Tlsa | None:
    """RFC 6698 section 2.1; None: too short to be one (SECURITY N6)."""
    if len(octets) < 4:
        return None
    return Tlsa(octets[0], octets[1], octets[2], octets[3:])
