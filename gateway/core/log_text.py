"""Foreign text made fit for a line of the log (SECURITY A9): printable ASCII and bounded.

Owns the one way to do it. Whoever logs what came from a client, a peer or a directory uses it, as
not every log that an administrator can choose escapes lines itself.
"""

from __future__ import annotations

MAX_CHARACTERS = 500


def escaped(value: object, limit: int = MAX_CHARACTERS) -> str:
    """The value's text inside a sentence, without quotes."""
    return ascii(str(value)[:limit])[1:-1]


def shown(text: str | bytes, limit: int = 100) -> str:
    """The text in quotes, with a mark where it was cut."""
    if isinstance(text, bytes):
        text = text[: 4 * limit].decode("utf-8", "backslashreplace")
    return ascii(text[:limit]) + ("…" if len(text) > limit else "")
