"""Which mailbox names a LIST pattern means (RFC 3501 section 6.3.8).

Owns the matcher: ``*`` stands for any text, ``%`` for any text without the separator. It follows
all ways through the pattern at once, one bit each, so a name costs one step per character whatever
the pattern (SECURITY I10); nothing backtracks. INBOX at the start of a name is compared ignoring
case (section 5.1).

Limits: the pattern's length is bounded by ``names.decode_text``.
"""

from __future__ import annotations

from collections.abc import Iterable

from gateway.core.mailboxes import SEPARATOR

_INBOX = "INBOX"
_INBOX_BELOW = _INBOX + SEPARATOR


class ListPattern:
    """One pattern, reference included.

    State ``i`` of the machine says that the first ``i`` literal characters of the pattern were
    matched. A wildcard between two literal characters lets their state stay as it is.
    """

    __slots__ = ("_accepting", "_exact", "_folded", "_literal", "_stay", "_stay_at_separator")

    def __init__(self, pattern: str) -> None:
        self._literal: dict[str, int] = {}  # character: states it leads to
        self._folded: dict[str, int] = {}  # the same by upper case, for INBOX
        self._stay = 0  # states that any character but the separator leaves as they are
        self._stay_at_separator = 0
        state = 0
        for character in pattern:
            if character == "*":
                self._stay |= 1 << state
                self._stay_at_separator |= 1 << state
            elif character == "%":
                self._stay |= 1 << state
            else:
                state += 1
                for table, key in ((self._literal, character), (self._folded, _folded(character))):
                    table[key] = table.get(key, 0) | 1 << state
        self._accepting = 1 << state
        self._exact = pattern if not self._stay else None

    def matches(self, name: str) -> bool:
        """Whether the pattern means this name."""
        folded = len(_INBOX) if name == _INBOX or name.startswith(_INBOX_BELOW) else 0
        if self._exact is not None and not folded:
            return name == self._exact
        states = 1
        for position, character in enumerate(name):
            table = self._folded if position < folded else self._literal
            stay = self._stay_at_separator if character == SEPARATOR else self._stay
            states = (states << 1) & table.get(character, 0) | states & stay
            if not states:
                return False
        return bool(states & self._accepting)


def _folded(character: str) -> str:
    return character.upper() if character.isascii() else character  # dotless i is no I


def matching(patterns: Iterable[str], reference: str = "") -> list[ListPattern]:
    """The patterns of one LIST, each taken together with its reference."""
    return [ListPattern(reference + pattern) for pattern in patterns]
