"""Structured Content-* values: a media type or disposition and its parameters.

Owns the tolerant reading of RFC 2045 section 5.1 and the joining of RFC 2231 continuations; never
decodes a value: IMAP shows them as they were sent. At most 128 parameters are looked at, empty and
broken ones included (SECURITY F5, M2); what follows is ignored.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from gateway.wire.mime.budget import MAX_PARAMETERS
from gateway.wire.mime.comments import strip_comments

Parameters = tuple[tuple[bytes, bytes], ...]

# parameter := attribute "=" value; value := token / quoted-string. Blanks around "=", text behind a
# quoted-string, unquoted blanks and a missing closing quote are what senders get wrong.
_SEGMENT = re.compile(
    rb'[;\s]*+([^=;]*+)(?:=\s*+(?:"([^"\\]*+(?:\\.[^"\\]*+)*)"[^;]*+|([^;]*+)))?', re.DOTALL
)
_QUOTED_PAIR = re.compile(rb"\\(.)", re.DOTALL)

# token := 1*<any CHAR except SPACE, CTLs, or tspecials>
_TOKEN = rb"[!#$%&'*+\-.0-9A-Z^_`a-z{|}~]++"
_MEDIA_TYPE = re.compile(rb"\s*+(" + _TOKEN + rb")\s*+/\s*+(" + _TOKEN + rb")\s*+(?=;|\Z)")
_LEADING_TOKEN = re.compile(rb"[\s\"]*+(" + _TOKEN + rb")")

# RFC 2231 section 7: attribute *("*" section) ["*"]
_CONTINUED = re.compile(rb"([^*]++)\*([0-9]{1,9})(\*?)")
_MUST_ENCODE = re.compile(rb"[^!#$&+\-.0-9A-Z^_`a-z{|}~]")


@dataclass(frozen=True, slots=True)
class MediaType:
    """Type and subtype in lower case, with parameters in the order sent."""

    main: bytes
    sub: bytes
    parameters: Parameters = ()

    def parameter(self, name: bytes) -> bytes | None:
        """The first parameter of this (lower case) name, or the extended one (RFC 2231)."""
        for key, value in self.parameters:
            if key == name:
                return value
        for key, value in self.parameters:
            if key == name + b"*":
                # extended-initial-value := [charset] "'" [language] "'" extended-other-values
                return unquote_to_bytes(value.split(b"'", 2)[-1])
        return None


# RFC 2045 section 5.2: the default; the charset is named because a client would have to assume it.
TEXT_PLAIN = MediaType(b"text", b"plain", ((b"charset", b"us-ascii"),))
MESSAGE_RFC822 = MediaType(b"message", b"rfc822")


def parse_media_type(value: bytes | None, default: MediaType) -> MediaType:
    """A Content-Type; the default if there is none, text/plain if it cannot be read."""
    if value is None:
        return default
    value = strip_comments(value, after_blank_only=True)
    found = _MEDIA_TYPE.match(value)
    if found is None:
        return TEXT_PLAIN
    main, sub = found[1].lower(), found[2].lower()
    parameters = _parse_parameters(value, found.end())
    media = MediaType(main, sub, parameters)
    if main == b"text" and sub == b"plain" and media.parameter(b"charset") is None:
        return MediaType(main, sub, parameters + TEXT_PLAIN.parameters)
    return media


def parse_disposition(value: bytes) -> tuple[bytes, Parameters] | None:
    """A Content-Disposition (RFC 2183); None if not even its type can be read."""
    value = strip_comments(value, after_blank_only=True)
    found = _LEADING_TOKEN.match(value)
    if found is None:
        return None
    separator = value.find(b";", found.end())
    parameters = _parse_parameters(value, separator) if separator >= 0 else ()
    return found[1].lower(), parameters


def parse_token(value: bytes | None) -> bytes:
    """The first token of a value in lower case (Content-Transfer-Encoding), or nothing."""
    found = _LEADING_TOKEN.match(strip_comments(value)) if value else None
    return found[1].lower() if found is not None else b""


def _parse_parameters(value: bytes, position: int) -> Parameters:
    parameters: list[tuple[bytes, bytes]] = []
    continued = False
    for _ in range(MAX_PARAMETERS):
        found = _SEGMENT.match(value, position)
        if found is None or found.end() == position:
            break
        position = found.end()
        name = found[1].strip().lower()
        quoted, plain = found[2], found[3]
        if not name or (quoted is None and plain is None):
            continue
        if quoted is None:
            quoted = plain.strip()
            if quoted.startswith(b'"'):
                quoted = quoted[1:]
        elif b"\\" in quoted:
            quoted = _QUOTED_PAIR.sub(rb"\1", quoted)
        continued = continued or b"*" in name
        parameters.append((name, quoted))
    return _join_continuations(parameters) if continued else tuple(parameters)


def _join_continuations(parameters: list[tuple[bytes, bytes]]) -> Parameters:
    """Put ``name*0``, ``name*1``… together (RFC 2231 section 3), at the place of the first.

    Is one piece percent-encoded (``name*1*``), the whole becomes ``name*`` and plain pieces are
    encoded, so that nothing is lost and a client needs to know only RFC 2231 section 4.
    """
    pieces: dict[bytes, dict[int, tuple[bytes, bool]]] = {}
    order: list[tuple[bytes, bytes | None]] = []
    for name, value in parameters:
        found = _CONTINUED.fullmatch(name)
        if found is None:
            order.append((name, value))
            continue
        base = found[1]
        if base not in pieces:
            order.append((base, None))
        pieces.setdefault(base, {}).setdefault(int(found[2]), (value, bool(found[3])))
    joined: list[tuple[bytes, bytes]] = []
    for name, whole in order:
        if whole is not None:
            joined.append((name, whole))
            continue
        sections = [pieces[name][index] for index in sorted(pieces[name])]
        if any(encoded for _, encoded in sections):
            joined.append(
                (
                    name + b"*",
                    b"".join(text if encoded else _percent(text) for text, encoded in sections),
                )
            )
        else:
            joined.append((name, b"".join(text for text, _ in sections)))
    return tuple(joined)


def _percent(text: bytes) -> bytes:
    return _MUST_ENCODE.sub(lambda found: b"%%%02X" % found[0][0], text)
