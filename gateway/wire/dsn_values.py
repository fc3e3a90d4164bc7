"""What a delivery report says, before it has a form. Values only; times are Unix seconds."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from gateway.core.address import Address


class Action(Enum):
    """What is reported of a recipient (RFC 3464 section 2.3.3)."""

    FAILED = "failed"
    DELAYED = "delayed"
    DELIVERED = "delivered"
    RELAYED = "relayed"
    EXPANDED = "expanded"


@dataclass(frozen=True, slots=True)
class Reported:
    """What became of one recipient.

    Args:
        status: enhanced status code as it was at the last attempt.
        reply: the last answer or our own words, one line.
        remote: the server that answered, empty if none did.
        original: ORCPT as ``type;address``, empty if the sender said none.
        expired: given up after the lifetime, not refused.
        retry_until: of what is delayed: when trying will end, Unix time.
    """

    address: Address
    action: Action
    status: str
    reply: str
    remote: str = ""
    original: str = ""
    expired: bool = False
    retry_until: int | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """All that a report says.

    Args:
        report_id: unique; becomes the Message-ID and the MIME boundary.
        recipients: not empty; failed ones, delayed ones, or such that succeeded.
        original: the message if ``whole``, else its header as ``header_of`` gives it.
        envelope_id: ENVID, empty if the sender gave none.
        utf8: the way to the sender takes UTF-8 (RFC 6531).
        reference: under which the administrator finds the message; empty if there is none.
        in_place_of: why the report goes to somebody who did not send the message; empty: they did.
    """

    report_id: str
    hostname: str
    to: Address
    recipients: tuple[Reported, ...]
    arrived_at: int
    reported_at: int
    original: bytes
    whole: bool = False
    envelope_id: str = ""
    utf8: bool = False
    reference: str = ""
    in_place_of: str = ""
