"""The one map from the error tree to POP3 replies (RFC 2449 section 8, RFC 3206).

Owns which response code each error gets. Directory and store trouble is SYS/TEMP and never looks
like a wrong password (DESIGN section 9, SECURITY A5); a held lock is never an AUTH failure (P5).
"""

from __future__ import annotations

from gateway.core.errors import (
    GatewayError,
    MaildropInUse,
    MessageGone,
    StoreDamaged,
    WrongCredentials,
)
from gateway.wire.pop3_replies import err

_CODES: tuple[tuple[type[GatewayError], str], ...] = (
    (WrongCredentials, "AUTH"),  # RFC 3206 section 4
    (MaildropInUse, "IN-USE"),  # RFC 2449 section 8.1.2
    (MessageGone, ""),  # no code says that IMAP was faster; the session can go on
    # RFC 3206 section 3: SYS/PERM asks for somebody to look; waiting mends no damaged octets.
    (StoreDamaged, "SYS/PERM"),
)


def code_for(error: GatewayError) -> str:
    """The response code without its brackets, or empty text."""
    for kind, code in _CODES:
        if isinstance(error, kind):
            return code
    return "SYS/TEMP" if error.temporary else "SYS/PERM"


def reply_for(error: GatewayError, text: str = "") -> bytes:
    """The negative status line for an error; ``text`` instead of the error's own."""
    return err(text or error.safe_text, code_for(error))
