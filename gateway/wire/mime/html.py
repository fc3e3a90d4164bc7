"""The words of an HTML text, for searching and previews.

Owns dropping tags, comments, scripts and styles and resolving character references; never builds a
tree and never judges the markup. One pass with searches that are not repeated once they failed;
the standard library's parser is quadratic on hostile input (SECURITY F5, M4).
"""

from __future__ import annotations

import re
from html import unescape

_TAG = re.compile(r"</?([A-Za-z][A-Za-z0-9]{0,15})")
_RAW_END = {
    "script": re.compile(r"</script", re.IGNORECASE),
    "style": re.compile(r"</style", re.IGNORECASE),
}

# Longer numbers name no character, and beyond 4,300 digits ``unescape`` raises ValueError.
_LONG_NUMBER = re.compile(r"&#([0-9]{9,})")

# Tags inside which a word may continue; every other tag separates words.
_INLINE = frozenset(
    {"a", "abbr", "b", "bdi", "bdo", "big", "code", "em", "font", "i", "ins", "mark", "s"}
    | {"small", "span", "strike", "strong", "sub", "sup", "tt", "u", "wbr"}
)


def strip_tags(text: str) -> str:
    """The text without markup. Unfinished tags and comments end the text."""
    kept: list[str] = []
    position = 0
    while (opened := text.find("<", position)) >= 0:
        kept.append(text[position:opened])
        if text.startswith("<!--", opened):
            end = text.find("-->", opened + 4)
            position = end + 3
        elif (tag := _TAG.match(text, opened)) is not None or text.startswith(
            ("<!", "<?", "</"), opened
        ):
            end = text.find(">", opened)
            position = end + 1
            name = tag[1].lower() if tag is not None else ""
            if end >= 0 and name in _RAW_END and text[opened + 1] != "/":
                raw_end = _RAW_END[name].search(text, position)
                end = position = raw_end.start() if raw_end is not None else -1
            if name not in _INLINE:
                kept.append(" ")
        else:
            kept.append("<")
            end = position = opened + 1
        if end < 0:
            break
    else:
        kept.append(text[position:])
    plain = "".join(kept)
    return unescape(_LONG_NUMBER.sub(lambda found: f"&#{(found[1].lstrip('0') or '0')[:8]}", plain))
