"""The octets of a message file as the store wants them: unpacked, with CRLF line ends.

Owns the conversions, all streams of bounded pieces. A message that has CRLF already comes out as it
went in. Limit: MAX_MESSAGE_OCTETS after unpacking.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import re
import zlib
from collections.abc import Iterable, Iterator
from typing import IO, cast

from gateway.transfer.values import MAX_MESSAGE_OCTETS, PIECE_OCTETS, MessageFailed
from gateway.wire.mime.dates import parse_date

MAX_HEADER_OCTETS = 64 * 1024

_LONE_LF = re.compile(rb"(?<!\r)\n")
# The first octets of what Dovecot's zlib plugin writes; no message begins so.
_GZIP, _BZIP2, _XZ = b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0"
_NOT_READ = {b"\x28\xb5\x2f\xfd": "zstd", b"Dovecot-LZ4": "lz4"}
_MAGIC_OCTETS = 11
_UNPACKING = (OSError, EOFError, zlib.error, lzma.LZMAError)


def with_crlf(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Line feeds that stand alone become CRLF."""
    after_cr = False
    for chunk in chunks:
        if not chunk:
            continue
        if b"\n" in chunk:
            lead = b"\n" if after_cr and chunk.startswith(b"\n") else b""
            yield lead + _LONE_LF.sub(b"\r\n", chunk[len(lead) :])
        else:
            yield chunk
        after_cr = chunk.endswith(b"\r")


def with_lf(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """CRLF becomes a line feed, as files have it."""
    held = b""
    for chunk in chunks:
        chunk = held + chunk
        held = b"\r" if chunk.endswith(b"\r") else b""
        yield chunk[: len(chunk) - len(held)].replace(b"\r\n", b"\n")
    if held:
        yield held


def unpacked(file: IO[bytes]) -> Iterator[bytes]:
    """What a message's file holds, whatever it was packed by.

    Raises: MessageFailed (damaged, too large, or packed by what is not read here), OSError.
    """
    start = file.read(_MAGIC_OCTETS)
    file.seek(0)
    for magic, name in _NOT_READ.items():
        if start.startswith(magic):
            raise MessageFailed(
                f"the file is compressed by {name}, which is not read here; have the old server"
                " store it uncompressed or by gzip, or import over IMAP"
            )
    if start.startswith(_GZIP):
        return _pieces(cast("IO[bytes]", gzip.GzipFile(fileobj=file)))
    if start.startswith(_BZIP2):
        return _pieces(cast("IO[bytes]", bz2.BZ2File(file)))
    if start.startswith(_XZ):
        return _pieces(cast("IO[bytes]", lzma.LZMAFile(file)))
    return _pieces(file)


def _pieces(file: IO[bytes]) -> Iterator[bytes]:
    octets = 0
    while True:
        try:
            piece = file.read(PIECE_OCTETS)
        except _UNPACKING as error:
            raise MessageFailed(f"the file cannot be read: {error}") from error
        if not piece:
            return
        octets += len(piece)
        if octets > MAX_MESSAGE_OCTETS:
            raise MessageFailed(f"the message has more than {MAX_MESSAGE_OCTETS} octets")
        yield piece


def header_date(header: bytes) -> int | None:
    """When the message arrived by its topmost Received line, or was written by its Date line."""
    text = header.replace(b"\r\n", b"\n").partition(b"\n\n")[0].decode("utf-8", "replace")
    fields: dict[str, str] = {}
    for field in re.sub(r"\n[ \t]+", " ", text).split("\n"):
        name, _, value = field.partition(":")
        fields.setdefault(name.strip().lower(), value)
    received = fields.get("received", "").rpartition(";")[2]
    for value in (received, fields.get("date", "")):
        date = parse_date(value) if value else None
        if date is not None:
            return int(date.timestamp())
    return None
