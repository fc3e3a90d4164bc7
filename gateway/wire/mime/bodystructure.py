"""BODY and BODYSTRUCTURE of one message, rendered as RFC 3501 section 7.4.2 wants them.

Owns the order and the NILs of the ``body`` grammar (section 9), both forms in one walk; never looks
at the message itself. Sizes and line counts are those of the tree, in octets as stored. The walk
recurses, which the scanner's depth limit bounds.

Types, subtypes, encodings and parameter names are written in lower case (they compare without
case), values as they were sent.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from gateway.wire.mime.budget import Budget
from gateway.wire.mime.comments import strip_comments
from gateway.wire.mime.envelope import render_envelope, text
from gateway.wire.mime.parameters import Parameters, parse_disposition, parse_token
from gateway.wire.mime.structure import Part

MAX_LANGUAGES = 32

_LANGUAGE = re.compile(rb"[A-Za-z0-9*-]++")


def render_body(root: Part, budget: Budget) -> tuple[bytes, bytes]:
    """BODY (without extension data) and BODYSTRUCTURE of the message.

    Raises:
        Overrun: they are too long to be kept and sent.
    """
    plain: list[bytes] = []
    extended: list[bytes] = []
    _write(root, plain, extended, budget)
    return b"".join(plain), b"".join(extended)


def encoding_of(part: Part) -> bytes:
    """The transfer encoding's name in lower case; 7bit when absent (RFC 2045 section 6.1)."""
    return parse_token(part.fields.get(b"content-transfer-encoding")) or b"7bit"


def _write(part: Part, plain: list[bytes], extended: list[bytes], budget: Budget) -> None:
    plain.append(b"(")
    extended.append(b"(")
    if part.is_multipart:
        # body-type-mpart = 1*body SP media-subtype [SP body-ext-mpart]
        for child in part.children:
            _write(child, plain, extended, budget)
        subtype = b" " + text(part.media.sub)
        parameters = _parameters(part.media.parameters)
        extension = b" %b%b)" % (parameters, _common_extension(part.fields))
        budget.spend_rendered(len(extension))
        plain += (subtype, b")")
        extended += (subtype, extension)
        return
    fields, media = part.fields, part.media
    # body-fields = body-fld-param SP body-fld-id SP body-fld-desc SP body-fld-enc SP
    #               body-fld-octets
    basics = b"%b %b %b %b %b %b %d" % (
        text(media.main),
        text(media.sub),
        _parameters(media.parameters),
        text(fields.get(b"content-id")),
        text(fields.get(b"content-description")),
        text(encoding_of(part)),
        part.body_end - part.body_start,
    )
    # body-ext-1part = body-fld-md5 [SP body-fld-dsp [SP body-fld-lang [SP body-fld-loc]]]
    extension = b" %b%b)" % (text(fields.get(b"content-md5")), _common_extension(fields))
    budget.spend_rendered(len(basics) + len(extension))
    plain.append(basics)
    extended.append(basics)
    if part.is_message:
        # body-type-msg = media-message SP body-fields SP envelope SP body SP body-fld-lines
        (message,) = part.children
        envelope = b" %b " % render_envelope(message.fields, budget)
        budget.spend_rendered(len(envelope))
        plain.append(envelope)
        extended.append(envelope)
        _write(message, plain, extended, budget)
    if part.is_message or media.main == b"text":
        lines = b" %d" % part.lines
        plain.append(lines)
        extended.append(lines)
    plain.append(b")")
    extended.append(extension)


def _parameters(parameters: Parameters) -> bytes:
    """body-fld-param = "(" string SP string *(SP string SP string) ")" / nil"""
    if not parameters:
        return b"NIL"
    return b"(%b)" % b" ".join(b"%b %b" % (text(name), text(value)) for name, value in parameters)


def _common_extension(fields: Mapping[bytes, bytes]) -> bytes:
    """Disposition, language and location, which single parts and multiparts share."""
    location = fields.get(b"content-location")
    return b" %b %b %b" % (
        _disposition(fields.get(b"content-disposition")),
        _languages(fields.get(b"content-language")),
        text(location),
    )


def _disposition(value: bytes | None) -> bytes:
    """body-fld-dsp = "(" string SP body-fld-param ")" / nil"""
    parsed = parse_disposition(value) if value else None
    if parsed is None:
        return b"NIL"
    kind, parameters = parsed
    return b"(%b %b)" % (text(kind), _parameters(parameters))


def _languages(value: bytes | None) -> bytes:
    """body-fld-lang = nstring / "(" string *(SP string) ")"; here always the list."""
    if not value:
        return b"NIL"
    tags = _LANGUAGE.findall(strip_comments(value))[:MAX_LANGUAGES]
    return b"(%b)" % b" ".join(map(text, tags)) if tags else b"NIL"
