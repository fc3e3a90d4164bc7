"""The octets of a question, and what the octets of its answer say.

Owns encoding and the reading of answers, over the classes of twisted.names. Never sends. An answer
that cannot be read whole is none: twisted.names stops at a record that is cut off, and what is left
would look like a name without records.

An answer must repeat our id and our question to the octet, with the letters' case drawn by lot
(draft-vixie-dnsext-dns0x20), which a forger off the path has to guess too. Aliases are followed
inside the answer alone, as far as the server has done; MAX_ALIASES of them.
"""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from twisted.names import dns

from gateway.core.ports.services import ServiceHost
from gateway.delivery.dns.answers import Answer, Found, Kind, MailExchanger, failure

MAX_RECORDS = 100
"""Of an answer that are looked at (SECURITY N6)."""
MAX_ALIASES = 8
MAX_TTL_S = 86_400
MAX_NONE_TTL_S = 3600  # RFC 2308 section 5: one to three hours
UDP_OCTETS = 1232  # what passes everywhere without fragments, which could be forged

TYPES: Mapping[Kind, int] = {
    "A": dns.A,
    "AAAA": dns.AAAA,
    "MX": dns.MX,
    "TXT": dns.TXT,
    "TLSA": 52,  # RFC 6698 section 7.1; twisted.names leaves its data as it is
    "PTR": dns.PTR,
    "SRV": dns.SRV,
}
_HEADER = struct.Struct("!H2B4H")


@dataclass(frozen=True, slots=True)
class Question:
    """One question as it is sent; ``octets`` is all, ``section`` what an answer must repeat."""

    kind: Kind
    name: str
    number: int
    octets: bytes
    section: bytes


class Fault(Enum):
    """Why a message is no answer."""

    FOREIGN = "not an answer to our question"  # a forger's, or a late one: the right one may come
    OTHER_CASE = "letters in another case"  # a server that does not repeat them, or a forger
    BROKEN = "an answer that cannot be read"
    CUT = "cut off"  # TC: to be asked again over TCP
    NO_EDNS = "a server that does not know EDNS"
    REFUSED = "a server that refuses or cannot answer"


def question(kind: Kind, name: str, random_octets: bytes, *, edns: bool = True) -> Question:
    """Args:
    name: lower case, ASCII, every label of 1 to 63 octets.
    random_octets: 34 of them: the id, and a bit for each letter's case.
    """
    number = int.from_bytes(random_octets[:2], "big")
    bits = int.from_bytes(random_octets[2:], "big")
    spelled = "".join(
        char.upper() if bits >> place & 1 else char for place, char in enumerate(name)
    )
    message = dns.Message(number, recDes=1, authenticData=1)  # RFC 6840 section 5.7: tell us AD
    message.addQuery(spelled.encode("ascii"), TYPES[kind], dns.IN)
    octets = message.toStr()
    section = octets[_HEADER.size :]
    if edns:
        nothing: Any = dns.UnknownRecord()
        message.additional.append(dns.RRHeader(b"", dns.OPT, UDP_OCTETS, 0, nothing))
        octets = message.toStr()
    return Question(kind, name, number, octets, section)


def read_answer(
    asked: Question, octets: bytes, *, trusted: bool, any_case: bool = False
) -> Answer | Fault:
    """Args:
    trusted: the server's word on DNSSEC (AD) is believed.
    any_case: of the letters in the question that is repeated.
    """
    if len(octets) < _HEADER.size:
        return Fault.FOREIGN
    number, flags, more_flags, questions, *counts = _HEADER.unpack_from(octets)
    if number != asked.number or not flags & 0x80 or flags & 0x78:
        return Fault.FOREIGN
    rcode = more_flags & 0x0F
    if questions == 0 and rcode in (dns.EFORMAT, dns.ENOTIMP):
        return Fault.NO_EDNS
    section = octets[_HEADER.size : _HEADER.size + len(asked.section)]
    if questions != 1 or section.lower() != asked.section.lower():
        return Fault.FOREIGN
    if section != asked.section and not any_case:
        return Fault.OTHER_CASE
    if flags & 0x02:
        return Fault.CUT
    if rcode not in (dns.OK, dns.ENAME):
        return Fault.NO_EDNS if rcode in (dns.EFORMAT, dns.ENOTIMP) else Fault.REFUSED
    if counts[0] > MAX_RECORDS:
        # The rest is not even read: twisted.names refuses all where too much is to be followed.
        octets = (
            _HEADER.pack(number, flags, more_flags, 1, MAX_RECORDS, 0, 0) + octets[_HEADER.size :]
        )
        counts = [MAX_RECORDS, 0, 0]
    message = dns.Message()
    try:
        message.fromStr(octets)
    except Exception:  # whatever strangers' octets make it raise
        return Fault.BROKEN
    # What is in the additional section may be missing: it is no use to us, but for what follows.
    if [len(message.answers), len(message.authority)] != counts[:2]:
        return Fault.BROKEN
    if any(each.type == dns.OPT and each.ttl >> 24 for each in message.additional):
        return Fault.NO_EDNS  # RFC 6891 section 6.1.3: the other half of the RCODE is there
    if not more_flags & 0x80 and not message.answers and _refers(message.authority):
        return Fault.REFUSED  # it does not ask for us, and what it says is "ask them"
    secure = trusted and bool(more_flags & 0x20)
    return _read(asked, message, no_name=rcode == dns.ENAME, secure=secure)


def _read(asked: Question, message: dns.Message, *, no_name: bool, secure: bool) -> Answer | Fault:
    wanted = TYPES[asked.kind]
    answers: Sequence[Any] = [each for each in message.answers if each.cls == dns.IN]
    name, ttl_s = asked.name, MAX_TTL_S
    for _ in range(MAX_ALIASES + 1):
        records = [each for each in answers if each.type == wanted and _name(each.name) == name]
        if records:
            break
        alias = next((e for e in answers if e.type == dns.CNAME and _name(e.name) == name), None)
        if alias is None:
            break
        name, ttl_s = _name(alias.payload.name), min(ttl_s, alias.ttl)
    else:
        return failure(asked.name, "aliases (CNAME) that go on and on")
    if records and not no_name:
        ttl_s = min([ttl_s, *(each.ttl for each in records)])
        try:
            return _with_records(asked.kind, name, records, secure, max(0, ttl_s))
        except (ValueError, UnicodeError):
            return Fault.BROKEN
    ttl_s = min(ttl_s, _none_ttl(message.authority))
    found = Found.NO_NAME if no_name else Found.NO_DATA
    return Answer(found, name, secure=secure, ttl_s=max(0, ttl_s))


def _with_records(
    kind: Kind, name: str, records: Sequence[Any], secure: bool, ttl_s: int
) -> Answer:
    payloads = [each.payload for each in records]
    texts: tuple[str, ...] = ()
    exchangers: tuple[MailExchanger, ...] = ()
    octets: tuple[bytes, ...] = ()
    services: tuple[ServiceHost, ...] = ()
    if kind == "A":
        texts = tuple(each.dottedQuad() for each in payloads)
    elif kind == "AAAA":
        texts = tuple(str(ipaddress.IPv6Address(each.address)) for each in payloads)
    elif kind == "PTR":
        texts = tuple(_name(each.name) for each in payloads)
    elif kind == "MX":
        exchangers = tuple(MailExchanger(each.preference, _name(each.name)) for each in payloads)
    elif kind == "SRV":
        services = tuple(
            ServiceHost(each.priority, each.weight, each.port, _name(each.target))
            for each in payloads
        )
    elif kind == "TXT":
        octets = tuple(b"".join(each.data) for each in payloads)
    else:
        octets = tuple(each.data for each in payloads)
    return Answer(Found.RECORDS, name, texts, exchangers, octets, services, secure, ttl_s)


def _none_ttl(authority: Sequence[Any]) -> int:
    """RFC 2308 section 5: the lesser of the SOA's own time and its last field; 0 without one."""
    for record in authority[:MAX_RECORDS]:
        if record.type == dns.SOA:
            return int(min(record.ttl, record.payload.minimum, MAX_NONE_TTL_S))
    return 0


def _refers(authority: Sequence[Any]) -> bool:
    """RFC 2308 section 2.2: a referral has NS records and no SOA."""
    types = {record.type for record in authority}
    return dns.NS in types and dns.SOA not in types


def _name(name: dns.Name) -> str:
    return name.name.decode("ascii", "replace").lower().rstrip(".")
