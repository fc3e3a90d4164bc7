"""Octets to text: a fixed list of charsets, and the encoded-words of RFC 2047.

Owns which codecs a message may choose: nothing outside the list is ever looked up, so a message
cannot name ``unicode_escape``, ``idna`` or ``zlib_codec`` (SECURITY M4). Never fails: octets of an
unknown charset are UTF-8 or else shown as Latin-1. Linear in the octets.
"""

from __future__ import annotations

import binascii
import re

# Name as mail writes it (lower case, "_" as "-") to Python's codec. Superset codecs stand for the
# names that senders use for them (gb2312 is gbk in practice, as the WHATWG's list has it).
_CODECS = {
    "us-ascii": "utf-8",  # 8-bit octets under this name are UTF-8 more often than anything else
    "ascii": "utf-8",
    "ansi-x3.4-1968": "utf-8",
    "": "utf-8",
    "utf-8": "utf-8",
    "utf8": "utf-8",
    "unicode-1-1-utf-8": "utf-8",
    "utf-16": "utf-16",
    "utf-16le": "utf-16-le",
    "utf-16be": "utf-16-be",
    "latin1": "cp1252",
    "latin-1": "cp1252",
    "iso8859-1": "cp1252",
    "iso-8859-8-i": "iso8859-8",
    "iso-8859-6-i": "iso8859-6",
    "koi8-r": "koi8-r",
    "koi8-u": "koi8-u",
    "macintosh": "mac-roman",
    "tis-620": "cp874",
    "windows-874": "cp874",
    "iso-8859-11": "cp874",
    "shift-jis": "cp932",
    "shift_jis": "cp932",
    "sjis": "cp932",
    "x-sjis": "cp932",
    "cp932": "cp932",
    "windows-31j": "cp932",
    "euc-jp": "euc-jp",
    "iso-2022-jp": "iso2022-jp-ext",
    "iso-2022-jp-2": "iso2022-jp-2",
    "cp50220": "iso2022-jp-ext",
    "euc-kr": "cp949",
    "ks-c-5601-1987": "cp949",
    "cp949": "cp949",
    "iso-2022-kr": "iso2022-kr",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "cp936": "gb18030",
    "gb18030": "gb18030",
    "hz-gb-2312": "hz",
    "big5": "cp950",
    "cp950": "cp950",
    "big5-hkscs": "big5hkscs",
}
_CODECS |= {f"iso-8859-{number}": f"iso8859-{number}" for number in (*range(2, 11), 13, 14, 15, 16)}
_CODECS["iso-8859-1"] = "cp1252"
_CODECS |= {f"windows-{number}": f"cp{number}" for number in range(1250, 1259)}
_CODECS |= {f"cp{number}": f"cp{number}" for number in (437, 850, 852, 855, 858, 866)}
_CODECS |= {f"cp{number}": f"cp{number}" for number in range(1250, 1259)}
_CODECS |= {f"ibm{number}": f"cp{number}" for number in (437, 850, 852, 855, 858, 866)}

_MAX_NAME = 40

# encoded-word = "=?" charset ["*" language] "?" encoding "?" encoded-text "?=" (RFC 2047, 2231);
# blanks in the text are tolerated, a question mark is not, so a search never runs far.
_ENCODED_WORD = re.compile(
    rb"=\?([!-)+->@-~]{1,%d})(?:\*[^?]{0,%d})?\?([bBqQ])\?([^?]*+)\?=" % (_MAX_NAME, _MAX_NAME)
)


def codec_of(charset: str) -> str | None:
    """Python's codec for a charset name, or None if it is not on the list."""
    name = charset.strip().lower()
    return _CODECS.get(name) or _CODECS.get(name.replace("_", "-"))


def decode_octets(octets: bytes, charset: str) -> str:
    """Text of octets in a charset; never fails."""
    listed = codec_of(charset)
    codec = listed or "utf-8"  # what an unknown name most often stands for
    if codec == "utf-8":
        try:
            return octets.decode("utf-8")
        except UnicodeDecodeError:
            # Mislabelled or damaged: Latin-1 keeps every octet where U+FFFD would not.
            utf8_said = listed is not None and charset.startswith("utf")
            return octets.decode("utf-8" if utf8_said else "latin-1", "replace")
    return octets.decode(codec, "replace")


def decode_unstructured(value: bytes) -> str:
    """A header value with encoded-words decoded; raw octets are UTF-8 (RFC 6532) or Latin-1.

    Blanks between two encoded-words vanish (RFC 2047 section 6.2). Neighbours of one charset are
    decoded together, because senders split characters between them.
    """
    if b"=?" not in value:
        return decode_octets(value, "")
    texts: list[str] = []
    pending: list[bytes] = []
    charset = ""
    position = 0
    for found in _ENCODED_WORD.finditer(value):
        between = value[position : found.start()]
        word_charset = found[1].decode("latin-1").lower()
        if between.strip() or not position:
            texts.append(decode_octets(b"".join(pending), charset))
            texts.append(decode_octets(between, ""))
            pending, charset = [], word_charset
        elif word_charset != charset:
            texts.append(decode_octets(b"".join(pending), charset))
            pending, charset = [], word_charset
        pending.append(_word_octets(found[2], found[3]))
        position = found.end()
    texts.append(decode_octets(b"".join(pending), charset))
    texts.append(decode_octets(value[position:], ""))
    return "".join(texts)


def _word_octets(encoding: bytes, text: bytes) -> bytes:
    if encoding in b"qQ":
        return binascii.a2b_qp(text, header=True)
    return decode_base64(text)


_NOT_BASE64 = bytes(
    set(range(256)) - set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
)


def decode_base64(octets: bytes) -> bytes:
    """Octets of base64 text; what is not of its alphabet is skipped, a broken end is cut."""
    try:
        return binascii.a2b_base64(octets)
    except binascii.Error:
        clean = octets.translate(None, _NOT_BASE64)
        if len(clean) % 4 == 1:
            clean = clean[:-1]
        return binascii.a2b_base64(clean + b"=" * (-len(clean) % 4))
