"""Foreign text made fit for a delivery report (SECURITY S9): one line, printable, bounded.

Owns the one way to do it; what the lines say is the business of the other ``dsn`` modules.
"""

from __future__ import annotations

import re

MAX_CHARACTERS = 600
MAX_OCTETS = 900
"""Of a value, so that its line stays below RFC 5322's 998 with the name of its field before it."""


def one_line(text: str, *, utf8: bool) -> str:
    """ASCII, other characters as escapes, unless ``utf8``."""
    encoding = "utf-8" if utf8 else "ascii"
    shown = text[:MAX_CHARACTERS].encode(encoding, "backslashreplace").decode(encoding)
    clean = "".join(c if c.isprintable() else " " for c in shown)
    return within(clean.strip()[:MAX_CHARACTERS])


def within(text: str, octets: int = MAX_OCTETS) -> str:
    """As much of it as so many octets of UTF-8 hold."""
    if len(text) * 4 <= octets:
        return text
    return text.encode("utf-8", "replace")[:octets].decode("utf-8", "ignore").rstrip()


def plain(text: str) -> str:
    """Fit for the inside of a Message-ID or a domain."""
    return re.sub(r"[^A-Za-z0-9.\[\]:_-]", "-", text)[:255]
