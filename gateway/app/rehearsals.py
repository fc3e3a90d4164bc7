"""``gateway explain`` inside a process that serves: which door is meant, and the rehearsal there.

Owns the choice of the listener. The session is rehearsed with the services that the listener's real
sessions have, so it sees the same lists, counters and caches.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gateway.app.server import MailServer
from gateway.core.settings.listen import ListenSettings
from gateway.edge.smtp.rehearsal import Rehearsal
from gateway.edge.smtp.rehearsal_request import RehearsalRefused, Request


async def explain(server: MailServer, body: object) -> Mapping[str, Any]:
    """Raises: RehearsalRefused."""
    request = Request.from_json(body)
    parts = server.parts
    listen = choose(parts.settings.listen, request)
    door, services = server.smtp_door(listen)
    rehearsal = Rehearsal(
        door,
        services,
        parts.sessions,
        request,
        smart_host=next(iter(parts.settings.outbound.smart_host), ""),
    )
    return await rehearsal.run()


def choose(listeners: Sequence[ListenSettings], request: Request) -> ListenSettings:
    """The listener by its name; without one, where such a client would go. Raises:
    RehearsalRefused."""
    doors = [each for each in listeners if each.protocol in ("smtp", "submission", "lmtp")]
    if request.listener:
        named = [each for each in doors if each.label == request.listener]
        if named:
            return named[0]
        names = ", ".join(each.label for each in doors) or "no listener takes mail"
        raise RehearsalRefused(f"found listener {request.listener!r}; expected one of: {names}")
    protocols = ("submission", "smtp") if request.login else ("smtp", "submission")
    for protocol in (*protocols, "lmtp"):
        for each in doors:
            if each.protocol == protocol and (each.tls == "starttls" or not request.tls):
                return each
    if doors:
        return doors[0]
    raise RehearsalRefused("no listener of the settings takes mail")
