"""Active Directory and Samba: update sequence numbers, of each domain controller its own.

Owns highestCommittedUSN and uSNChanged (MS-ADTS 3.1.1.1.9): what a controller has taken since has
higher numbers, also what came to it by replication. Numbers of another controller mean nothing
here, nor do those of one that was restored, which has a new invocationId or stands lower than it
stood. Who is known, has changed and is not found as a person or group any more seems to be gone:
moved, disqualified, or deleted, where tombstones may be read.
"""

from __future__ import annotations

from collections.abc import Sequence

from gateway.directory.dn import dn_key
from gateway.directory.ldap.asking import LdapFailed, Listening
from gateway.directory.picture.differ import Differ
from gateway.directory.picture.questions import in_pages, read_one, with_all_values
from gateway.directory.picture.source import Source
from gateway.directory.picture.strategies.way import Learnt, Position, PositionLost, Traits
from gateway.wire.ldap.controls import SHOW_DELETED
from gateway.wire.ldap.filters import AtLeast
from gateway.wire.ldap.messages import Scope, SearchEntry, SearchRequest

HIGHEST = "highestCommittedUSN"
MAX_CONTROLLERS = 16
"""Whose numbers are remembered."""
_DELETED_OBJECTS = "<WKGUID=18E2EA80684F11D2B9AA00C04F79F805,{}>"  # MS-ADTS 6.1.1.4


class ByUsn:
    """A Way for one refresh at one controller."""

    def __init__(
        self, source: Source, listening: Listening, controller: str, highest: int, tombstones: bool
    ) -> None:
        """Args: see ``stand_of``; tombstones: they may be read."""
        self._source = source
        self._listening = listening
        self._controller = controller
        self._highest = highest
        self._known: Position = {}
        self.traits = Traits("usn", sees_gone=tombstones)

    async def begin(self) -> None:
        self._controller, self._highest = await stand_of(self._listening)

    def see(self, found: Sequence[SearchEntry]) -> Sequence[SearchEntry]:
        return found

    def position(self) -> Position | None:
        return self._at(self._highest)

    def _at(self, usn: int) -> Position:
        others = [pair for pair in self._known.items() if pair[0] != self._controller]
        return {**dict(others[-MAX_CONTROLLERS + 1 :]), self._controller: str(usn)}

    async def changes(self, position: Position, differ: Differ) -> Learnt:
        self._known = position
        stood = position.get(self._controller, "")
        if not stood.isdigit():
            raise PositionLost("another domain controller answers, or this one was restored")
        if self._highest < int(stood):
            raise PositionLost("the domain controller has gone back to an older state")
        if self._highest == int(stood):
            return Learnt(position, quiet=True)
        first = str(int(stood) + 1)
        found_ids: set[str] = set()
        members = self._source.schema.members

        async def taken(found: Sequence[SearchEntry]) -> None:
            whole = [await with_all_values(self._listening, each, members) for each in found]
            found_ids.update(map(self._source.id_of, whole))
            await differ.take(whole)

        await in_pages(self._listening, self._source.since("uSNChanged", first), taken)
        gone = [each for each in await self._changed_anywhere(first) if each not in found_ids]
        return Learnt(self._at(self._highest), gone=gone)

    async def _changed_anywhere(self, first: str) -> list[str]:
        """Ids of all kinds of entries, wherever they are now."""
        ids: list[str] = []

        async def taken(found: Sequence[SearchEntry]) -> None:
            ids.extend(filter(None, map(self._source.real_id_of, found)))

        request = SearchRequest(
            _context(self._listening, self._source),
            Scope.SUBTREE,
            AtLeast("uSNChanged", first),
            (self._source.schema.id_attribute,),
        )
        controls = (SHOW_DELETED,) if self.traits.sees_gone else ()
        await in_pages(self._listening, request, taken, controls)
        return ids


async def stand_of(listening: Listening) -> tuple[str, int]:
    """Which controller it is (in words that change with its restoring), and its highest number.

    Raises: LdapFailed.
    """
    root = await read_one(listening, "", (HIGHEST, "dsServiceName"))
    highest, service = _text(root, HIGHEST), _text(root, "dsServiceName")
    if not highest.isdigit() or not service:
        raise LdapFailed(f"the server does not tell its {HIGHEST}")
    settings = await read_one(listening, service, ("invocationId",))
    # Whoever may not read it has a weaker sign of a restored controller: a lower number.
    octets = settings.attributes.get("invocationid", ()) if settings is not None else ()
    return (octets[0].hex() if octets else dn_key(service)), int(highest)


async def tombstones_are_readable(listening: Listening, source: Source) -> bool:
    """Whether deleted entries are shown to the service account. Raises: LdapFailed."""
    if source.schema.id_attribute.lower() != "objectguid":
        return False  # nothing else is sure to be left of them
    container = _DELETED_OBJECTS.format(_context(listening, source))
    entry = await read_one(listening, container, ("isDeleted",), (SHOW_DELETED,))
    # Its name alone is shown to everybody.
    return entry is not None and bool(entry.attributes.get("isdeleted"))


def _context(listening: Listening, source: Source) -> str:
    """The naming context that the base is in."""
    base = dn_key(source.base)
    for each in listening.server.values("defaultNamingContext"):
        if base == dn_key(each) or base.endswith(f",{dn_key(each)}"):
            return each
    return source.base


def _text(root: SearchEntry | None, name: str) -> str:
    values = root.attributes.get(name.lower(), ()) if root is not None else ()
    return values[0].decode("utf-8", "replace") if values else ""
