"""How much one person sends: what counts, in which hour, and what is to happen when it is full.

Values only. ``policy.person_limits`` decides, the store counts in the transaction that accepts.
Hours are Unix time divided by 3600; a message counts in the hour in which it goes on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.core.envelope import Hold
from gateway.core.ids import AccountId

HOUR_S = 3600


@dataclass(frozen=True, slots=True)
class Sent:
    """Messages, and recipients of all of them together."""

    messages: int = 0
    recipients: int = 0


NOTHING = Sent()
Hours = Mapping[int, Sent]
"""What counts in each hour; later ones than now belong to held messages."""


@dataclass(frozen=True, slots=True)
class Submission:
    """One message as it counts towards a person's limits.

    Args:
        hour: in which it counts.
        recipients: how many it has.
        room: what the hour may hold with this message in it; None: whatever comes.
        otherwise: the hold if the hour has filled up since it was looked at; set with ``room``. The
            message counts in the hour that begins at its end.
    """

    account_id: AccountId
    hour: int
    recipients: int
    room: Sent | None = None
    otherwise: Hold | None = None
