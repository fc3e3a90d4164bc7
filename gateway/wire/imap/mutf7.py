"""Modified UTF-7, the wire form of mailbox names (RFC 3501 section 5.1.3).

Owns the two translations. Decoding is strict: every name has exactly one encoding, so that two
spellings never mean one mailbox (SECURITY I9). Never judges the name that comes out.
"""

from __future__ import annotations

import binascii
import re

_PLAIN = re.compile(rb"[\x20-\x25\x27-\x7e]*")
# RFC 3501 section 5.1.3: BASE64 with "," for "/" and without padding, between "&" and "-".
_SHIFTED = re.compile(rb"&([A-Za-z0-9+,]*)-")
_NEEDS_SHIFT = re.compile(r"[^\x20-\x7e]+")


class BadEncoding(ValueError):
    """Octets that are not a modified UTF-7 text in its one canonical form."""


def decode(data: bytes) -> str:
    """The text.

    Raises:
        BadEncoding: 8-bit or control octets, an open or empty shift, needless or non-canonical
            base64, surrogates that are no pair, a shift directly behind a shift.
    """
    if b"&" not in data:
        if _PLAIN.fullmatch(data):
            return data.decode("ascii")
        raise BadEncoding
    pieces: list[str] = []
    position = 0
    shifted_before = False
    while position < len(data):
        plain = _PLAIN.match(data, position)
        assert plain is not None  # it may be empty
        if plain.end() > position:
            pieces.append(plain[0].decode("ascii"))
            position = plain.end()
            shifted_before = False
            continue
        shifted = _SHIFTED.match(data, position)
        if shifted is None:
            raise BadEncoding
        if not shifted[1]:
            pieces.append("&")
            shifted_before = False
        elif shifted_before:
            raise BadEncoding  # "&...-&...-" is one text in two shifts
        else:
            pieces.append(_unshift(shifted[1]))
            shifted_before = True
        position = shifted.end()
    return "".join(pieces)


def _unshift(base64: bytes) -> str:
    """The text of one shift, without ``&`` and ``-``."""
    padded = base64.replace(b",", b"/") + b"=" * (-len(base64) % 4)
    try:
        text = binascii.a2b_base64(padded).decode("utf-16-be")
    except ValueError:  # a length no base64 has, an odd octet, a lone surrogate
        raise BadEncoding from None
    # Printable US-ASCII must stand for itself ("&AGE-", "&AC8-"), and unused bits must be zero
    # ("&Jjp-"): both show as another result of encoding again.
    if not _NEEDS_SHIFT.fullmatch(text) or _shift(text) != b"&%b-" % base64:
        raise BadEncoding
    return text


def _shift(text: str) -> bytes:
    base64 = binascii.b2a_base64(text.encode("utf-16-be"), newline=False)
    return b"&%b-" % base64.rstrip(b"=").replace(b"/", b",")


def encode(text: str) -> bytes:
    """The wire form: printable US-ASCII, not yet quoted.

    Raises:
        UnicodeEncodeError: a lone surrogate, which no name from ``decode`` has.
    """
    if text.isascii() and text.isprintable():
        return text.replace("&", "&-").encode("ascii")
    pieces: list[bytes] = []
    position = 0
    for match in _NEEDS_SHIFT.finditer(text):
        pieces.append(text[position : match.start()].replace("&", "&-").encode("ascii"))
        pieces.append(_shift(match[0]))
        position = match.end()
    pieces.append(text[position:].replace("&", "&-").encode("ascii"))
    return b"".join(pieces)
