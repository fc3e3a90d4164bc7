"""What DNS says: values.

Owns the shapes that the rest of ``delivery`` sees; records of twisted.names stay behind them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Literal

from gateway.core.ports.services import ServiceHost

Kind = Literal["A", "AAAA", "MX", "TXT", "TLSA", "PTR", "SRV"]


class Found(Enum):
    """What came of a question; what nobody knows is never taken for what does not exist."""

    RECORDS = "records"
    NO_DATA = "no record of this type"  # RFC 2308 section 2.2: the name exists
    NO_NAME = "no such name"  # NXDOMAIN
    FAILURE = "no answer"  # SERVFAIL, refusal, time-out, nonsense


@dataclass(frozen=True, slots=True)
class MailExchanger:
    """One MX record; ``host`` is lower case without the final dot, empty for the root."""

    preference: int
    host: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What is known of one name and type.

    Args:
        name: of the records; where the name asked for is an alias (CNAME), the end of the chain.
        texts: addresses of A and AAAA; host names of PTR, lower case without the final dot.
        exchangers: of MX.
        services: of SRV.
        octets: of TXT, the strings of each record joined; of TLSA, the record's data.
        secure: proven by DNSSEC, by the word (AD) of a server that is trusted. Also that there is
            none may be proven.
        ttl_s: how long it may be kept.
        why: of a failure, in words for people.
    """

    found: Found
    name: str
    texts: tuple[str, ...] = ()
    exchangers: tuple[MailExchanger, ...] = ()
    octets: tuple[bytes, ...] = ()
    services: tuple[ServiceHost, ...] = ()
    secure: bool = False
    ttl_s: int = 0
    why: str = ""

    @property
    def failed(self) -> bool:
        return self.found is Found.FAILURE


def failure(name: str, why: str, ttl_s: int = 0) -> Answer:
    return Answer(Found.FAILURE, name, ttl_s=ttl_s, why=why)


def octets_of(answer: Answer) -> int:
    """What it takes in memory, about."""
    texts = sum(len(each) + 60 for each in answer.texts)
    exchangers = sum(len(each.host) + 130 for each in answer.exchangers)
    services = sum(len(each.host) + 160 for each in answer.services)
    return 500 + texts + exchangers + services + sum(len(each) + 40 for each in answer.octets)
