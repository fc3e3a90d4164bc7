"""Strings as IMAP writes them: NIL, quoted or literal. One rule for every response.

Owns the choice between the forms (RFC 3501 section 4.3), never what is said. A literal is written
with its real length, so no octet of a message can end it early (SECURITY M5). NUL is not allowed
in either form (RFC 3501 section 9, CHAR8); callers that render envelopes replace it first, and it
is never quoted here.
"""

from __future__ import annotations

import re

MAX_QUOTED_OCTETS = 1000
"""Longer strings become literals: clients keep line buffers, literals announce their length."""

# quoted = DQUOTE *QUOTED-CHAR DQUOTE; TEXT-CHAR = <any CHAR except CR and LF> (RFC 3501 section 9)
_PLAIN = re.compile(rb"[\t !#-\[\]-~]*+")
_QUOTABLE = re.compile(rb"[\x01-\x09\x0b\x0c\x0e-\x7f]*+")


def quoted_or_literal(octets: bytes) -> bytes:
    """A ``string``: quoted when the grammar lets it be, else a literal.

    Args:
        octets: the value, without quotes, any octets.
    """
    if len(octets) <= MAX_QUOTED_OCTETS:
        if _PLAIN.fullmatch(octets):
            return b'"%b"' % octets
        if _QUOTABLE.fullmatch(octets):
            return b'"%b"' % octets.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
    return b"{%d}\r\n%b" % (len(octets), octets)


def nstring(octets: bytes | None) -> bytes:
    """An ``nstring``: NIL for None; the empty string stays a string."""
    return b"NIL" if octets is None else quoted_or_literal(octets)
