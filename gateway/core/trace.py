"""What happened to a connection or message, as it is kept for ``gateway trace``.

Values only. Never holds a password, a token or content of a message.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

FieldValue = str | int | float | bool | None | list[str] | list[dict[str, str]]


@dataclass(frozen=True, slots=True)
class TraceRecord:
    """One step.

    Args:
        trace_id: of the message, or of the connection where there is no message yet. A message's
            id is its connection's id, a hyphen and a number, so one leads to the other.
        at: Unix time.
        kind: ``refused``, ``accepted``, ``attempt``, ``delivered``, ``bounced``…
        keys: what else it is found by, each folded to lower case: Message-ID, addresses, peer IP.
        fields: what is shown; bounded, printable text.
    """

    trace_id: str
    at: float
    kind: str
    keys: tuple[str, ...] = ()
    fields: Mapping[str, FieldValue] = field(default_factory=dict)
