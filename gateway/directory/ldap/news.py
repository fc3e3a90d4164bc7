"""What is logged of servers: once at each change, in words that say what it means.

Owns the sentences and which changes are worth one. That a server was suspected and has answered the
probe is none.
"""

from __future__ import annotations

from collections.abc import Sequence

from twisted.logger import Logger

from gateway.core.ports.clock import WallClock
from gateway.directory.ldap.breaker import State
from gateway.directory.ldap.member import Member

_DOWN = (State.OPEN, State.HALF_OPEN)


class News:
    """Of one directory's servers."""

    log = Logger()

    def __init__(self, wall_clock: WallClock) -> None:
        self._wall_clock = wall_clock
        self._down_since: dict[str, float] = {}

    def found(self, members: Sequence[Member]) -> None:
        """These are the servers now."""
        names = ", ".join(member.name for member in members) or "none"
        self.log.info("directory servers, the best first: {names}", names=names[:1000])

    def changed(
        self, member: Member, before: State, after: State, members: Sequence[Member]
    ) -> None:
        if after is State.OPEN and before not in _DOWN:
            self._down_since[member.name] = self._wall_clock()
            self._tell_down(member, self._best(members))
        elif after is State.CLOSED and before in _DOWN:
            self._tell_up(member, self._best(members))

    def _tell_down(self, member: Member, serving: Member | None) -> None:
        if serving is None:
            self.log.error(
                "directory server {name} is down and no other one is left: {reason}",
                name=member.name,
                reason=member.breaker.last_error,
            )
        else:
            self.log.warn(
                "directory server {name} is down, {other} is asked: {reason}",
                name=member.name,
                other=serving.name,
                reason=member.breaker.last_error,
            )

    def _tell_up(self, member: Member, serving: Member | None) -> None:
        since = self._down_since.pop(member.name, None)
        down_s = max(0, int(self._wall_clock() - since)) if since is not None else 0
        if serving is member:
            what = "is up again and is asked from now on"
        else:
            what = "is up again, as a spare"
        self.log.info(
            "directory server {name} {what}; it was down for {down_s} s",
            name=member.name,
            what=what,
            down_s=down_s,
        )

    @staticmethod
    def _best(members: Sequence[Member]) -> Member | None:
        return next((each for each in members if each.breaker.usable), None)
