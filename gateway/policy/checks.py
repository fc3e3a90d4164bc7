"""The one interface of all checks at the door.

A check that needs no waiting answers at once, so that a stage without slow checks costs a few
calls. It must not raise; whatever fails inside it is PASS, or DEFER where it is configured so, with
a reason that says what failed.
"""

from __future__ import annotations

from typing import Protocol

from twisted.internet.defer import Deferred

from gateway.policy.facts import Facts
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

    def judge(self, stage: Stage, facts: Facts) -> Answer | Deferred[Answer]: ...
