"""What the doors for SMTP are given: ports, limits and policies. Values only."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from twisted.cred.portal import Portal

from gateway.core.ports.clock import WallClock
from gateway.core.ports.routing import Router
from gateway.core.ports.store import Intake
from gateway.core.ports.trace import TraceStore
from gateway.policy.engine import NO_POLICY, Policy
from gateway.policy.quota import QuotaPolicy
from gateway.wire.smtp_extensions import DoorOffer
from gateway.wire.smtp_limits import SmtpLimits

Auth = Literal["no", "offered", "required"]
"""AUTH on a listener: not known; may be used; must be used before MAIL."""


@dataclass(frozen=True, slots=True)
class SmtpServices:
    """Shared by the connections of one listener."""

    intake: Intake
    router: Router
    portal: Portal
    wall_clock: WallClock
    offer: DoorOffer
    limits: SmtpLimits = field(default_factory=SmtpLimits)
    quota: QuotaPolicy | None = None
    policy: Policy = NO_POLICY
    trace: TraceStore | None = None
    auth: Auth = "no"
