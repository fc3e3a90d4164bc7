"""Which addresses could not be reached lately, so that others are tried first.

Owns a bounded memory. Never forbids an address: it only comes last. Where a connection fails at
once because the system has no way to any such address, the whole family (IPv4, IPv6) comes last.

Limits: MAX_DEAD addresses.
"""

from __future__ import annotations

from gateway.core.ports.clock import Timers

DEAD_S = 120.0
FAMILY_S = 600.0
MAX_DEAD = 10_000


class Reachability:
    """Told by connections, asked by routes."""

    def __init__(self, timers: Timers) -> None:
        self._timers = timers
        self._dead: dict[str, float] = {}
        self._families: dict[bool, float] = {}

    def failed(self, ip: str, *, no_way: bool = False) -> None:
        """No connection came about.

        Args:
            no_way: the system said so at once: no route, no address of the family here.
        """
        now = self._timers.seconds()
        if no_way:
            self._families[":" in ip] = now + FAMILY_S
        if len(self._dead) >= MAX_DEAD:
            self._dead = {each: end for each, end in self._dead.items() if end > now}
            if len(self._dead) >= MAX_DEAD:
                self._dead.clear()
        self._dead[ip] = now + DEAD_S

    def worked(self, ip: str) -> None:
        self._dead.pop(ip, None)
        self._families.pop(":" in ip, None)

    def comes_last(self, ip: str) -> bool:
        if not self._dead and not self._families:
            return False
        now = self._timers.seconds()
        return self._dead.get(ip, 0.0) > now or self._families.get(":" in ip, 0.0) > now
