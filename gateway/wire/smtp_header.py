"""A look at a message's header while it streams past: how many Received fields, how long.

Owns a count, no parsing: nothing is changed or kept but a few octets over the border of two pieces.
Every piece costs one lower-casing and two searches until the header's end.
"""

from __future__ import annotations

import re

_RECEIVED = b"\r\nreceived:"
_OVERLAP = len(_RECEIVED) - 1  # a field name that lies wholly in the overlap cannot exist
_FIRST_LINE_OCTETS = 998
# RFC 5322 section 2.2: printable ASCII but colon; obsolete syntax allows blanks before the colon.
_FIELD = re.compile(rb"[!-9;-~]++[ \t]*+:")


class HeaderScan:
    """Feed it the message from its first octet; it stops looking at the header's end."""

    def __init__(self) -> None:
        self.received_fields = 0
        self.octets = 0
        self._overlap = b"\r\n"  # so that the first line starts like any other
        self._first = b""
        self._over = False

    def feed(self, piece: bytes) -> None:
        """Look at the next octets."""
        if self._over:
            return
        if len(self._first) < _FIRST_LINE_OCTETS:
            self._first += piece[: _FIRST_LINE_OCTETS - len(self._first)]
        text = self._overlap + piece
        end = text.find(b"\r\n\r\n")
        if end >= 0:
            text = text[: end + 2]
            self._over = True
        self.octets += len(text) - len(self._overlap)
        self.received_fields += text.lower().count(_RECEIVED)
        self._overlap = text[-_OVERLAP:]

    def larger_than(self, limit: int) -> bool:
        """Whether there is a header, and it is longer than so many octets.

        Text without any header (its first line is no field) is all body, whatever its length.
        """
        return self.octets > limit and _FIELD.match(self._first) is not None
