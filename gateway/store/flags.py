"""Flags between their IMAP text and the index: a bit mask for system flags, text for keywords.

Keywords compare ignoring case; a mailbox keeps the spelling it saw first. Stored text is the
keywords in order, joined by spaces (no keyword holds one).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from gateway.core.errors import MailboxLimit
from gateway.core.ids import MailboxId
from gateway.core.messages import SYSTEM_FLAGS, Flags
from gateway.store.transaction import Transaction

BITS = {flag: 1 << index for index, flag in enumerate(SYSTEM_FLAGS)}
SEEN = BITS["\\Seen"]
DELETED = BITS["\\Deleted"]
_FOLDED_BITS = {flag.casefold(): bit for flag, bit in BITS.items()}

MAX_KEYWORDS = 200  # per mailbox; each is sent to every client that selects it (SECURITY I12)
# An atom (RFC 3501 section 9), as imports bring keywords that no parser has looked at.
_KEYWORD = re.compile(r"[^\x00-\x20(){%*\"\\\]\x7f-\U0010ffff]{1,128}")


def bit_of(flag: str) -> int:
    """The system flag's bit, 0 for a keyword."""
    return _FOLDED_BITS.get(flag.casefold(), 0)


def split(flags: Iterable[str]) -> tuple[int, list[str]]:
    """Mask, and keywords as they were given. \\Recent and unknown system flags are left out."""
    mask = 0
    keywords = []
    for flag in flags:
        bit = bit_of(flag)
        if bit:
            mask |= bit
        elif flag and not flag.startswith("\\"):
            keywords.append(flag)
    return mask, keywords


@lru_cache(maxsize=4096)  # a mailbox has few different sets of flags, but many rows
def join(mask: int, keywords: str) -> Flags:
    """The flags of a row."""
    flags = {flag for flag, bit in BITS.items() if mask & bit}
    return frozenset(flags | set(keywords.split()))


def text_of(keywords: Iterable[str]) -> str:
    """The stored form of a set of keywords."""
    return " ".join(sorted(keywords))


def register(
    tx: Transaction, mailbox_id: MailboxId, keywords: Iterable[str], *, strict: bool = True
) -> list[str]:
    """The keywords in this mailbox's spelling; new ones are added to its list.

    Raises:
        MailboxLimit: too many or too long. Not ``strict``: those are left out instead.
    """
    wanted = {keyword.casefold(): keyword for keyword in keywords}
    if not wanted:
        return []
    known: dict[str, str] = dict(
        tx.fetch_all("SELECT folded, name FROM keywords WHERE mailbox_id = ?", (mailbox_id,))
    )
    new = []
    for folded, keyword in sorted(wanted.items()):
        if folded in known:
            continue
        if not _KEYWORD.fullmatch(keyword) or len(known) >= MAX_KEYWORDS:
            if strict:
                raise MailboxLimit("too many or too long keywords in this mailbox")
            continue
        known[folded] = keyword
        new.append((mailbox_id, folded, keyword))
    tx.insert("keywords (mailbox_id, folded, name)", new)
    return [known[folded] for folded in wanted if folded in known]
