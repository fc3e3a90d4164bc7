"""What the kinds of checks have in common: name, who is left out, trouble, the form of a verdict.

Owns these rules alone: which connections a check does not judge, and how a verdict is made.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.core.log_text import escaped
from gateway.core.networks import NO_NETWORKS, Networks
from gateway.policy.facts import Client
from gateway.policy.verdicts import Action, Stage, Verdict

MAX_INPUT = 300
MAX_TEXT = 300


@dataclass(frozen=True, slots=True)
class Ground:
    """What every check is told.

    Args:
        name: for records.
        exempt: networks that it does not judge.
        defers_on_trouble: what it cannot judge is refused for now.
    """

    name: str
    exempt: Networks = NO_NETWORKS
    defers_on_trouble: bool = False

    def leaves_out(self, client: Client) -> bool:
        """Whether it does not judge this client: in a network it was told of."""
        return bool(self.exempt) and self.exempt.contains(client.peer_ip)

    def leaves_out_known(self, client: Client) -> bool:
        """The same, and people who have logged in, and networks that may send through us: for
        checks that ask whether a stranger can be trusted."""
        return client.account is not None or client.may_relay or self.leaves_out(client)

    def verdict(
        self,
        action: Action,
        reason: str,
        inputs: Mapping[str, object],
        *,
        text: str = "",
        status: str = "7.1",
    ) -> Verdict:
        """A verdict in the record's form: printable and bounded (SECURITY A9)."""
        reason = escaped(reason, MAX_INPUT)
        tag = f"{self.name}: {reason}" if action in (Action.TAG, Action.QUARANTINE) else ""
        return Verdict(
            action,
            self.name,
            reason,
            {key: escaped(value, MAX_INPUT) for key, value in inputs.items()},
            text=escaped(text, MAX_TEXT),
            status=status,
            tag=tag,
        )

    def trouble(self, what: str, inputs: Mapping[str, object]) -> Verdict:
        """It cannot be judged: DNS or the store fails."""
        if self.defers_on_trouble:
            text = "It cannot be checked at the moment, try again later"
            return self.verdict(Action.DEFER, what, inputs, text=text, status="4.3")
        return self.verdict(Action.PASS, what, inputs)


def at(stage: str) -> frozenset[Stage]:
    """The one stage of a check, by its name in the settings."""
    return frozenset((Stage(stage),))
