"""``/v1/people/…``: people and their app passwords for ``gateway user``, over the control socket.

Owns the rows of the control API. What a call takes and answers is ``auth.people_desk``'s.
"""

from __future__ import annotations

from gateway.auth.people_desk import CALLS
from gateway.edge.http.control import Route
from gateway.edge.http.control_queue import Ask, desk_routes


def people_routes(ask: Ask) -> list[Route]:
    """A row for each call."""
    return desk_routes("people", sorted(CALLS), ask)
