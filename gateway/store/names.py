"""Rules for mailbox names. Names are keys of rows, never paths (SECURITY I9).

Names arrive decoded, with ``/`` between levels. Limits: MAX_NAME_OCTETS, MAX_PART_OCTETS,
MAX_LEVELS. Never normalises beyond INBOX, whose case does not matter (RFC 3501 section 5.1).
"""

from __future__ import annotations

import re

from gateway.core.errors import MailboxNameRefused, NoSuchMailbox
from gateway.core.mailboxes import SEPARATOR

# Controls, line separators and lone surrogates. Other spaces and joiners are in use (emoji,
# U+3000), and harm nobody here.
_IMPOSSIBLE = re.compile("[\\x00-\\x1f\\x7f-\\x9f\\u2028\\u2029\\ud800-\\udfff]")

INBOX = "INBOX"
MAX_NAME_OCTETS = 1_000
MAX_PART_OCTETS = 255  # so that an export to a file system is possible
MAX_LEVELS = 32
MAX_MAILBOXES = 5_000  # per account; LIST answers all of them


def canonical(name: str) -> str:
    """The name with INBOX in capitals, also as the first of several levels.

    Raises:
        NoSuchMailbox: it holds what no name here can hold, such as a lone surrogate.
    """
    if _IMPOSSIBLE.search(name):
        raise NoSuchMailbox()
    first, separator, rest = name.partition(SEPARATOR)
    return INBOX + separator + rest if first.upper() == INBOX else name


def check_new(name: str) -> str:
    """The canonical name of a mailbox to be made.

    Raises:
        MailboxNameRefused: empty levels, ``.`` or ``..``, wildcards, control characters, too long.
    """
    parts = name.split(SEPARATOR)
    if len(parts) > MAX_LEVELS or len(name.encode("utf-8", "replace")) > MAX_NAME_OCTETS:
        raise MailboxNameRefused("this mailbox name is too long or has too many levels")
    for part in parts:
        if not part or part in (".", ".."):
            raise MailboxNameRefused("a level of this mailbox name is empty or reserved")
        if len(part.encode("utf-8", "replace")) > MAX_PART_OCTETS:
            raise MailboxNameRefused("a level of this mailbox name is too long")
    # "%" and "*" could be made but never be listed alone (RFC 3501 section 5.1).
    if _IMPOSSIBLE.search(name) or "%" in name or "*" in name:
        raise MailboxNameRefused("this mailbox name holds characters that are not possible here")
    return canonical(name)


def parents(name: str) -> list[str]:
    """The superior names, highest first; INBOX is never among those to be made."""
    parts = name.split(SEPARATOR)
    return [SEPARATOR.join(parts[:count]) for count in range(1, len(parts))]


def below(name: str) -> tuple[str, str]:
    """Bounds (both exclusive) between which exactly the inferior names of a mailbox sort."""
    return name + SEPARATOR, name + chr(ord(SEPARATOR) + 1)
