"""Content synchronisation as OpenLDAP's syncprov offers it (RFC 4533, refreshOnly).

Owns the exchange and its two endings: after a delete phase everybody who was not named is still
there; after a present phase nobody is who was not named. The listing before it goes in pages, which
a server's limits allow sooner than one answer with everything, so the first cookie is made from
contextCSN, in the form that slapd documents for its own consumers (ldapsearch(1), ``-E sync``).
Nothing is asked while contextCSN is what it was.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from twisted.internet.defer import Deferred

from gateway.directory.ldap.asking import LdapFailed
from gateway.directory.picture.differ import Differ
from gateway.directory.picture.questions import SUCCESS, Batches, refused
from gateway.directory.picture.strategies.csn import (
    AtCsn,
    Csns,
    csns_in,
    moved,
    text_of,
)
from gateway.directory.picture.strategies.way import Learnt, Position, PositionLost, Traits
from gateway.wire.ldap.ber import LdapGarbage
from gateway.wire.ldap.controls import value_of
from gateway.wire.ldap.messages import Control, SearchEntry
from gateway.wire.ldap.sync import (
    REFRESH_REQUIRED,
    SYNC_INFO,
    Change,
    SyncInfoKind,
    sync_done,
    sync_info,
    sync_request,
    sync_state,
)

UNWILLING = 53
"""What slapd says to a cookie that is newer than itself."""


class BySyncrepl(AtCsn):
    """A Way for one refresh."""

    traits = Traits("syncrepl", sees_gone=True)

    def position(self) -> Position | None:
        if not self._csns:
            return None
        return {"cookie": f"rid=000,csn={text_of(self._csns)}"}

    async def changes(self, position: Position, differ: Differ) -> Learnt:
        cookie = position.get("cookie", "")
        if not moved(_csns_of(cookie), self._csns):
            return Learnt(position, quiet=True)
        talk = _Talk(differ)
        found = await self._listening.search(
            self._source.listing(),
            (sync_request(cookie.encode("latin-1")),),
            heard=talk.heard,
        )
        if found.result.code in (REFRESH_REQUIRED, UNWILLING):
            raise PositionLost(f"the server does not take the cookie: {refused(found).reason}")
        if found.result.code != SUCCESS:
            raise refused(found)
        await talk.rest()
        try:
            done = sync_done(found.controls)
        except LdapGarbage as error:
            raise LdapFailed(f"the end of a refresh cannot be read: {error}") from None
        if done is None:
            raise LdapFailed("the server has not said how the refresh ended")
        new = done.cookie or talk.cookie
        if not new:
            raise PositionLost("the server gave no new cookie")
        return Learnt(
            {"cookie": new.decode("latin-1")},
            gone=talk.gone,
            # Without a word of the phases the end says which one it was (section 2.4).
            there=talk.there if talk.present or not (done.deletes or talk.deletes) else None,
        )


def _csns_of(cookie: str) -> Csns:
    for part in cookie.split(","):
        name, _, value = part.partition("=")
        if name == "csn":
            return csns_in(value)
    raise PositionLost("the cookie names no contextCSN")


class _Talk:
    """Hears entries and id sets as they come."""

    def __init__(self, differ: Differ) -> None:
        self._batches = Batches(differ.take)
        self.cookie: bytes | None = None
        self.gone: list[str] = []
        self.there: set[str] = set()
        self.deletes = False
        self.present = False

    def heard(self, entry: SearchEntry, controls: Sequence[Control]) -> Deferred[None] | None:
        try:
            info = value_of(controls, SYNC_INFO)
            if info is not None:
                self._told(info)
                return None
            state = sync_state(controls)
        except LdapGarbage as error:
            raise LdapFailed(f"a change cannot be read: {error}") from None
        if state is None:
            raise LdapFailed("an entry came without saying what has become of it")
        self.cookie = state.cookie or self.cookie
        entry_id = str(uuid.UUID(bytes=state.entry_id))
        if state.change is Change.DELETE:
            self.gone.append(entry_id)
            return None
        self.there.add(entry_id)
        if state.change is Change.PRESENT:
            return None
        return self._batches.heard(entry, controls)

    def _told(self, value: bytes) -> None:
        """RFC 4533 section 2.5."""
        info = sync_info(value)
        self.cookie = info.cookie or self.cookie
        if info.kind is SyncInfoKind.REFRESH_DELETE:
            self.deletes = True
        elif info.kind is SyncInfoKind.REFRESH_PRESENT:
            self.present = True  # a delete phase may follow, which only adds to it (section 3.3.2)
        elif info.kind is SyncInfoKind.ID_SET:
            ids = [str(uuid.UUID(bytes=each)) for each in info.entry_ids]
            if info.flag:
                self.gone += ids
            else:
                self.there.update(ids)

    async def rest(self) -> None:
        await self._batches.rest()
