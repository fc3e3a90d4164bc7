"""Messages from the gateway itself to a person: plain text, 7-bit, with the one header they have.

Owns the form; the words are those of whoever has something to say. No octet of it comes from
outside but an address.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from email.utils import formatdate

_PLAIN_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9.:\[\]-]{1,255}")


def is_plain_address(text: str) -> bool:
    """Whether it can be written as it is."""
    return _PLAIN_ADDRESS.fullmatch(text) is not None


def notice(
    notice_id: str, hostname: str, to: str, subject: str, at: int, words: Sequence[str]
) -> bytes:
    """The whole message, CRLF line ends.

    Args:
        notice_id: unique; becomes the Message-ID.
        to: the person's address; empty if it is not known.
        at: Unix time.
        words: lines of printable ASCII.
    """
    # RFC 5322 section 3.4: an empty group where no address may be shown.
    addressed = f"<{to}>" if is_plain_address(to) else "undisclosed-recipients:;"
    lines = [
        f"From: Mail System <MAILER-DAEMON@{hostname}>",
        f"To: {addressed}",
        f"Subject: {subject}",
        f"Date: {formatdate(at)}",
        f"Message-ID: <{notice_id}@{hostname}>",
        # RFC 3834 section 5.1: made without somebody's mail before it; keeps machines silent.
        "Auto-Submitted: auto-generated",
        "MIME-Version: 1.0",
        "Content-Type: text/plain; charset=us-ascii",
        "",
        *words,
        "",
    ]
    return "\r\n".join(lines).encode("ascii")
