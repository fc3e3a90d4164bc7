"""The octets of a message file as the store wants them: unpacked, with CRLF line ends.

Owns the conversions, all streams of bounded pieces. A message that has CRLF already comes out as it
went in. Limit: MAX_MESSAGE_OCTETS after unpacking.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import re
import zlib
from collections.abc import Iterable, Iterator
from typing import IO, Protocol

from gateway.transfer.values import MAX_MESSAGE_OCTETS, PIECE_OCTETS, MessageFailed
from gateway.wire.mime.dates import parse_date

MAX_HEADER_OCTETS = 64 * 1024
# A small file must not fill the disk: what unpacks to more than this is refused beyond a ratio that
# real messages do not reach.
USUAL_OCTETS = 64 * 1024 * 1024
MAX_RATIO = 100
XZ_MEMORY_OCTETS = 128 * 1024 * 1024

# The first octets of what Dovecot's zlib plugin writes; no message begins so.
_GZIP, _BZIP2, _XZ = b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0"
_NOT_READ = {b"\x28\xb5\x2f\xfd": "zstd", b"Dovecot-LZ4": "lz4"}
_MAGIC_OCTETS = 11
_UNPACKING = (OSError, EOFError, zlib.error, lzma.LZMAError)


class SupportsRead(Protocol):
    """A file, or what unpacks one."""

    def read(self, size: int, /) -> bytes: ...


def with_crlf(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Line feeds that stand alone become CRLF."""
    after_cr = False
    for chunk in chunks:
        if not chunk:
            continue
        if b"\n" in chunk:
            lead = b"\n" if after_cr and chunk.startswith(b"\n") else b""
            chunk = chunk[len(lead) :]
            if b"\r\n" in chunk:
                chunk = chunk.replace(b"\r\n", b"\n")
            yield lead + chunk.replace(b"\n", b"\r\n")
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
    most = max(USUAL_OCTETS, file.seek(0, os.SEEK_END) * MAX_RATIO)
    file.seek(0)
    for magic, name in _NOT_READ.items():
        if start.startswith(magic):
            raise MessageFailed(
                f"the file is compressed by {name}, which is not read here; have the old server"
                " store it uncompressed or by gzip, or import over IMAP"
            )
    if start.startswith(_GZIP):
        return _pieces(gzip.GzipFile(fileobj=file), most)
    if start.startswith(_BZIP2):
        return _pieces(bz2.BZ2File(file), most)
    if start.startswith(_XZ):
        return _bounded(_unxz(file), most)
    return _pieces(file, most)


def _pieces(reader: SupportsRead, most: int) -> Iterator[bytes]:
    return _bounded(iter(lambda: reader.read(PIECE_OCTETS), b""), most)


def _bounded(pieces: Iterator[bytes], most: int) -> Iterator[bytes]:
    octets = 0
    try:
        for piece in pieces:
            octets += len(piece)
            if octets > MAX_MESSAGE_OCTETS:
                raise MessageFailed(f"the message has more than {MAX_MESSAGE_OCTETS:,} octets")
            if octets > most:
                raise MessageFailed(f"it becomes more than {MAX_RATIO} times larger by unpacking")
            yield piece
    except _UNPACKING as error:
        raise MessageFailed(f"the file cannot be read: {error}") from error


def _unxz(file: IO[bytes]) -> Iterator[bytes]:
    """As ``lzma.LZMAFile`` does, but no file may say how much memory it takes."""
    decoder = lzma.LZMADecompressor(lzma.FORMAT_XZ, XZ_MEMORY_OCTETS)
    while not decoder.eof:
        packed = file.read(PIECE_OCTETS) if decoder.needs_input else b""
        if decoder.needs_input and not packed:
            raise EOFError("it ends too early")
        yield decoder.decompress(packed, PIECE_OCTETS)


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
