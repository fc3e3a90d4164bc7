"""``gateway explain`` inside a process that serves: which door is meant, and the rehearsal there.

Owns the choice of the listener, and what is told of the way out. The session is rehearsed with the
services that the listener's real sessions have, so it sees the same lists, counters and caches.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gateway.app.server import MailServer
from gateway.app.ways import Ways
from gateway.core.address import Address
from gateway.core.envelope import MessageOptions
from gateway.core.messages import QueuedRecipient
from gateway.core.settings.listen import ListenSettings
from gateway.delivery.routes import Way
from gateway.delivery.targets import NoRoute
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
        way_out=None if parts.ways is None else RealWays(parts.ways),
    )
    return await rehearsal.run()


class RealWays:
    """Implements ``rehearsal.WayOut`` with the routes that are used for sending. Name servers are
    asked, and where they publish policies; no mail server is."""

    def __init__(self, ways: Ways) -> None:
        self._ways = ways

    async def __call__(
        self, sender: Address | None, recipient: QueuedRecipient, options: MessageOptions
    ) -> Mapping[str, Any]:
        rule = self._ways.destinations.rule(sender, recipient.address, recipient.next_hop)
        answer: dict[str, Any] = {
            "next_hop": rule.text,
            "rule": rule.why,
            "hosts": [],
            "left_out": [],
            "problem": "",
        }
        try:
            route = await self._ways.routes.route(
                rule.text, proof=options.require_tls and sender is not None
            )
        except NoRoute as none:
            answer["problem"] = f"{none.status} {none.text}"
            return answer
        answer["hosts"] = [_shown(way) for way in route.ways]
        if route.mail_hosts is not None:
            answer["left_out"] = list(route.mail_hosts.left_out)
        return answer


def _shown(way: Way) -> dict[str, Any]:
    first = way.targets[0]
    return {
        "host": way.host,
        "port": first.port,
        "addresses": [target.socket or target.ip for target in way.targets],
        "preference": way.preference,
        "protocol": first.protocol,
        "tls": way.demand.protection.value,
        "tls_policy": way.demand.policy,
        "testing": way.demand.testing,
    }


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
