"""Mailbox names: from the wire's octets to the one text the gateway keeps, and back.

Owns which names are possible (SECURITY I9) and their normal form. Names are never paths: the store
maps them to ids. Refusals are told in our own words.

Limits: 1,000 octets in UTF-8 a name, 250 a level, 30 levels.
"""

from __future__ import annotations

import unicodedata

from gateway.core.mailboxes import SEPARATOR
from gateway.wire.imap import mutf7

MAX_NAME_OCTETS = 1_000
MAX_LEVEL_OCTETS = 250
MAX_LEVELS = 30

# Controls, surrogates, line and paragraph separators, unassigned code points with the
# noncharacters among them (RFC 5198 section 2 forbids the first and wants normalised text).
_REFUSED_CATEGORIES = frozenset({"Cc", "Cs", "Zl", "Zp", "Cn"})


class NameRefused(ValueError):
    """No mailbox has or can have this name; ``text`` says why in our words."""

    def __init__(self, text: str, *, syntax: bool = False) -> None:
        super().__init__(text)
        self.text = text
        self.syntax = syntax  # broken encoding: BAD rather than NO


def decode_text(data: bytes) -> str:
    """A reference or pattern of LIST: decoded and normalised, any text else.

    Raises: NameRefused.
    """
    if len(data) > MAX_NAME_OCTETS * 3:  # modified UTF-7 is never three times as long as UTF-8
        raise NameRefused("mailbox name too long")
    try:
        name = mutf7.decode(data)
    except mutf7.BadEncoding:
        raise NameRefused("mailbox name is not modified UTF-7", syntax=True) from None
    if name.isascii() and name.isprintable():
        return name
    if any(unicodedata.category(character) in _REFUSED_CATEGORIES for character in name):
        raise NameRefused("mailbox name holds a character that is not possible there")
    return unicodedata.normalize("NFC", name)


def decode(data: bytes, *, creating: bool = False) -> str:
    """The name of a mailbox.

    Args:
        data: as sent, after quotes or literal were undone.
        creating: drop one trailing separator (RFC 3501 section 6.3.3).

    Raises: NameRefused.
    """
    if data == b"INBOX":
        return "INBOX"
    name = decode_text(data)
    if creating and name.endswith(SEPARATOR):
        name = name[:-1]
    levels = name.split(SEPARATOR)
    if len(levels) > MAX_LEVELS or len(name.encode()) > MAX_NAME_OCTETS:
        raise NameRefused("mailbox name too long")
    for level in levels:
        if level in ("", ".", ".."):
            raise NameRefused("mailbox name has an empty or dotted level")
        if len(level.encode()) > MAX_LEVEL_OCTETS:
            raise NameRefused("mailbox name too long")
    if "*" in name or "%" in name:
        raise NameRefused("mailbox name holds a LIST wildcard")
    if name.startswith("#"):
        raise NameRefused("mailbox name starts like a namespace")  # RFC 3501 section 5.1.2
    # RFC 3501 section 5.1: INBOX is one mailbox in whatever case.
    if levels[0].isascii() and levels[0].upper() == "INBOX":
        levels[0] = "INBOX"
        return SEPARATOR.join(levels)
    return name


def encode(name: str) -> bytes:
    """The name as a quoted string for a reply."""
    return b'"%b"' % mutf7.encode(name).replace(b"\\", b"\\\\").replace(b'"', b'\\"')
