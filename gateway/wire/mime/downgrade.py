"""8-bit text made 7-bit MIME for a server without 8BITMIME (RFC 6152 section 3).

Every leaf part that holds octets over 127 becomes quoted-printable, or base64 where that is
shorter; composite parts become 7bit, as no other encoding is allowed for them (RFC 2045 section
6.4), and their parts are treated alike. Parts that are ASCII stay as they are.

A message is read twice: ``Survey`` finds out whether it can be done and how each part is encoded,
``Downgrade`` does it, so memory stays bounded however long it is. Owns which parts may be touched:
what is under a signature never is, and octets over 127 outside of leaf bodies (in headers, before
the first and behind the last part) cannot be helped. A DKIM signature breaks: RFC 6376 section
5.3 warns signers of that.

Lines may end in a bare CR or LF here; they become CRLF, as on any way out.
"""

from __future__ import annotations

from gateway.wire.dot_stuffing import LineEnds
from gateway.wire.mime.base64_lines import Base64Lines
from gateway.wire.mime.binary_header import IDENTITIES, content_fields, field_value, with_encoding
from gateway.wire.mime.headers import iter_fields
from gateway.wire.mime.parameters import (
    MESSAGE_RFC822,
    TEXT_PLAIN,
    MediaType,
    parse_media_type,
    parse_token,
)
from gateway.wire.mime.part_rewriting import Encoder, PartHeader, Place, Unconvertible
from gateway.wire.mime.part_stream import PartStream
from gateway.wire.mime.quoted_printable import QuotedLines

Encodings = tuple[bytes, ...]
"""For each leaf part, in their order: its new encoding, empty if it stays."""

HEADER_OCTETS = 1024 * 1024
QUOTED, BASE64 = b"quoted-printable", b"base64"

# What quoted-printable writes as three octets; blanks before line ends are too few to count.
_QUOTED_OCTETS = bytes((*range(9), *range(11, 13), *range(14, 32), 61, *range(127, 256)))
# RFC 6532 section 3.7, RFC 6533 section 4: these messages may be encoded.
_ENCODABLE_MESSAGES = frozenset(
    {b"global", b"global-delivery-status", b"global-disposition-notification", b"global-headers"}
)
_FIELDS_OCTETS = 120  # of what may be added to a header
_SIGNED = "a signed part has 8-bit characters, and encoding it would break the signature"
_OUTSIDE = "8-bit characters stand outside the parts of the message, as in its header"
_ENCODED = "a part has 8-bit characters though its Content-Transfer-Encoding allows none"
_WRAPPED = "a part of type message has 8-bit characters and must not be encoded"
_TWICE = "a part with 8-bit characters has Content-Type or Content-Transfer-Encoding twice"


class Survey:
    """Reads a message to find out how it can be made 7-bit.

    ``encodings``, ``size_octets`` and ``problem`` tell once ``end`` was called.
    """

    def __init__(self) -> None:
        self._rules = _Asking()
        self._lines = LineEnds()
        self._parts = PartStream(self._count, HEADER_OCTETS, self._rules)
        self._size_octets = 0

    def _count(self, octets: bytes) -> None:
        self._size_octets += len(octets)

    def feed(self, chunk: bytes) -> None:
        self._parts.write(self._lines.feed(chunk))

    def end(self) -> None:
        self._parts.write(self._lines.finish())
        self._parts.end()

    @property
    def problem(self) -> str:
        """Why it cannot be done; empty if it can."""
        return self._parts.problem.text if self._parts.problem is not None else ""

    @property
    def encodings(self) -> Encodings:
        return tuple(tally.encoding for tally in self._rules.tallies)

    @property
    def size_octets(self) -> int:
        """What the converted message has at most, about."""
        return self._size_octets + sum(tally.size_octets for tally in self._rules.tallies)


class Downgrade:
    """Converts a message as surveyed; the octets come out with their line ends whole."""

    def __init__(self, encodings: Encodings) -> None:
        self._out: list[bytes] = []
        self._lines = LineEnds()
        self._parts = PartStream(self._out.append, HEADER_OCTETS, _Encoding(encodings))

    def feed(self, chunk: bytes) -> bytes:
        """Raises: Unconvertible, where it is another message than the surveyed one."""
        self._parts.write(self._lines.feed(chunk))
        return self._taken()

    def finish(self) -> bytes:
        """Raises: Unconvertible, likewise."""
        self._parts.write(self._lines.finish())
        self._parts.end()
        return self._taken()

    def _taken(self) -> bytes:
        if self._parts.problem is not None:
            raise self._parts.problem
        octets = b"".join(self._out)
        self._out.clear()
        return octets


def downgraded(octets: bytes, encodings: Encodings) -> bytes:
    """A whole message converted. Raises: Unconvertible."""
    downgrade = Downgrade(encodings)
    return downgrade.feed(octets) + downgrade.finish()


class _Tally:
    """Stands in for the encoder of a leaf, and counts.

    Args:
        refusal: why the part must not be encoded; empty if it may.
    """

    __slots__ = ("_eight_bit", "_octets", "_quoted", "_refusal", "_signed")

    def __init__(self, refusal: str) -> None:
        self._refusal = refusal
        self._octets = self._quoted = 0
        self._eight_bit = False

    def feed(self, octets: bytes) -> bytes:
        if not octets.isascii():
            self._eight_bit = True
            if self._refusal:
                raise Unconvertible(self._refusal)
        self._octets += len(octets)
        self._quoted += len(octets) - len(octets.translate(None, _QUOTED_OCTETS))
        return b""

    def end(self) -> bytes:
        return b""

    @property
    def encoding(self) -> bytes:
        if not self._eight_bit:
            return b""
        return QUOTED if self._as_quoted <= self._as_base64 else BASE64

    @property
    def size_octets(self) -> int:
        if not self._eight_bit:
            return self._octets
        return min(self._as_quoted, self._as_base64) + _FIELDS_OCTETS

    @property
    def _as_quoted(self) -> int:
        return self._octets + 2 * self._quoted

    @property
    def _as_base64(self) -> int:
        return (self._octets + 2) // 3 * 4 + 2 * (self._octets // 57)


class _Leaves:
    """What both readings of a message agree on: which parts are leaves, and which must stay."""

    def header(self, block: bytes, place: Place) -> PartHeader:
        types, encodings = content_fields(block)
        # RFC 2046 section 5.1.5: the default inside a digest is message/rfc822
        default = MESSAGE_RFC822 if place.digest else TEXT_PLAIN
        media = parse_media_type(field_value(block, types), default)
        encoding = parse_token(field_value(block, encodings))
        is_message = media.main == b"message" and media.sub not in _ENCODABLE_MESSAGES
        plain = encoding in IDENTITIES
        wraps = is_message and media.sub == b"rfc822" and plain
        if media.main == b"multipart" or wraps:
            if encoding in (b"8bit", b"binary") and not place.signed and len(encodings) == 1:
                block = with_encoding(block, encodings[0], b"7bit")
            return PartHeader(block, media, None, wraps)
        refusal = ""
        if place.signed:
            refusal = _SIGNED
        elif not plain:
            refusal = _ENCODED
        elif is_message:
            refusal = _WRAPPED
        elif len(types) > 1 or len(encodings) > 1:
            refusal = _TWICE
        return self.leaf(block, media, place, refusal)

    def leaf(self, block: bytes, media: MediaType, place: Place, refusal: str) -> PartHeader:
        raise NotImplementedError

    def check(self, octets: bytes) -> None:
        if not octets.isascii():
            raise Unconvertible(_OUTSIDE)

    def loose_end(self) -> None:
        """Line ends are whole here."""


class _Asking(_Leaves):
    def __init__(self) -> None:
        self.tallies: list[_Tally] = []

    def leaf(self, block: bytes, media: MediaType, place: Place, refusal: str) -> PartHeader:
        tally = _Tally(refusal)
        self.tallies.append(tally)
        return PartHeader(block, media, tally, False)


class _Encoding(_Leaves):
    def __init__(self, encodings: Encodings) -> None:
        self._encodings = iter(encodings)

    def leaf(self, block: bytes, media: MediaType, place: Place, refusal: str) -> PartHeader:
        encoding = next(self._encodings, None)
        if encoding is None:
            raise Unconvertible("the message has changed")
        encoder: Encoder | None = None
        if encoding:
            encoder = QuotedLines() if encoding == QUOTED else Base64Lines()
            block = _encoded_header(block, encoding, is_message=place.message)
        return PartHeader(block, media, encoder, False)


def _encoded_header(block: bytes, encoding: bytes, *, is_message: bool) -> bytes:
    types, encodings = content_fields(block)
    if encodings:
        block = with_encoding(block, encodings[0], encoding)
    if block and not block.endswith(b"\n"):
        block += b"\r\n"
    if is_message and not any(each.name == b"mime-version" for each in iter_fields(block)):
        block += b"MIME-Version: 1.0\r\n"
    if not types:
        # RFC 1428 section 3: nobody has said what the octets mean.
        block += b"Content-Type: text/plain; charset=unknown-8bit\r\n"
    if not encodings:
        block += b"Content-Transfer-Encoding: " + encoding + b"\r\n"
    return block
