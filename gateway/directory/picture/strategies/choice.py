"""Which way changes are learnt at a server: by what its root DSE shows, or as the settings say.

Owns the order of preference, and listing everything each time, which is what is left where a server
offers nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from gateway.core.ports.clock import Timers
from gateway.directory.ldap.asking import LdapFailed, Listening
from gateway.directory.picture.differ import Differ
from gateway.directory.picture.source import Source
from gateway.directory.picture.strategies.csn import ByCsn, context_csns
from gateway.directory.picture.strategies.stamps import ByStamps, ServerTime
from gateway.directory.picture.strategies.syncrepl import BySyncrepl
from gateway.directory.picture.strategies.usn import (
    HIGHEST,
    ByUsn,
    stand_of,
    tombstones_are_readable,
)
from gateway.directory.picture.strategies.way import Learnt, Position, PositionLost, Traits, Way
from gateway.wire.ldap.messages import SearchEntry
from gateway.wire.ldap.sync import SYNC_REQUEST

AUTO = "auto"


class ByListing:
    """Nothing but a listing tells."""

    traits = Traits("listing", sees_gone=True)

    async def begin(self) -> None:
        pass

    def see(self, found: Sequence[SearchEntry]) -> Sequence[SearchEntry]:
        return found

    def position(self) -> Position | None:
        return {}

    async def changes(self, position: Position, differ: Differ) -> Learnt:
        raise PositionLost("the server does not tell what has changed")


async def way_at(
    listening: Listening, source: Source, clock: ServerTime, timers: Timers, *, known: str
) -> Way:
    """The best way at this server.

    Args:
        known: the way that the last refresh went; empty: there was none. By timestamps or listing
            is told apart by what the entries of a listing have, not by the root DSE.

    Raises:
        LdapFailed: it could not be asked, or does not offer what the settings want.
    """
    wanted = source.way
    server = listening.server
    if wanted in (AUTO, "usn") and server.values(HIGHEST):
        controller, highest = await stand_of(listening)
        tombstones = await tombstones_are_readable(listening, source)
        return ByUsn(source, listening, controller, highest, tombstones)
    if wanted in (AUTO, "syncrepl", "csn"):
        csns = await context_csns(listening, source)
        # The ids in RFC 4533 are entryUUIDs (section 1.3), whatever the settings call the id.
        by_uuid = source.schema.id_attribute.lower() == "entryuuid"
        if csns and wanted != "csn" and by_uuid and server.supports(SYNC_REQUEST):
            return BySyncrepl(source, listening, csns)
        if csns and wanted != "syncrepl":
            return ByCsn(source, listening, csns)
    if wanted in ("usn", "syncrepl", "csn"):
        raise LdapFailed(
            f"the server does not offer what refresh_by = {wanted!r} in the settings needs"
        )
    if wanted == "listing" or (wanted == AUTO and known == ByListing.traits.name):
        return ByListing()
    return ByStamps(source, listening, clock, timers)
