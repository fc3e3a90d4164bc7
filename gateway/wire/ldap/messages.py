"""LDAP messages as values (RFC 4511 section 4): requests that are sent, responses that come.

Owns the shapes alone; octets are made and read beside it. Attribute names are in lower case,
without options taken apart; values are octets as they came. Never holds a connection's state.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum

from gateway.wire.ldap.filters import Filter


class Scope(IntEnum):
    """Of a search (RFC 4511 section 4.5.1.2)."""

    BASE = 0
    ONE = 1
    SUBTREE = 2


@dataclass(frozen=True, slots=True)
class Control:
    """Rides on a request or a response (RFC 4511 section 4.1.11)."""

    oid: str
    critical: bool = False
    value: bytes | None = None


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """Aliases are never dereferenced.

    Args:
        base: DN; empty: the root DSE.
        attributes: to bring; ``*`` and ``+`` as RFC 3673 has them.
        most: entries; 0: as many as the server gives.
        time_limit_s: for the server; 0: its own.
    """

    base: str
    scope: Scope
    wanted: Filter
    attributes: tuple[str, ...]
    most: int = 0
    time_limit_s: int = 0


@dataclass(frozen=True, slots=True)
class BindRequest:
    """A simple bind, or SASL where a mechanism is named (section 4.2).

    Args:
        password: octets as typed (SECURITY L14).
        credentials: of SASL.
    """

    dn: str
    password: bytes = field(default=b"", repr=False)
    mechanism: str = ""
    credentials: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class ExtendedRequest:
    """Section 4.12."""

    oid: str
    value: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Unbind:
    """Section 4.3: the last word, unanswered."""


@dataclass(frozen=True, slots=True)
class Abandon:
    """Section 4.11."""

    message_id: int


@dataclass(frozen=True, slots=True)
class Result:
    """Section 4.1.9.

    Args:
        code: any number; those not known are the server's own.
        diagnostic: as it came, bounded; not for users.
        referrals: URIs of other servers; never followed (SECURITY F3).
    """

    code: int
    matched_dn: str = ""
    diagnostic: str = ""
    referrals: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class BindResponse:
    result: Result
    credentials: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class SearchEntry:
    """Args:
    attributes: values by lower-case name, options included (``member;range=0-1499``).
    """

    dn: str
    attributes: Mapping[str, Sequence[bytes]]


@dataclass(frozen=True, slots=True)
class SearchReference:
    """Part of the answer is elsewhere (section 4.5.3)."""

    uris: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SearchDone:
    result: Result


@dataclass(frozen=True, slots=True)
class ExtendedResponse:
    """Message number 0 and a name: the server gives notice (section 4.4)."""

    result: Result
    oid: str = ""
    value: bytes | None = None


@dataclass(frozen=True, slots=True)
class IntermediateResponse:
    """Section 4.13; RFC 4533 sends sets of ids so."""

    oid: str = ""
    value: bytes | None = None


@dataclass(frozen=True, slots=True)
class UnknownResponse:
    """Of a kind that nobody here asks for."""

    tag: int


Request = SearchRequest | BindRequest | ExtendedRequest | Unbind | Abandon
Response = (
    BindResponse
    | SearchEntry
    | SearchReference
    | SearchDone
    | ExtendedResponse
    | IntermediateResponse
    | UnknownResponse
)


@dataclass(frozen=True, slots=True)
class Received:
    """One message from a server.

    Args:
        size_octets: of all of it, as it came.
    """

    message_id: int
    response: Response
    controls: tuple[Control, ...] = ()
    size_octets: int = field(default=0, compare=False)
