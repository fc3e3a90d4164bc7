"""What is computed once per message and kept: IMAP data, the offsets of parts, the preview.

Owns putting scanner and renderers together, the part paths of IMAP, the opaque form of a message
that passes a hard limit (SECURITY M6), and the stored octets of a summary. ``summarise`` never
raises for a message's content; ``decode`` refuses what ``encode`` of this version has not written.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator, Mapping

from gateway.core.errors import GatewayError
from gateway.core.messages import MessageSummary, PartSpan
from gateway.wire.mime.bodystructure import encoding_of, render_body
from gateway.wire.mime.budget import MAX_FIELDS, Budget, Overrun
from gateway.wire.mime.envelope import EMPTY_ENVELOPE, render_envelope
from gateway.wire.mime.headers import header_end_at, read_header
from gateway.wire.mime.octets import Octets
from gateway.wire.mime.parameters import TEXT_PLAIN
from gateway.wire.mime.preview import preview_of
from gateway.wire.mime.structure import MESSAGE_FIELDS, Part, scan

_VERSION = b"S2"
_HEAD = struct.Struct(">2sI")  # version, CRC-32 of what follows
_LENGTHS = struct.Struct(">IIIII")

_PLAIN_NAME = re.compile(rb"[!-~]{1,80}")


def summarise(message: Octets) -> MessageSummary:
    """Envelope, body structures, part offsets and preview of a message.

    A message that passes a hard limit, or that the scanner fails on, is one opaque text part; the
    note says why, for the log.

    Raises:
        GatewayError: the octets cannot be read; never for what they are.
    """
    budget = Budget()
    try:
        root = scan(message, budget)
        # The message's own envelope first: it must not be what a spent budget leaves out.
        envelope = render_envelope(root.fields, budget)
        body, body_structure = render_body(root, budget)
        spans = part_spans(root)
    except GatewayError:
        raise
    except Overrun as overrun:
        return _opaque(message, str(overrun))
    except Exception as error:  # one bad message must never break a mailbox (SECURITY M6)
        return _opaque(message, f"the scanner failed: {type(error).__name__}")
    try:
        note, preview = "", preview_of(message, root)
    except GatewayError:
        raise
    except Exception as error:
        note, preview = f"the preview failed: {type(error).__name__}", ""
    return MessageSummary(envelope, body, body_structure, spans, note, preview)


def _opaque(message: Octets, note: str) -> MessageSummary:
    """The message as one text part of 8-bit octets, with as much of an envelope as can be had."""
    body_start, envelope = 0, EMPTY_ENVELOPE
    try:
        body_start = header_end_at(message)
        # So few octets hold no more fields than the budget has; the line that they end in is left.
        start = message[: min(body_start, MAX_FIELDS)]
        fields, _ = read_header(start[: start.rfind(b"\n") + 1], 0, MESSAGE_FIELDS, Budget())
        envelope = render_envelope(fields, Budget())
    except GatewayError:
        raise
    except Exception as error:
        note = f"{note}; the envelope failed: {type(error).__name__}"
    lines = message.count(b"\n", body_start, len(message))
    encoding = {b"content-transfer-encoding": b"8bit"}
    root = Part(0, body_start, len(message), encoding, TEXT_PLAIN, lines)
    body, body_structure = render_body(root, Budget())
    return MessageSummary(envelope, body, body_structure, part_spans(root), note)


def part_spans(root: Part) -> dict[str, PartSpan]:
    """Spans by IMAP part path (RFC 3501 section 6.4.5), in the order of the message.

    A message that is no multipart has its text as part 1; the message inside part N is ``N.MSG``.
    """
    whole = _span(root)
    spans: dict[str, PartSpan] = {"": whole}
    waiting = _numbered(root, "")
    while waiting:
        part, path = waiting.pop()
        spans[path] = whole if part is root else _span(part)
        if part.is_multipart:
            waiting += _numbered(part, f"{path}.")
        elif part.is_message:
            (message,) = part.children
            spans[f"{path}.MSG"] = _span(message)
            waiting += _numbered(message, f"{path}.")
    return spans


def _numbered(part: Part, prefix: str) -> list[tuple[Part, str]]:
    """A multipart's parts, or the one part of anything else; the last one first."""
    children = part.children if part.is_multipart else (part,)
    return [(children[index], f"{prefix}{index + 1}") for index in reversed(range(len(children)))]


def _span(part: Part) -> PartSpan:
    media = part.media
    return PartSpan(
        part.header_start,
        part.body_start,
        part.body_end,
        f"{media.main.decode('ascii')}/{media.sub.decode('ascii')}",
        _name(media.parameter(b"charset")),
        _name(encoding_of(part)),
    )


def _name(octets: bytes | None) -> str:
    if not octets or not _PLAIN_NAME.fullmatch(octets):
        return ""
    return octets.decode("ascii").lower()


# -- storage


def encode(summary: MessageSummary) -> bytes:
    """The summary as octets for the index; ``decode`` is its inverse."""
    note = summary.note.encode("utf-8", "replace")
    spans = "\n".join(
        f"{path}\t{span.header_start}\t{span.body_start}\t{span.body_end}"
        f"\t{span.content_type}\t{span.charset}\t{span.encoding}"
        for path, span in summary.parts.items()
    ).encode("ascii")
    preview = summary.preview.encode("utf-8", "replace")
    texts = (summary.envelope, summary.body, summary.body_structure, note, preview)
    content = b"".join((_LENGTHS.pack(*map(len, texts)), *texts, spans))
    return _HEAD.pack(_VERSION, zlib.crc32(content)) + content


def decode(data: bytes) -> MessageSummary:
    """A summary from what ``encode`` wrote.

    Raises:
        ValueError: damaged, or of another version: compute it again from the message.
    """
    try:
        version, checksum = _HEAD.unpack_from(data)
    except struct.error as error:
        raise ValueError("not a summary") from error
    if version != _VERSION or zlib.crc32(memoryview(data)[_HEAD.size :]) != checksum:
        raise ValueError("not a summary of this version, or damaged")
    fields: list[bytes] = []
    position = _HEAD.size + _LENGTHS.size
    for length in _LENGTHS.unpack_from(data, _HEAD.size):
        fields.append(data[position : position + length])
        position += length
    envelope, body, body_structure, note, preview = fields
    parts = _StoredParts(data[position:])
    return MessageSummary(
        envelope, body, body_structure, parts, note.decode("utf-8"), preview.decode("utf-8")
    )


class _StoredParts(Mapping[str, PartSpan]):
    """Spans as stored, each parsed when asked for: listing a mailbox needs one or none of them."""

    __slots__ = ("_lines", "_octets")

    def __init__(self, octets: bytes) -> None:
        self._octets = octets
        self._lines: dict[str, str] | None = None

    def _by_path(self) -> dict[str, str]:
        if self._lines is None:
            lines = self._octets.decode("ascii").split("\n") if self._octets else ()
            self._lines = {line.partition("\t")[0]: line for line in lines}
        return self._lines

    def __getitem__(self, path: str) -> PartSpan:
        _, header_start, body_start, body_end, *names = self._by_path()[path].split("\t")
        return PartSpan(int(header_start), int(body_start), int(body_end), *names)

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_path())

    def __len__(self) -> int:
        return len(self._by_path())

    def __repr__(self) -> str:
        return f"_StoredParts({dict(self)!r})"
