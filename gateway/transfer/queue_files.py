"""Queued messages as files: one each with its envelope beside it, or all of them in one mbox.

Owns the files' form and that nothing is ever overwritten. A ``.eml`` is the message octet by octet
as it would leave; its ``.json`` is written after it, so where that is, both are whole. In an mbox
(mboxrd, line feeds) the envelope stands in lines of the header; a message's own lines of these
names are left out, as whoever sends the file on would take them for ours.

Files are for their owner alone, as they hold who gets blind copies. ``keep`` returns when all that
was added survives a power cut; what is added after it may be lost with the power.

Limits: header lines of an mbox are gathered in memory, a message's octets at most.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from gateway.core.errors import GatewayError
from gateway.transfer.mbox_target import quoted
from gateway.transfer.octets import with_lf
from gateway.transfer.own_directory import DIRECTORY_MODE, FILE_MODE, sync_directory

MBOX_NAME = "queue.mbox"

_OURS = re.compile(rb"x-queue-(id|sender|recipient|accepted):", re.IGNORECASE)
_FLAGS = os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_WRONLY


class FileThere(GatewayError):
    """A file has the name that a message would get; it is left as it is."""

    temporary = False


class QueueFiles(Protocol):
    """Takes messages. Raises: FileThere, OSError."""

    def add(self, envelope: Mapping[str, Any], chunks: Iterable[bytes]) -> None:
        """Args:
        envelope: in JSON's shape: ``id``, ``sender``, ``recipients`` with ``address``...
        chunks: of the message, lines ending in CRLF. What they raise leaves nothing behind.
        """
        ...

    def keep(self) -> None: ...

    def close(self) -> None: ...


class EmlFolder:
    """``ID.eml`` and ``ID.json`` in a directory, which is made if it is not there."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._added: list[Path] = []
        _make(directory)

    def add(self, envelope: Mapping[str, Any], chunks: Iterable[bytes]) -> None:
        text = json.dumps(envelope, indent=2, ensure_ascii=False).encode("utf-8", "replace")
        self._write(f"{envelope['id']}.eml", chunks)
        try:
            self._write(f"{envelope['id']}.json", [text + b"\n"])
        except BaseException:
            self._added.pop().unlink()
            raise

    def keep(self) -> None:
        for path in self._added:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(fd)
            finally:
                os.close(fd)
        self._added.clear()
        sync_directory(self._directory)

    def close(self) -> None:
        return

    def _write(self, name: str, chunks: Iterable[bytes]) -> None:
        path = self._directory / name
        file = _new(path)
        try:
            with file:
                for chunk in chunks:
                    file.write(chunk)
        except BaseException:
            path.unlink()
            raise
        self._added.append(path)


class MboxOfQueue:
    """One file in a directory, which is made if it is not there."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        _make(directory)
        self._file = _new(directory / MBOX_NAME)

    def add(self, envelope: Mapping[str, Any], chunks: Iterable[bytes]) -> None:
        start = self._file.tell()
        try:
            for piece in _in_mbox(envelope, with_lf(chunks)):
                self._file.write(piece)
        except BaseException:
            self._file.seek(start)
            self._file.truncate()
            raise

    def keep(self) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())
        sync_directory(self._directory)

    def close(self) -> None:
        self._file.close()


def _make(directory: Path) -> None:
    if not directory.exists():
        directory.mkdir(DIRECTORY_MODE)
        sync_directory(directory.parent)


def _new(path: Path) -> BinaryIO:
    try:
        return os.fdopen(os.open(path, _FLAGS, FILE_MODE), "wb")
    except FileExistsError:
        raise FileThere(f"{path} is there already, and nothing is overwritten") from None


def _in_mbox(envelope: Mapping[str, Any], chunks: Iterator[bytes]) -> Iterator[bytes]:
    sender = str(envelope["sender"]).strip("<>")
    if not sender or any(one.isspace() for one in sender):
        sender = "MAILER-DAEMON"
    date = time.asctime(time.gmtime(envelope["created_at"]))
    yield f"From {sender} {date} +0000\n".encode("utf-8", "replace")
    lines = [f"X-Queue-Id: {envelope['id']}", f"X-Queue-Sender: {envelope['sender']}"]
    lines += [f"X-Queue-Recipient: <{each['address']}>" for each in envelope["recipients"]]
    lines.append(f"X-Queue-Accepted: {date} +0000")
    yield "".join(f"{_one_line(line)}\n" for line in lines).encode("utf-8", "replace")
    header, body = _header_of(chunks)
    yield from quoted(iter([b"".join(_without_ours(header)), b"\n"]))
    yield from quoted(chain([body], chunks))
    yield b"\n"


def _one_line(text: str) -> str:
    return "".join(one if one.isprintable() else "?" for one in text)


def _header_of(chunks: Iterator[bytes]) -> tuple[Sequence[bytes], bytes]:
    """The lines of the header, and what was read of the body."""
    start = b""
    for chunk in chunks:
        start += chunk
        if start.startswith(b"\n") or b"\n\n" in start:
            break
    if start.startswith(b"\n"):
        return [], start[1:]
    header, _, body = start.partition(b"\n\n")
    return header.split(b"\n") if header else [], body


def _without_ours(lines: Sequence[bytes]) -> Iterator[bytes]:
    is_ours = False
    for line in lines:
        if line[:1] not in (b" ", b"\t"):
            is_ours = _OURS.match(line) is not None
        if not is_ours:
            yield line.removesuffix(b"\n") + b"\n"
