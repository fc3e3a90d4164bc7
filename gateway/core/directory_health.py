"""How the servers of a directory are, for the administrator: values that ``gateway status`` shows.

Owns the shapes alone. Texts are escaped and bounded by whoever makes them; none holds a secret.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ServerState = Literal["not asked yet", "up", "suspect", "down"]


@dataclass(frozen=True, slots=True)
class ServerHealth:
    """One server, as this process has met it.

    Args:
        name: as configured or discovered: ``ldaps://dc1.example.com``.
        since: Unix time since when it is in this state.
        last_error: the last trouble with it, also of a server that is up again; empty: none.
        latency_ms: of its answers lately; None: it has given none.
        in_use: questions go there now.
    """

    name: str
    state: ServerState
    since: int
    last_error: str = ""
    latency_ms: float | None = None
    in_use: bool = False


@dataclass(frozen=True, slots=True)
class DirectoryHealth:
    """One directory.

    Args:
        name: of the directory in the settings; empty: the only one.
        servers: in the order in which they are preferred; none: of a file.
        answers: whether anybody can be asked, as far as is known.
        degraded: the best server is not the one in use, or none is.
        trouble: what concerns them all, such as a refused service account; empty: nothing.
        warnings: what needs attention, a sentence each.
    """

    name: str = ""
    servers: tuple[ServerHealth, ...] = ()
    answers: bool = True
    degraded: bool = False
    trouble: str = ""
    warnings: tuple[str, ...] = ()
