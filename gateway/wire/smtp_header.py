"""A look at a message's header while it streams past: how many Received fields, how long, and
whether its sender wants it delivered without TLS too.

Owns a count, no parsing: nothing is changed or kept but a few octets over the border of two pieces.
Every piece costs one lower-casing and three searches until the header's end.
"""

from __future__ import annotations

import re

_RECEIVED = b"\r\nreceived:"
_OVERLAP = len(_RECEIVED) - 1  # a field name that lies wholly in the overlap cannot exist
_FIRST_LINE_OCTETS = 998
# RFC 8689 section 3: "No" is the only value.
_TLS_REQUIRED = b"\r\ntls-required:"
_TLS_OPTIONAL = re.compile(rb"\r\ntls-required:[ \t]*no[ \t]*\r\n")
_TAIL_OCTETS = 64
# RFC 5322 section 2.2: printable ASCII but colon; obsolete syntax allows blanks before the colon.
_FIELD = re.compile(rb"[!-9;-~]++[ \t]*+:")


class HeaderScan:
    """Feed it the message from its first octet; it stops looking at the header's end."""

    def __init__(self) -> None:
        self.received_fields = 0
        self.tls_optional = False
        self.octets = 0
        self._overlap = b"\r\n"  # so that the first line starts like any other
        self._tail = self._overlap
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
        lower = text.lower()
        self.received_fields += lower.count(_RECEIVED)
        seen = self._tail + lower[len(self._overlap) :]
        if _TLS_REQUIRED in seen and _TLS_OPTIONAL.search(seen):
            self.tls_optional = True
        self._tail = seen[-_TAIL_OCTETS:]
        self._overlap = text[-_OVERLAP:]

    def larger_than(self, limit: int) -> bool:
        """Whether there is a header, and it is longer than so many octets.

        Text without any header (its first line is no field) is all body, whatever its length.
        """
        return self.octets > limit and _FIELD.match(self._first) is not None
