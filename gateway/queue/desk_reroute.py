"""Sending queued mail another way than it would go: what may be named, and how it is undone.

Owns the words for next hops. Only the recipients who are meant are sent another way, as a server
that takes one domain's mail refuses others', for good. ``mx`` goes past smart hosts; ``settings``
undoes it: whatever routing says of each recipient now, as it would of a new message.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from gateway.core.errors import GatewayError
from gateway.core.ids import QueueId
from gateway.core.log_text import escaped
from gateway.core.messages import LOCAL
from gateway.core.next_hop import BY_MX, MAX_CHAIN, NextHopSyntax, login_name, parse_next_hop
from gateway.core.ports.queue import QueueControl
from gateway.core.ports.routing import Router
from gateway.core.queue import QueueEntry, QueueFilter
from gateway.core.route import Outbound
from gateway.core.settings.outbound import OutboundSettings
from gateway.queue.desk_forms import CallRefused

BY_SETTINGS = "settings"
AS_SETTINGS_SAY = ""
_PASSWORD = re.compile(r"^([^:/]*://[^:]*):.*@")
_EXPECTED = "a server such as smtp://relay.example.net:25, mx, or settings"


class Rerouting:
    """Args:
    router: says where recipients' mail goes; None where nobody can ask.
    """

    def __init__(self, control: QueueControl, router: Router | None) -> None:
        self._control = control
        self._router = router

    async def reroute(
        self, entries: Sequence[QueueEntry], next_hop: str, which: QueueFilter
    ) -> Sequence[QueueId]:
        """Returns those of which anybody is sent another way. Raises: CallRefused."""
        queue_ids = [each.item.queue_id for each in entries]
        if next_hop != AS_SETTINGS_SAY:
            return await self._control.reroute(queue_ids, next_hop, which)
        named = {each.item.queue_id: await self._named(each) for each in entries}
        done = await self._control.reroute(queue_ids, AS_SETTINGS_SAY, which)
        for queue_id in done:
            for address, hop in named.get(queue_id, {}).items():
                only = QueueFilter(recipient=address, destination=which.destination)
                if _fits(address, which.recipient):
                    await self._control.reroute([queue_id], hop, only)
        return done

    async def _named(self, entry: QueueEntry) -> dict[str, str]:
        """The recipients for whom routing names a next hop."""
        if self._router is None:
            raise CallRefused("only the running gateway can ask where mail goes by its settings")
        found: dict[str, str] = {}
        for each in entry.item.recipients:
            if each.next_hop == LOCAL:
                continue
            try:
                route = await self._router.route(each.address, may_relay=True)
            except GatewayError as error:
                if error.temporary:
                    raise CallRefused(f"nobody can say where mail goes now: {error}") from None
                continue  # an attempt finds it out, and says so to the sender
            if isinstance(route, Outbound) and route.next_hop:
                found[str(each.address)] = route.next_hop
        return found


def next_hop_of(to: Sequence[str], logins: frozenset[str]) -> str:
    """What is named, as the queue keeps it. Raises: CallRefused."""
    if list(to) == [BY_SETTINGS]:
        return AS_SETTINGS_SAY
    if list(to) == [BY_MX]:
        return BY_MX
    if len(to) > MAX_CHAIN:
        raise CallRefused(f"to: found {len(to)} servers; expected {MAX_CHAIN} at most")
    hops = []
    for url in to:
        try:
            hop = parse_next_hop(url)
        except NextHopSyntax as wrong:
            why = f" ({wrong})" if "://" in url else ""
            found = escaped(_PASSWORD.sub(r"\1:...@", url), 100)
            raise CallRefused(f"to: found {found}; expected {_EXPECTED}{why}") from None
        if hop.user and logins.isdisjoint(hop.login_names):
            raise CallRefused(
                f"to: found the user {escaped(hop.user, 60)} at {hop.host}, whose password is not"
                f' known; expected it as outbound.logins."{escaped(hop.login_names[-1], 100)}"'
            )
        hops.append(hop)
    return " ".join(map(str, hops))


def known_logins(outbound: OutboundSettings) -> frozenset[str]:
    """Users at servers whose passwords the settings have, as ``NextHop.login_names`` has them."""
    known = {login_name(each) for each in outbound.logins}
    if outbound.smart_host_password.get_secret_value() or outbound.smart_host_password_file:
        for url in outbound.smart_host:
            if url != BY_MX:
                known.update(parse_next_hop(url).login_names[:1])
    return frozenset(known)


def _fits(address: str, recipient: str) -> bool:
    """As the store's filter has it."""
    if not recipient:
        return True
    local, _, domain = recipient.rpartition("@")
    has_local, _, has_domain = address.rpartition("@")
    if domain.casefold() != has_domain.casefold():
        return False
    return not local or local.casefold() == has_local.casefold()
