"""The check ``hello``: what a client calls itself, looked at without asking anybody.

Owns four questions, each with an action of its own: does it claim to be us, is it an address
without brackets (RFC 5321 section 4.1.3 wants them), has the name no domain (section 2.3.5), is it
an address other than the client's. RFC 5321 section 4.1.4 forbids to refuse a name because it does
not lead back to the client's address, so nothing here asks DNS.
"""

from __future__ import annotations

from dataclasses import dataclass

from gateway.core.hosts import parse_ip
from gateway.policy.facts import Facts
from gateway.policy.ground import Ground
from gateway.policy.verdicts import Action, Stage, Verdict


@dataclass(frozen=True, slots=True)
class HelloActions:
    """What becomes of whom."""

    own_name: Action
    bare_ip: Action
    not_fqdn: Action
    literal_mismatch: Action


class HelloCheck:
    """Args: own_name: ours, in lower case."""

    def __init__(
        self, ground: Ground, actions: HelloActions, own_name: str, stages: frozenset[Stage]
    ) -> None:
        self._ground = ground
        self._actions = actions
        self._own_name = own_name
        self.stages = stages
        self.name = ground.name
        self.defers_on_trouble = ground.defers_on_trouble

    def judge(self, stage: Stage, facts: Facts) -> Verdict | None:
        client = facts.client
        if self._ground.leaves_out_known(client):
            return None
        action, reason, text = self._look(client.hello.casefold().rstrip("."), client.peer_ip)
        if action is Action.PASS:
            return None
        inputs = {"hello": client.hello, "ip": client.peer_ip}
        return self._ground.verdict(action, reason, inputs, text=text)

    def _look(self, hello: str, ip: str) -> tuple[Action, str, str]:
        actions = self._actions
        if hello == self._own_name:
            return actions.own_name, "says that it is us", "That is our name, not yours"
        if hello.startswith("["):
            claimed = parse_ip(hello[1:-1].removeprefix("ipv6:"))
            if claimed is None or claimed != parse_ip(ip):
                text = "The address in EHLO is not yours"
                return actions.literal_mismatch, "the address in EHLO is another one", text
        elif parse_ip(hello) is not None:
            text = "Put the address in EHLO into brackets (RFC 5321 section 4.1.3)"
            return actions.bare_ip, "an address without brackets in EHLO", text
        elif "." not in hello:
            text = "Give the full name of your host in EHLO (RFC 5321 section 2.3.5)"
            return actions.not_fqdn, "a name without domain in EHLO", text
        return Action.PASS, "", ""
