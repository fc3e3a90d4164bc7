"""Foreign text on an administrator's terminal: answers of servers, headers, names."""

from __future__ import annotations


def plain(text: str) -> str:
    """Without control and format characters: foreign text must not steer a terminal."""
    return "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in text)
