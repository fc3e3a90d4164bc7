"""Binary content (RFC 3030 section 3) made ordinary MIME while it streams past.

Mailboxes are read by POP3 and IMAP, and most servers take text only, so no NUL and no CR or LF that
is not a CRLF may stay. Every leaf part with ``Content-Transfer-Encoding: binary`` becomes base64,
fit or not, as that is known only at its end; composite parts become 8bit, as no other encoding is
allowed for them (RFC 2045 section 6.4), and their parts are treated alike. Every other octet stays.
What cannot be converted without damage is refused: see ``Unconvertible``.

Owns the choice of these rules for ``part_stream``, whose limits are in force. The message grows by
three eighths at most.
"""

from __future__ import annotations

from collections.abc import Callable

from gateway.wire.mime.base64_lines import Base64Lines
from gateway.wire.mime.binary_header import UNFIT, convert_header, is_fit
from gateway.wire.mime.part_rewriting import PartHeader, Place, Unconvertible
from gateway.wire.mime.part_stream import PartStream


class BinaryParts(PartStream):
    """Stands between who reads a message from the network and what keeps it.

    Args:
        write: takes the converted octets in pieces; called no more once there is a ``problem``.
        header_octets: limit for the header of the message and of each part.
    """

    __slots__ = ()

    def __init__(self, write: Callable[[bytes], None], header_octets: int) -> None:
        super().__init__(write, header_octets, _BinaryToText())


class _BinaryToText:
    def header(self, block: bytes, place: Place) -> PartHeader:
        header = convert_header(block, signed=place.signed, digest=place.digest)
        encoder = Base64Lines() if header.encoded else None
        return PartHeader(header.block, header.media, encoder, header.wraps)

    def check(self, octets: bytes) -> None:
        if not is_fit(octets):
            raise Unconvertible(UNFIT)

    def loose_end(self) -> None:
        raise Unconvertible(UNFIT)
