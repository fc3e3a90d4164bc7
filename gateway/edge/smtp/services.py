"""What the doors for SMTP are given: ports, limits and policies. Values only."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Literal

from twisted.cred.portal import Portal

from gateway.core.account import Account
from gateway.core.ports.clock import WallClock
from gateway.core.ports.queue import QueueStarter
from gateway.core.ports.routing import Router
from gateway.core.ports.store import Intake
from gateway.core.ports.trace import TraceStore
from gateway.policy.engine import NO_POLICY, Policy
from gateway.policy.limit_notices import LimitNotices
from gateway.policy.person_limits import PersonLimits
from gateway.policy.posting import JudgesPosting
from gateway.policy.quota import QuotaPolicy
from gateway.policy.senders import Senders
from gateway.wire.smtp_extensions import DoorOffer
from gateway.wire.smtp_limits import SmtpLimits

Auth = Literal["no", "offered", "required"]
"""AUTH on a listener: not known; may be used; must be used before MAIL."""


def nobody(_: str) -> bool:
    """A network without addresses."""
    return False


def always() -> bool:
    return True


@dataclass(frozen=True, slots=True)
class SubmissionRules:
    """As in the settings of the same names."""

    from_check: Literal["reject", "rewrite-sender", "off"] = "reject"
    missing_from: Literal["add", "reject"] = "add"
    add_sender: bool = False
    show_login: bool = False


@dataclass(frozen=True, slots=True)
class SubmissionServices:
    """What doors need whose clients may log in, or that are for submission.

    Args:
        limits: of what one person sends; None: there are none.
        notices: tells people whose mail waits; None: nobody is told.
    """

    senders: Senders
    rules: SubmissionRules = SubmissionRules()
    limits: PersonLimits | None = None
    notices: LimitNotices | None = None


@dataclass(frozen=True, slots=True)
class SmtpServices:
    """Shared by the connections of one listener.

    Args:
        has_room: whether the disk has room for a message.
        may_xclient: whether this address is one of our proxies that say XCLIENT.
        posting: who may write to groups; None: whoever may write to people.
        find_person: who has a login that a proxy names; None: nobody.
        may_relay: whether this address may send to anywhere without a login.
        may_etrn: whether this address may say ETRN without a login.
    """

    intake: Intake
    router: Router
    portal: Portal
    wall_clock: WallClock
    offer: DoorOffer
    limits: SmtpLimits = field(default_factory=SmtpLimits)
    submission: SubmissionServices | None = None
    quota: QuotaPolicy | None = None
    policy: Policy = NO_POLICY
    posting: JudgesPosting | None = None
    trace: TraceStore | None = None
    auth: Auth = "no"
    has_room: Callable[[], bool] = always
    may_xclient: Callable[[str], bool] = nobody
    find_person: Callable[[str], Coroutine[Any, Any, Account | None]] | None = None
    may_relay: Callable[[str], bool] = nobody
    may_etrn: Callable[[str], bool] = nobody
    queue_starter: QueueStarter | None = None
