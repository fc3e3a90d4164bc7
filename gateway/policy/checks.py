"""The one interface of all checks at the door.

A check that needs no waiting answers at once, so that a stage without slow checks costs a few
calls. What fails inside it is no reason to stop mail: whatever it raises is logged and counts as
PASS, or as DEFER where ``defers_on_trouble``.

A check that is only rehearsed (``client.rehearsal``) answers as it would, and learns, counts and
keeps nothing.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from twisted.internet.defer import Deferred

from gateway.policy.facts import Client, Facts
from gateway.policy.verdicts import Stage, Verdict

Answer = Verdict | None
"""None: nothing to say; as PASS, but not worth a record."""


class Check(Protocol):
    """One check, shared by all connections of a process."""

    @property
    def name(self) -> str:
        """As in the settings, for records."""
        ...

    @property
    def stages(self) -> frozenset[Stage]:
        """When it wants to be asked."""
        ...

    @property
    def defers_on_trouble(self) -> bool:
        """Whether what it cannot judge is refused for now; otherwise it goes on."""
        ...

    def judge(self, stage: Stage, facts: Facts) -> Answer | Deferred[Answer]: ...


@runtime_checkable
class Leaving(Protocol):
    """A check that also wants to know when a connection that it was asked about has ended."""

    def left(self, client: Client) -> None: ...
