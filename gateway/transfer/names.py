"""Mailbox names of other servers as names that are possible here.

Owns what becomes of characters and lengths that are not, and the administrator's wishes. The limits
are those of ``wire.imap.names``, so that every client can name what was imported.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence

from gateway.core.mailboxes import DEFAULT_MAILBOXES, SEPARATOR
from gateway.wire.imap import mutf7
from gateway.wire.imap.names import MAX_LEVEL_OCTETS, MAX_LEVELS, MAX_NAME_OCTETS

_REFUSED = frozenset({"Cc", "Cs", "Zl", "Zp", "Cn"})
_REPLACED = frozenset("*%" + SEPARATOR)
_OURS = {name.casefold(): name for name, _ in DEFAULT_MAILBOXES}
BY_SPECIAL_USE = {use.casefold(): name for name, use in DEFAULT_MAILBOXES if use}
"""Our name of what has a special use there (RFC 6154)."""

_LONE_SURROGATES = re.compile("[\udc80-\udcff]")


def decoded(name: str) -> str:
    """A folder's name on a disk or in LIST: modified UTF-7, or else UTF-8 as it is.

    Octets that are no text show as ``=XX``, so that two names stay two.
    """
    if "&" in name and name.isascii():
        try:
            return mutf7.decode(name.encode("ascii"))
        except mutf7.BadEncoding:
            return name
    return _LONE_SURROGATES.sub(lambda found: f"={ord(found[0]) - 0xDC00:02X}", name)


def fitted(levels: Sequence[str]) -> str:
    """A name that is possible here, made of what the levels are called there."""
    shown = [_fitted_level(level) for level in levels]
    if len(shown) > MAX_LEVELS:
        shown = [*shown[: MAX_LEVELS - 1], _cut("_".join(shown[MAX_LEVELS - 1 :]))]
    if shown[0].upper() == "INBOX":
        shown[0] = "INBOX"
    elif shown[0].startswith("#"):
        shown[0] = "_" + shown[0][1:]
    elif len(shown) == 1:
        shown[0] = _OURS.get(shown[0].casefold(), shown[0])
    name = SEPARATOR.join(shown)
    while len(name.encode()) > MAX_NAME_OCTETS:
        longest = max(range(len(shown)), key=lambda index: len(shown[index].encode()))
        shown[longest] = _cut(shown[longest], len(shown[longest].encode()) * 3 // 4)
        name = SEPARATOR.join(shown)
    return name


def _fitted_level(level: str) -> str:
    text = "".join(
        "_" if one in _REPLACED or unicodedata.category(one) in _REFUSED else one for one in level
    )
    text = _cut(unicodedata.normalize("NFC", text))
    return "_" * max(1, len(text)) if text in ("", ".", "..") else text


def _cut(text: str, octets: int = MAX_LEVEL_OCTETS) -> str:
    return text.encode()[:octets].decode("utf-8", "ignore")


class NameRules:
    """Which mailbox an administrator wants a folder in; what is below it goes along.

    Args:
        renamed: by the name that a folder would have here.
    """

    def __init__(self, renamed: Mapping[str, str]) -> None:
        self._renamed = {fitted(old.split(SEPARATOR)): new for old, new in renamed.items()}

    def __call__(self, name: str) -> str:
        levels = name.split(SEPARATOR)
        for count in range(len(levels), 0, -1):
            new = self._renamed.get(SEPARATOR.join(levels[:count]))
            if new is not None:
                return SEPARATOR.join([new, *levels[count:]])
        return name
