"""``/v1/picture/…``: how the pictures of directories are, and letting a mass change happen.

Owns the rows of the control API. What a call takes and answers is ``app.picturing``'s.
"""

from __future__ import annotations

from gateway.edge.http.control import Route
from gateway.edge.http.control_queue import Ask, desk_routes

CALLS = ("accept", "status")


def picture_routes(ask: Ask) -> list[Route]:
    """A row for each call."""
    return desk_routes("picture", CALLS, ask)
