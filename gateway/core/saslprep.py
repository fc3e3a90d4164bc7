"""SASLprep (RFC 4013): one form of a name or password, however it was typed.

Owns the profile of stringprep for SCRAM (RFC 5802 section 2.2). Never compares anything.
Tables are those of Unicode 3.2, as RFC 3454 wants it.
"""

from __future__ import annotations

import stringprep
from unicodedata import ucd_3_2_0

_PROHIBITED = (
    stringprep.in_table_c12,
    stringprep.in_table_c21_c22,
    stringprep.in_table_c3,
    stringprep.in_table_c4,
    stringprep.in_table_c5,
    stringprep.in_table_c6,
    stringprep.in_table_c7,
    stringprep.in_table_c8,
    stringprep.in_table_c9,
)


def saslprep(text: str) -> str:
    """The text as RFC 4013 section 2 prepares it; characters unassigned in 3.2 pass (a "query").

    Raises:
        ValueError: it has characters that may not be, or mixes directions.
    """
    if text.isascii() and text.isprintable():
        return text
    mapped = "".join(
        " " if stringprep.in_table_c12(char) else char
        for char in text
        if not stringprep.in_table_b1(char)
    )
    prepared = ucd_3_2_0.normalize("NFKC", mapped)
    if any(table(char) for char in prepared for table in _PROHIBITED):
        raise ValueError("a character that SASLprep prohibits")
    if any(map(stringprep.in_table_d1, prepared)):
        # RFC 3454 section 6: all of it runs from right to left, its first and last too.
        ends = stringprep.in_table_d1(prepared[0]) and stringprep.in_table_d1(prepared[-1])
        if not ends or any(map(stringprep.in_table_d2, prepared)):
            raise ValueError("text in two directions")
    return prepared


def prepared_password(password: bytes) -> bytes:
    """The octets that SCRAM derives its keys from; what cannot be prepared stays as it is."""
    try:
        return saslprep(password.decode("utf-8")).encode("utf-8")
    except ValueError:
        return password
