"""The server's lines as octets: status responses, mailbox data and response codes.

Owns their syntax (RFC 3501 section 7). Takes our own texts and checked values only; a text is
made printable US-ASCII again on the way out, so that no reply can carry what a client sent
(SECURITY I16) or end its line early. FETCH has a file of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Literal

from gateway.core.mailboxes import SEPARATOR
from gateway.core.messages import SYSTEM_FLAGS, Flags
from gateway.wire.imap import names
from gateway.wire.imap.commands import StatusItem
from gateway.wire.imap_strings import nstring, quoted_or_literal

Condition = Literal["OK", "NO", "BAD", "BYE"]

_UNPRINTABLE = re.compile(r"[^ -~]")
_ORDER = {flag: place for place, flag in enumerate(SYSTEM_FLAGS)}


def _text(text: str, code: str) -> bytes:
    """resp-text = ["[" resp-text-code "]" SP] text"""
    shown = _UNPRINTABLE.sub("?", text) or "-"
    if code:
        inside = _UNPRINTABLE.sub("?", code)
        return f"[{inside}] {shown}".encode("ascii")
    return shown.encode("ascii")


# --- status --------------------------------------------------------------------------------------


def tagged(tag: bytes, condition: Condition, text: str, code: str = "") -> bytes:
    """The end of a command. ``code`` without brackets."""
    return b"%b %b %b\r\n" % (tag, condition.encode("ascii"), _text(text, code))


def untagged_status(condition: Condition, text: str, code: str = "") -> bytes:
    """``* OK [code] text`` and its like; also the answer to a command without a usable tag."""
    return tagged(b"*", condition, text, code)


def bye(text: str, code: str = "") -> bytes:
    """RFC 3501 section 7.1.5; the connection closes after it."""
    return tagged(b"*", "BYE", text, code)


def continuation(text: str = "OK") -> bytes:
    """RFC 3501 section 7.5: the client may send its literal, or DONE later."""
    return b"+ %b\r\n" % _text(text, "")


def challenge(line: bytes) -> bytes:
    """A SASL challenge, base64 already (RFC 3501 section 6.2.2)."""
    return b"+ %b\r\n" % line


def untagged(text: str) -> bytes:
    """Any other untagged line of printable US-ASCII."""
    return b"* %b\r\n" % _text(text, "")


# --- mailbox data --------------------------------------------------------------------------------


def exists(count: int) -> bytes:
    return b"* %d EXISTS\r\n" % count


def recent(count: int) -> bytes:
    return b"* %d RECENT\r\n" % count


def expunged(seqs: Iterable[int]) -> bytes:
    """One line each, in the order given; numbers are those valid when their line is read."""
    return b"".join([b"* %d EXPUNGE\r\n" % seq for seq in seqs])


@lru_cache(maxsize=4096)
def flag_list(flags: Flags, *, recent: bool = False) -> bytes:
    """``(\\Seen keyword)``: system flags in their usual order, then keywords sorted."""
    ordered = sorted(flags, key=lambda flag: (_ORDER.get(flag, len(_ORDER)), flag))
    if recent:
        ordered.append("\\Recent")
    return b"(%b)" % " ".join(ordered).encode("ascii")


def flags_line(flags: Flags) -> bytes:
    """The flags that can occur in the mailbox (RFC 3501 section 7.2.6)."""
    return b"* FLAGS %b\r\n" % flag_list(flags)


def permanent_flags(flags: Flags, *, new_keywords: bool) -> str:
    """Response code PERMANENTFLAGS; ``\\*`` says that new keywords can be made."""
    inside = flag_list(flags)[1:-1].decode("ascii")
    if new_keywords:
        inside += " \\*" if inside else "\\*"
    return f"PERMANENTFLAGS ({inside})"


def list_line(name: str, attributes: Iterable[str], *, subscribed: bool = False) -> bytes:
    """LIST, or LSUB where ``subscribed`` says so (RFC 3501 sections 7.2.2 and 7.2.3)."""
    return b'* %b (%b) "%b" %b\r\n' % (
        b"LSUB" if subscribed else b"LIST",
        " ".join(attributes).encode("ascii"),
        SEPARATOR.encode("ascii"),
        names.encode(name),
    )


def list_separator(*, subscribed: bool = False) -> bytes:
    """The answer to an empty pattern of LIST or LSUB (RFC 3501 section 6.3.8)."""
    return b'* %b (\\Noselect) "%b" ""\r\n' % (
        b"LSUB" if subscribed else b"LIST",
        SEPARATOR.encode("ascii"),
    )


def status_line(name: str, values: Iterable[tuple[StatusItem, int]]) -> bytes:
    """RFC 3501 section 7.2.4"""
    shown = b" ".join([b"%b %d" % (item.value, value) for item, value in values])
    return b"* STATUS %b (%b)\r\n" % (names.encode(name), shown)


def search_line(numbers: Sequence[int]) -> bytes:
    """RFC 3501 section 7.2.5"""
    if not numbers:
        return b"* SEARCH\r\n"
    return b"* SEARCH %b\r\n" % " ".join(map(str, numbers)).encode("ascii")


def namespace_line(shared: str = "") -> bytes:
    """One personal namespace without a prefix, and one for what is shared (RFC 2342 section 5).

    Args:
        shared: its name; empty: there is none.
    """
    separator = SEPARATOR.encode("ascii")
    third = b"NIL"
    if shared:
        third = b'((%b "%b"))' % (names.encode(shared + SEPARATOR), separator)
    return b'* NAMESPACE (("" "%b")) NIL %b\r\n' % (separator, third)


def id_line(parameters: Sequence[tuple[str, str | None]]) -> bytes:
    """RFC 2971 section 3.2"""
    if not parameters:
        return b"* ID NIL\r\n"
    pairs = [
        b"%b %b"
        % (quoted_or_literal(key.encode()), nstring(None if value is None else value.encode()))
        for key, value in parameters
    ]
    return b"* ID (%b)\r\n" % b" ".join(pairs)


# --- response codes ------------------------------------------------------------------------------


def uid_set(uids: Sequence[int]) -> str:
    """UIDs as RFC 4315 section 3 writes them, keeping their order: it pairs old with new."""
    items: list[str] = []
    start = previous = 0
    for uid in uids:
        if start and uid == previous + 1:
            previous = uid
            continue
        if start:
            items.append(_range(start, previous))
        start = previous = uid
    if start:
        items.append(_range(start, previous))
    return ",".join(items)


def _range(low: int, high: int) -> str:
    return str(low) if low == high else f"{low}:{high}"


def append_uid(uid_validity: int, uids: Sequence[int]) -> str:
    """Response code APPENDUID (RFC 4315 section 3)."""
    return f"APPENDUID {uid_validity} {uid_set(uids)}"


def copy_uid(uid_validity: int, source_uids: Sequence[int], uids: Sequence[int]) -> str:
    """Response code COPYUID (RFC 4315 section 3); empty text if nothing was copied."""
    if not uids:
        return ""
    return f"COPYUID {uid_validity} {uid_set(source_uids)} {uid_set(uids)}"
