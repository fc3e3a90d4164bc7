"""What a server session's core tells its door beside commands.

Values only; ``smtp_server`` makes them.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from gateway.wire.smtp_commands import Command
from gateway.wire.smtp_replies import Reply


@dataclass(frozen=True, slots=True)
class Refused:
    """The core has judged: send the reply, and close behind it if asked to."""

    reply: Reply
    close: bool = False


@dataclass(frozen=True, slots=True)
class AuthResponse:
    """The client's line in a SASL exchange, without CRLF."""

    line: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class ContentEnded:
    """The dot came. ``refusal`` is set when the message cannot be accepted anyway;
    ``tls_optional``: its header says ``TLS-Required: No``."""

    refusal: Reply | None
    tls_optional: bool = False


@dataclass(frozen=True, slots=True)
class ChunkEnded:
    """All octets of a BDAT came.

    Args:
        octets: of this chunk.
        last: the message is complete. Otherwise more chunks follow, if ``refusal`` is not set.
        refusal: set when the message cannot be accepted anyway; then the transaction is over.
        tls_optional: the message is complete, and its header says ``TLS-Required: No``.
    """

    octets: int
    last: bool
    refusal: Reply | None
    tls_optional: bool = False


Event = Command | Refused | AuthResponse | ContentEnded | ChunkEnded
