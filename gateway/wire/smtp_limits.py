"""What one SMTP session may cost, each bound with its reason (SECURITY section 5).

Values only; kept by ``wire.smtp_server``, by the readers of content and by ``edge.smtp``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

BareNewlines = Literal["reject", "normalise"]
"""The policy for CR and LF that are not a CRLF inside a message (SECURITY S2). Either way the
message ends at CRLF . CRLF and nowhere else.

``reject``: read on to the true end, then 550 5.5.2. ``normalise``: each becomes CRLF.
"""


@dataclass(frozen=True, slots=True)
class SmtpLimits:
    """Bounds of both SMTP doors."""

    size_octets: int = 50 * 1024 * 1024
    """Advertised as SIZE (RFC 1870); what large providers take today."""

    discard_octets: int = 50 * 1024 * 1024
    """Read and thrown away beyond ``size_octets`` so that a client which ignores SIZE still reads
    the 552; then the connection is closed (S3, S15: never without limit)."""

    header_octets: int = 1024 * 1024
    """Header of one message (S27); Exim's bound, ten times Postfix's."""

    received_fields: int = 100
    """More is a loop (S33); RFC 5321 section 6.3 asks for at least 100."""

    recipients: int = 1000
    """Accepted RCPTs of one message; ten times what RFC 5321 section 4.5.3.1.8 asks for."""

    line_octets: int = 4096
    """Command line with CRLF: 512 (RFC 5321 section 4.5.3.1.4) and what extensions add to MAIL:
    about 1,750, most of it SOLICIT (1,007) and AUTH (500), with room for those to come."""

    auth_line_octets: int = 12_288
    """AUTH and its responses (RFC 4954 section 4)."""

    line_discard_octets: int = 65_536
    """Thrown away of a line that is too long before the connection is closed (S26)."""

    errors_soft: int = 10
    """Refused commands before each further refusal waits ``error_delay_s`` (S24, Postfix)."""

    errors_hard: int = 20
    """Refused commands before the connection is closed; an accepted message forgives them."""

    error_delay_s: float = 1.0

    idle_commands: int = 100
    """NOOP, RSET, VRFY, HELP, EHLO and their like between two messages (S25, Postfix)."""

    failed_logins: int = 3
    """Then 421 (A4)."""

    failed_login_s: float = 1.0
    """A failed login is answered no sooner: slows guessing, and hides whether the directory knew
    the person (A6)."""

    greet_pause_s: float = 0.02
    """Wait before the greeting on the door for strangers; who talks meanwhile is no mail server
    (S21). What was sent together with the connection has come by then; longer would slow down
    honest peers that open a connection per message. Peers on this machine are no strangers and do
    not wait."""

    idle_s: float = 300.0
    """Silence (RFC 5321 section 4.5.3.2.7 asks for 5 minutes)."""

    content_grace_s: float = 300.0
    """A message may take this long plus a second for each ``content_min_rate`` octets."""

    content_min_rate: int = 500
    """Octets a second of a whole message: a drip holds a connection no longer (section 5)."""

    bare_newlines: BareNewlines | None = None
    """None: ``reject`` from strangers, as that closes smuggling for hops behind us too;
    ``normalise`` from our own people, whose old scripts send LF."""
