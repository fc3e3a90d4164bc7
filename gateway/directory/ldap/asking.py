"""The port to a directory's servers: whoever needs something of them asks here.

Owns shapes alone. Which server is asked, over which connection, whether one is tried again and for
how long, is below it (``servers``); what answers mean is above it. Never blocks the reactor.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from twisted.internet.defer import Deferred

from gateway.wire.ldap.messages import Control, Result, SearchEntry, SearchRequest


class LdapFailed(Exception):
    """No usable answer. ``reason`` is for logs: escaped, bounded, without secrets."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Found:
    """A finished search. References to other servers are left out."""

    result: Result
    entries: tuple[SearchEntry, ...]
    controls: tuple[Control, ...] = ()


@dataclass(frozen=True, slots=True)
class BindAnswer:
    """What a server said to a person's bind."""

    result: Result
    controls: tuple[Control, ...] = ()


@dataclass(frozen=True, slots=True)
class Server:
    """Who answers, as its root DSE tells (RFC 4512 section 5.1).

    Args:
        name: of the server, as configured or discovered, for logs: ``ldaps://dc1.example.com``.
        root: the root DSE, values by lower-case name.
        bound: as whom, for people: ``as cn=gateway,dc=example,dc=com``, ``anonymously``.
        protection: for people: ``TLSv1.3``, ``clear text``.
    """

    name: str
    root: SearchEntry = field(repr=False)
    bound: str = ""
    protection: str = ""

    def values(self, attribute: str) -> tuple[str, ...]:
        """Of the root DSE, as text."""
        octets = self.root.attributes.get(attribute.lower(), ())
        return tuple(each.decode("utf-8", "replace") for each in octets)

    def supports(self, control: str) -> bool:
        return control in self.values("supportedControl")


Heard = Callable[[SearchEntry, Sequence[Control]], Deferred[None] | None]
"""Takes an entry as it arrives, with its controls; also with the id sets of RFC 4533 as controls
named by the OID of the intermediate response (beside an entry without DN). What it returns is
waited for before more is read. Raises to stop."""


class Listening(Protocol):
    """One server for several requests that belong together: a listing in pages, a refresh."""

    @property
    def server(self) -> Server: ...

    async def search(
        self,
        request: SearchRequest,
        controls: Sequence[Control] = (),
        *,
        heard: Heard | None = None,
    ) -> Found:
        """As ``Asks.search``. With ``heard`` entries go there instead of into the answer, and the
        time limit is one of silence.

        Raises: LdapFailed.
        """
        ...

    async def close(self) -> None: ...


class Watched(Protocol):
    """The same servers, for whoever wants to know of all of them without asking."""

    def watch(self, returned: Callable[[], None]) -> None:
        """Look now and then at those that nobody asks.

        Args:
            returned: called whenever one is back that was down.
        """
        ...

    def unwatch(self) -> None: ...


class Asks(Protocol):
    """The servers of one directory, as one."""

    async def search(self, request: SearchRequest, controls: Sequence[Control] = ()) -> Found:
        """Asked of the best server as the service account; once more elsewhere if a connection
        proves dead (SECURITY L9). Bounded in time and octets.

        Any result code comes back as it is, but those by which a server says that it cannot
        answer now (busy, unavailable…), which send the question to another one.

        Raises:
            LdapFailed: nobody answered.
        """
        ...

    async def bind(self, dn: str, password: bytes) -> BindAnswer:
        """Bind as a person on a connection of its own, closed afterwards. Sent once: only reaching
        a server may move on to the next (SECURITY L22).

        Raises:
            LdapFailed: no server was reached, or the one that was gave no answer.
        """
        ...

    async def listening(self) -> Listening:
        """A connection of one's own to the best server.

        Raises: LdapFailed.
        """
        ...

    async def close(self) -> None: ...
