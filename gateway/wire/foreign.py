"""The signs of a stranger's protocol on a mail port: browsers and TLS (SECURITY S20).

Owns the words that a browser can be made to say first; each mail protocol adds those of its own.
"""

from __future__ import annotations

HTTP_VERBS = frozenset(b"CONNECT DELETE GET HEAD OPTIONS PATCH POST PRI PUT TRACE".split())


def is_binary(start: bytes) -> bool:
    """Whether the octets cannot be the start of any line of text, such as a TLS hello."""
    return bool(start) and not 0x20 <= start[0] < 0x7F and start[0] not in b"\t\r\n"
