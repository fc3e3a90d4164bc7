"""Questions to one server whose answers are all or nothing: a search, a listing in pages.

Owns paging (RFC 2696), and the difference between an answer and half of one: any result code but
success is LdapFailed, a size limit that was met (SECURITY L19) above all, whatever came before.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from twisted.internet.defer import Deferred

from gateway.core.log_text import shown
from gateway.core.ports.clock import Timers
from gateway.directory.entries import Entry
from gateway.directory.ldap.asking import Found, LdapFailed, Listening
from gateway.directory.ldap.member_steps import in_steps
from gateway.directory.picture.source import BATCH
from gateway.wire.ldap.ber import LdapGarbage
from gateway.wire.ldap.controls import PAGED_RESULTS, page_of, paged
from gateway.wire.ldap.filters import Present
from gateway.wire.ldap.messages import Control, Scope, SearchEntry, SearchRequest

PAGE = 500
"""Active Directory gives 1000 at most, and OpenLDAP 500 where nobody has said otherwise."""
EMPTY_PAGES = 100
"""In a row: a server may filter a page to nothing, but not for ever."""

SUCCESS = 0
NO_SUCH_OBJECT = 32
_NOT_READABLE = frozenset((12, 16, NO_SUCH_OBJECT, 34, 50))
_HINTS = {
    3: "the server's time limit for the service account is too short",
    4: "the server gives the service account fewer entries than there are; raise its size limit"
    " (OpenLDAP: limits, Active Directory: MaxPageSize, 389 DS: nsPagedSizeLimit)",
    11: "the server's limits for the service account are too low, or an attribute has no index",
    NO_SUCH_OBJECT: "there is no such base",
    50: "the service account may not read this",
}

Taken = Callable[[Sequence[SearchEntry]], Coroutine[Deferred[Any], Any, None]]


def breathe(timers: Timers) -> Deferred[None]:
    """Let the reactor do what else waits."""
    rested: Deferred[None] = Deferred()
    timers.callLater(0, rested.callback, None)
    return rested


async def ask(
    listening: Listening, request: SearchRequest, controls: Sequence[Control] = ()
) -> Found:
    """The whole answer. Raises: LdapFailed (also for a part of one)."""
    found = await listening.search(request, controls)
    if found.result.code != SUCCESS:
        raise refused(found)
    return found


async def read_one(
    listening: Listening,
    dn: str,
    attributes: tuple[str, ...],
    controls: Sequence[Control] = (),
) -> SearchEntry | None:
    """One entry; None: there is none that may be read.

    Raises:
        LdapFailed: nobody can say whether there is; what may pass must not look like "none".
    """
    request = SearchRequest(dn, Scope.BASE, Present("objectClass"), attributes)
    found = await listening.search(request, controls)
    if found.result.code in _NOT_READABLE:
        return None
    if found.result.code != SUCCESS:
        raise refused(found)
    return found.entries[0] if found.entries else None


def refused(found: Found) -> LdapFailed:
    """What a server's refusal means."""
    result = found.result
    words = f"result code {result.code}"
    if result.diagnostic:
        words += f" {shown(result.diagnostic, 200)}"
    hint = _HINTS.get(result.code)
    return LdapFailed(f"{words}: {hint}" if hint else words)


async def in_pages(
    listening: Listening,
    request: SearchRequest,
    taken: Taken,
    controls: Sequence[Control] = (),
) -> None:
    """Everything that is found, BATCH entries at a time as they come; no more is read from the
    server while they are taken, so that neither large groups nor a slow disk fill the memory.

    Raises:
        LdapFailed: what was taken is not everything. Nothing follows for what was not.
        GatewayError: of ``taken``.
    """
    batches = Batches(taken)
    if not listening.server.supports(PAGED_RESULTS):
        found = await listening.search(request, controls, heard=batches.heard)
        if found.result.code != SUCCESS:
            raise refused(found)
        await batches.rest()
        return
    cookie, empty = b"", 0
    while True:
        came = batches.came
        found = await listening.search(
            request, (paged(PAGE, cookie), *controls), heard=batches.heard
        )
        if found.result.code != SUCCESS:
            raise refused(found)
        cookie = _cookie(found)
        if not cookie:
            await batches.rest()
            return
        empty = 0 if batches.came > came else empty + 1
        if empty > EMPTY_PAGES:
            raise LdapFailed(f"{empty} pages in a row without an entry")


class Batches:
    """Gathers entries as they are heard, and has them taken BATCH at a time."""

    def __init__(self, taken: Taken) -> None:
        self._taken = taken
        self._waiting: list[SearchEntry] = []
        self.came = 0

    def heard(self, entry: SearchEntry, controls: Sequence[Control]) -> Deferred[None] | None:
        self.came += 1
        self._waiting.append(entry)
        if len(self._waiting) < BATCH:
            return None
        return Deferred.fromCoroutine(self.rest())

    async def rest(self) -> None:
        """Have what is left taken."""
        entries, self._waiting = self._waiting, []
        if entries:
            await self._taken(entries)


def _cookie(found: Found) -> bytes:
    try:
        page = page_of(found.controls)
    except LdapGarbage as error:
        raise LdapFailed(f"the end of a page cannot be read: {error}") from None
    if page is None:
        # It says that it can, was told that it must, and has not: this may be all, or not.
        raise LdapFailed("the server has not told whether more follows")
    return page.cookie


async def with_all_values(listening: Listening, entry: SearchEntry, most: int) -> SearchEntry:
    """The entry with all values of attributes of which the server gave only the first ones
    (SECURITY L18).

    Args:
        most: values are enough: whoever has more of them is too large anyway.

    Raises:
        LdapFailed: some of them cannot be had.
    """

    async def more(dn: str, attribute: str) -> Sequence[SearchEntry]:
        request = SearchRequest(dn, Scope.BASE, Present("objectClass"), (attribute,))
        return (await ask(listening, request)).entries

    whole = await in_steps(Entry(entry.dn, entry.attributes), most, more)
    return SearchEntry(whole.dn, whole.attributes)
