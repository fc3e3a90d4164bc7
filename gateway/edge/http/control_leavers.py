"""``/v1/leavers/…``: who leaves and moves, for ``gateway user reconcile``, over the control socket.

Owns the rows of the control API. What a call takes and answers is ``people.desk``'s.
"""

from __future__ import annotations

from gateway.edge.http.control import Route
from gateway.edge.http.control_queue import Ask, desk_routes
from gateway.people.desk import CALLS


def leavers_routes(ask: Ask) -> list[Route]:
    """A row for each call."""
    return desk_routes("leavers", sorted(CALLS), ask)
