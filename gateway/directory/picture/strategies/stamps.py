"""Any server that keeps modifyTimestamp (RFC 4512 section 3.4): what was changed since, by its own
clock.

Owns what is known of that clock: it has reached every stamp that was seen, and has gone on since
for as long as ours has. So the question begins at a time that the server had surely reached,
OVERLAP_S earlier, as replicas get changes late; clocks need not agree. Who is gone it cannot tell.
"""

from __future__ import annotations

import calendar
import re
import time
from collections.abc import Sequence

from gateway.core.ports.clock import Timers
from gateway.directory.ldap.asking import Listening
from gateway.directory.picture.differ import Differ
from gateway.directory.picture.questions import in_pages, with_all_values
from gateway.directory.picture.source import Source
from gateway.directory.picture.strategies.way import Learnt, Position, PositionLost, Traits
from gateway.wire.ldap.messages import SearchEntry

STAMP = "modifyTimestamp"
OVERLAP_S = 60
# RFC 4517 section 3.3.13, in UTC as servers write it
_TIME = re.compile(r"(\d{14})(?:[.,]\d+)?Z\Z")


class ServerTime:
    """What the server's clock has surely reached; lives as long as the process."""

    def __init__(self, timers: Timers) -> None:
        self._timers = timers
        self._reached = 0.0
        self._at = 0.0

    def seen(self, stamp: float) -> None:
        if stamp > self.now():
            self._reached, self._at = stamp, self._timers.seconds()

    def now(self) -> float:
        """0: nothing is known."""
        if not self._reached:
            return 0.0
        return self._reached + self._timers.seconds() - self._at


class ByStamps:
    """A Way for one refresh."""

    traits = Traits("timestamps", sees_gone=False, attributes=(STAMP,))

    def __init__(
        self, source: Source, listening: Listening, clock: ServerTime, timers: Timers
    ) -> None:
        self._source = source
        self._listening = listening
        self._clock = clock
        self._timers = timers
        self._began = 0.0

    async def begin(self) -> None:
        self._began = self._timers.seconds()

    def see(self, found: Sequence[SearchEntry]) -> Sequence[SearchEntry]:
        plain = []
        for entry in found:
            attributes = dict(entry.attributes)
            for octets in attributes.pop(STAMP.lower(), ()):
                stamp = _seconds(octets)
                if stamp is not None:
                    self._clock.seen(stamp)
            plain.append(SearchEntry(entry.dn, attributes))
        return plain

    def position(self) -> Position | None:
        now = self._clock.now()
        # Where it surely was when the listing began.
        return _at(now - (self._timers.seconds() - self._began)) if now else None

    async def changes(self, position: Position, differ: Differ) -> Learnt:
        since = _seconds(position.get("since", "").encode())
        if since is None:
            raise PositionLost("the time of the last refresh is not known")
        self._clock.seen(since)
        began = self._clock.now()
        members = self._source.schema.members

        async def taken(found: Sequence[SearchEntry]) -> None:
            plain = self.see(found)
            whole = [await with_all_values(self._listening, each, members) for each in plain]
            await differ.take(whole)

        first = _text(since - OVERLAP_S)
        await in_pages(self._listening, self._source.since(STAMP, first, STAMP), taken)
        return Learnt(_at(began))


def _at(seconds: float) -> Position:
    return {"since": _text(seconds)}


def _text(seconds: float) -> str:
    return time.strftime("%Y%m%d%H%M%SZ", time.gmtime(max(0, int(seconds))))


def _seconds(octets: bytes) -> float | None:
    found = _TIME.match(octets[:40].decode("ascii", "replace"))
    if not found:
        return None
    try:
        return float(calendar.timegm(time.strptime(found[1], "%Y%m%d%H%M%S")))
    except ValueError:
        return None
