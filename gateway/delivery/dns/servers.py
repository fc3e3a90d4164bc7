"""Which name servers are asked, and in which order.

Owns the list: those of the settings, or the ones that ``resolv.conf`` names, which is looked at
again when it may have changed. Never asks. A server that was silent goes to the end of the line for
SILENT_S. Only servers that the settings name as trusted are asked if there are any: else somebody
would only have to silence those to be believed in their place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from gateway.core.hosts import parse_ip
from gateway.core.ports.clock import Timers
from gateway.delivery.dns.exchange import Server

PORT = 53
MAX_SERVERS = 4
LOOK_EVERY_S = 10.0
SILENT_S = 30.0
RESOLV_CONF = Path("/etc/resolv.conf")

_LOOPBACK: tuple[Server, ...] = (("127.0.0.1", PORT),)


class NameServers:
    """Knows them.

    Args:
        servers: of the settings.
        trusted: their word on DNSSEC is believed.
        look: makes the list of servers without settings, or gives None where it has not changed.
    """

    def __init__(
        self,
        timers: Timers,
        servers: Sequence[Server] = (),
        *,
        trusted: bool = False,
        look: Callable[[], Sequence[Server] | None] | None = None,
    ) -> None:
        self._timers = timers
        self._fixed = bool(servers)
        self._servers = tuple(servers)
        self.trusted = trusted and self._fixed
        self._look = look or ResolvConf()
        self._look_at = timers.seconds()
        self._silent: dict[Server, float] = {}

    def in_order(self) -> list[Server]:
        """To be asked one after the other; never empty."""
        now = self._timers.seconds()
        if not self._fixed and now >= self._look_at:
            self._look_at = now + LOOK_EVERY_S
            self._servers = tuple(self._look() or self._servers)
        silent = self._silent
        return sorted(self._servers or _LOOPBACK, key=lambda each: silent.get(each, 0.0) > now)

    @property
    def any_silent(self) -> bool:
        """Of those in the line, one has not answered lately."""
        now = self._timers.seconds()
        return any(self._silent.get(each, 0.0) > now for each in self._servers or _LOOPBACK)

    def was_silent(self, server: Server) -> None:
        if len(self._silent) > 8 * MAX_SERVERS:  # lists of earlier days
            self._silent.clear()
        self._silent[server] = self._timers.seconds() + SILENT_S

    def answered(self, server: Server) -> None:
        self._silent.pop(server, None)


class ResolvConf:
    """The system's list (resolv.conf(5)). The file is small and local, and read when it differs."""

    def __init__(self, path: Path = RESOLV_CONF) -> None:
        self._path = path
        self._seen: tuple[int, int, int] | None = None

    def __call__(self) -> Sequence[Server] | None:
        try:
            status = self._path.stat()
            seen = (status.st_mtime_ns, status.st_size, status.st_ino)
            if seen == self._seen:
                return None
            text = self._path.read_text("utf-8", "replace")
        except OSError:
            # resolv.conf(5): without it, the server on this machine.
            self._seen = None
            return _LOOPBACK
        self._seen = seen
        return tuple(_named(text))[:MAX_SERVERS] or _LOOPBACK


def _named(text: str) -> Iterator[Server]:
    for line in text.splitlines():
        words = line.split()
        if len(words) < 2 or words[0] != "nameserver":
            continue
        address, _, zone = words[1].partition("%")
        if parse_ip(address) is not None:
            yield (f"{address}%{zone}" if zone else address), PORT
