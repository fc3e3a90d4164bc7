"""The first words of a message for a list of messages (RFC 8970 section 3).

Owns which part they come from (the first one with readable text, attachments left out), and what is
no text to be read there: markup, what a plain text quotes or signs, fill characters. Never fails;
looks at the beginnings of a few parts only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from gateway.wire.mime.bodystructure import encoding_of
from gateway.wire.mime.charset import decode_octets
from gateway.wire.mime.html import strip_tags
from gateway.wire.mime.octets import Octets
from gateway.wire.mime.parameters import parse_disposition
from gateway.wire.mime.structure import Part
from gateway.wire.mime.text import decode_transfer

MAX_CHARACTERS = 200
"""RFC 8970 section 3: the server must not send more."""
MAX_TRIED = 5
FIRST_OCTETS = 2 * 1024
PLAIN_OCTETS = 16 * 1024
HTML_OCTETS = 128 * 1024
"""Styles come first, and can be long."""

# Blanks, controls, and characters without width that fill the previews of advertisements or turn
# the direction of what follows; joiners between letters belong to words and stay.
_ODDITIES = (
    "\\x00-\\x1f\\x7f-\\x9f\\xad\\u034f\\u061c\\u115f\\u1160\\u17b4\\u17b5\\u180b-\\u180e"
    "\\u200b-\\u200f\\u202a-\\u202e\\u2060-\\u206f\\u2800\\u3164\\ufeff\\uffa0"
)
_ODD = re.compile(f"[{_ODDITIES}]")
_GAP = re.compile(f"[\\s{_ODDITIES}]+")
_JOINERS = frozenset("\u200c\u200d")


def preview_of(message: Octets, root: Part) -> str:
    """At most MAX_CHARACTERS on one line; empty when there is nothing to read."""
    for number, part in enumerate(_readable(root), start=1):
        found = _first_words(message, part)
        if found or number == MAX_TRIED:
            return found
    return ""


def _first_words(message: Octets, part: Part) -> str:
    is_html = part.media.sub == b"html"
    line = ""
    # Few octets are enough for most; behind a long style, or blanks, it takes more.
    for most in (FIRST_OCTETS, HTML_OCTETS if is_html else PLAIN_OCTETS):
        end = min(part.body_end, part.body_start + most)
        line = _words(part, message[part.body_start : end], is_html)
        if end == part.body_end or len(line) > MAX_CHARACTERS:
            break
    # What decoding could not make sense of is no text; a part cut off may end in such a thing.
    return (
        line[:MAX_CHARACTERS].rstrip().rstrip("\ufffd").encode("utf-8", "replace").decode("utf-8")
    )


def _readable(root: Part) -> Iterator[Part]:
    """Text parts to be shown, in the order of the message."""
    waiting = [root]
    while waiting:
        part = waiting.pop()
        if part.children:
            waiting += reversed(part.children)
        elif part.media.main == b"text" and not _is_attached(part):
            yield part


def _is_attached(part: Part) -> bool:
    disposition = parse_disposition(part.fields.get(b"content-disposition", b""))
    return disposition is not None and disposition[0] == b"attachment"


def _words(part: Part, octets: bytes, is_html: bool) -> str:
    encoding = encoding_of(part).decode("ascii", "replace")
    charset = (part.media.parameter(b"charset") or b"").decode("ascii", "replace").lower()
    text = decode_octets(decode_transfer(octets, encoding), charset)
    if is_html:
        return _on_one_line(strip_tags(text))
    own = _on_one_line(_own_lines(text))
    return own or _on_one_line(text)


def _own_lines(text: str) -> str:
    """Without quoted lines and without the signature."""
    kept: list[str] = []
    for line in text.split("\n"):
        if line.rstrip("\r") in ("-- ", "--"):
            break
        if not line.startswith(">"):
            kept.append(line)
    return "\n".join(kept)


def _on_one_line(text: str) -> str:
    line = " ".join(text.split())
    return _GAP.sub(_gap, line).strip() if _ODD.search(line) is not None else line


def _gap(found: re.Match[str]) -> str:
    run = found[0]
    if len(run) == 1 and run in _JOINERS:
        return run
    return (
        " " if any(char.isspace() or char < " " or "\x7f" <= char < "\xa0" for char in run) else ""
    )
