"""Certificates that end soon: those that servers show, and our own.

Owns when that is worth a warning, in the log once for each certificate and in the status as long as
it holds. Never judges a certificate otherwise.
"""

from __future__ import annotations

import datetime

from twisted.logger import Logger

from gateway.core.ports.clock import WallClock
from gateway.directory.ldap.tls import Protection

SOON = datetime.timedelta(days=21)


class Expiry:
    """Of one directory."""

    log = Logger()

    def __init__(self, wall_clock: WallClock) -> None:
        self._wall_clock = wall_clock
        self._ends: dict[str, datetime.datetime] = {}
        self._told: set[tuple[str, datetime.datetime]] = set()

    def saw(self, name: str, protection: Protection) -> None:
        """A server has shown this."""
        if protection.chain:
            self.ends(name, min(each.not_after for each in protection.chain))
        else:
            self.forget(name)

    def forget(self, name: str) -> None:
        """It is none of the servers any more, or shows no certificate."""
        self._ends.pop(name, None)

    def ends(self, name: str, at: datetime.datetime) -> None:
        """Whose certificate ends when."""
        if self._ends.get(name) == at:
            return
        self._ends[name] = at
        warning = self._warning(name, at)
        if warning and (name, at) not in self._told:
            self._told.add((name, at))
            self.log.warn("{warning}", warning=warning)

    def warnings(self) -> tuple[str, ...]:
        told = (self._warning(name, at) for name, at in self._ends.items())
        return tuple(filter(None, told))

    def _warning(self, name: str, at: datetime.datetime) -> str:
        left = at - datetime.datetime.fromtimestamp(self._wall_clock(), datetime.UTC)
        if left >= SOON:
            return ""
        when = f"{at:%Y-%m-%d %H:%M} UTC"
        if left <= datetime.timedelta(0):
            return f"{name}: the certificate has ended at {when}"
        days = "a day" if left.days == 1 else f"{left.days} days"
        return f"{name}: the certificate ends in {days}, at {when}"
