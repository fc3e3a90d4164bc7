"""The check ``connections``: how many may be open at a listener, in all and from one address.

Owns which connections it has let in. The counts are in ``connections``, or in
``shared_connections`` where several processes count as one.
"""

from __future__ import annotations

from typing import Protocol

from gateway.policy.facts import Client, Facts
from gateway.policy.ground import Ground
from gateway.policy.verdicts import Action, Stage, Verdict


class OpenLimits(Protocol):
    """Kept by ``connections`` and ``shared_connections``."""

    def admit(self, ip: str) -> str: ...

    def release(self, ip: str) -> None: ...


class ConnectionsCheck:
    """Bounds of the listeners that have the policy, together."""

    stages = frozenset((Stage.CONNECT,))

    def __init__(self, ground: Ground, limits: OpenLimits) -> None:
        self._ground = ground
        self._limits = limits
        self._let_in: dict[str, str] = {}  # by connection: the address it was counted under
        self.name = ground.name
        self.defers_on_trouble = ground.defers_on_trouble

    def judge(self, stage: Stage, facts: Facts) -> Verdict | None:
        client = facts.client
        if self._ground.leaves_out(client):
            return None
        self.left(client)  # asked again, once a proxy has said who the client really is
        refusal = self._limits.admit(client.peer_ip)
        if not refusal:
            if client.rehearsal:
                self._limits.release(client.peer_ip)
            else:
                self._let_in[client.connection_id] = client.peer_ip
            return None
        return self._ground.verdict(
            Action.DEFER,
            refusal,
            {"ip": client.peer_ip},
            text=f"{refusal}, try again later",
            status="7.0",
        )

    def left(self, client: Client) -> None:
        ip = self._let_in.pop(client.connection_id, None)
        if ip is not None:
            self._limits.release(ip)
