"""Messages while they arrive: in memory up to 1 MiB, then in a file of their own.

Owns ``IncomingBody`` of the store and the step that makes a large one durable under its final name
(write, fdatasync, rename, directory sync: SECURITY D3). Memory per body is bounded by
``MEMORY_OCTETS``. A failing disk is remembered and raised when the body is accepted.

A file has no header: its blocks' checksums, and octets put before it, are kept in the index.
"""

from __future__ import annotations

import contextlib
import os
import struct
import uuid
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from twisted.internet.defer import Deferred

from gateway.core.errors import StoreUnavailable
from gateway.store.files import Files, store_error, unlink_quietly, write_all
from gateway.store.layout import Layout

MEMORY_OCTETS = 1024 * 1024
BLOCK_OCTETS = 256 * 1024
"""Checksummed unit of a large message's file, so that a partial read is checked as well."""


InThread = Callable[[Callable[[], bytes]], Deferred[bytes]]


@dataclass(slots=True)
class Payload:
    """Octets on their way into the store: a segment record, or a file with a head before it.

    The committer fills in where a record was put.
    """

    octets: bytes = b""
    head: bytes = b""
    file_name: str = ""
    size_octets: int = 0
    segment_id: int = 0
    segment_offset: int = 0
    checksums: bytes = b""


class Body:
    """One arriving message. Reactor thread only, except for ``seal``."""

    __slots__ = ("_buffer", "_checksums", "_error", "_fd", "_files", "_in_thread", "_layout",
                 "_name", "_owned", "_path", "_process", "_size")  # fmt: skip

    def __init__(self, files: Files, layout: Layout, process: str, in_thread: InThread) -> None:
        self._files = files
        self._layout = layout
        self._process = process
        self._in_thread = in_thread
        self._buffer = bytearray()
        self._size = 0
        self._fd = -1
        self._name = ""
        self._path: Path | None = None
        self._checksums: list[int] = []
        self._error: OSError | None = None
        self._owned = True

    @property
    def size_octets(self) -> int:
        return self._size

    @property
    def is_large(self) -> bool:
        return bool(self._name)

    def write(self, data: bytes) -> None:
        self._size += len(data)
        if self._error is not None or not self._owned:
            return
        self._buffer += data
        if self._name or len(self._buffer) > MEMORY_OCTETS:
            try:
                self._spill()
            except OSError as error:
                self._fail(error)

    async def read(self, offset: int, length: int) -> bytes:
        if self._error is not None:
            raise store_error(self._error)
        if not self._owned:
            raise StoreUnavailable("this message body was used already")
        written = self._size - len(self._buffer)  # to the file, if there is one
        in_memory = bytes(
            self._buffer[max(0, offset - written) : max(0, offset + length - written)]
        )
        path = self._path
        if path is None or offset >= written:
            return in_memory
        count = min(length, written - offset)
        return await self._in_thread(partial(_read_file, path, offset, count)) + in_memory

    def discard(self) -> None:
        if self._owned:
            self._owned = False
            self.drop()

    # -- for the store

    def take(self) -> None:
        """The store keeps the body from now on; a later ``discard`` does nothing.

        Raises:
            StoreFull, StoreUnavailable: the disk failed while the body arrived.
        """
        if not self._owned:
            raise StoreUnavailable("this message body was used already")
        self._owned = False
        if self._error is not None:
            raise store_error(self._error)

    def take_octets(self) -> bytes:
        """All octets of a small body that was taken."""
        buffer, self._buffer = self._buffer, bytearray()
        return bytes(buffer)

    def seal(self, head: bytes) -> Payload:
        """Make a large body that was taken durable under its final name. Not the reactor's thread.

        Raises:
            StoreFull, StoreUnavailable: nothing is left of it then.
        """
        assert self._path is not None
        try:
            while self._buffer:
                self._write_block()
            self._files.fdatasync(self._fd)
            fd, self._fd = self._fd, -1
            self._files.close(fd)
            target = self._layout.large / self._name
            self._files.rename(self._path, target)
            self._path = target
            self._files.sync_directory(self._layout.large)
        except OSError as error:
            self.drop()
            raise store_error(error) from error
        return Payload(
            head=head,
            file_name=self._name,
            size_octets=len(head) + self._size,
            checksums=struct.pack(f">{len(self._checksums)}I", *self._checksums),
        )

    def _spill(self) -> None:
        if not self._name:
            self._name = f"{self._process}.{uuid.uuid4().hex}"
            path = self._layout.incoming / self._name
            self._fd = self._files.create(path)
            self._path = path
        while len(self._buffer) >= BLOCK_OCTETS:
            self._write_block()

    def _write_block(self) -> None:
        block = bytes(self._buffer[:BLOCK_OCTETS])
        del self._buffer[:BLOCK_OCTETS]
        write_all(self._files, self._fd, block)
        self._checksums.append(zlib.crc32(block))

    def _fail(self, error: OSError) -> None:
        self._error = error
        self.drop()

    def drop(self) -> None:
        """Forget octets and file."""
        self._buffer = bytearray()
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            with contextlib.suppress(OSError):
                self._files.close(fd)
        if self._path is not None:
            path, self._path = self._path, None
            unlink_quietly(self._files, path)


def _read_file(path: Path, offset: int, count: int) -> bytes:
    # A descriptor of its own: that of the body is closed when its client goes, and the number may
    # then belong to another file.
    try:
        with path.open("rb", buffering=0) as file:
            return os.pread(file.fileno(), count, offset)
    except OSError as error:
        raise store_error(error) from error


@dataclass(slots=True)
class Bodies:
    """Makes bodies, and turns taken ones into payloads.

    Args:
        process: begins the names of the files (``presence``).
        in_thread: runs what reads a large one while it arrives.
    """

    files: Files
    layout: Layout
    process: str
    in_thread: InThread

    def open(self) -> Body:
        return Body(self.files, self.layout, self.process, self.in_thread)

    def abandon(self, payloads: list[Payload]) -> None:
        """Remove files of large bodies whose acceptance was refused before any commit."""
        for payload in payloads:
            if payload.file_name:
                unlink_quietly(self.files, self.layout.large / payload.file_name)
