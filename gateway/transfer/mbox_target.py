"""An account as mbox files (mboxrd): one file a mailbox, what is below it in ``NAME.sbd``.

Owns the quoting, and the header lines in which mbox programs keep flags and UIDs. Such lines of a
message's own are left out, as they would be taken for ours.

A file only grows: how far it is whole is in the export's marker, so that what an interruption left
behind that is cut off by the next run. A file that somebody else changed is not touched.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from gateway.core.ids import AccountId
from gateway.core.mailboxes import SEPARATOR, Mailbox
from gateway.transfer.exporting import OutgoingMessage, TargetFailed
from gateway.transfer.mbox import STATE
from gateway.transfer.octets import with_lf
from gateway.transfer.own_directory import (
    DIRECTORY_MODE,
    FILE_MODE,
    OwnDirectory,
    fitted_part,
    sync_directory,
)

HEADER_OCTETS = 1024 * 1024
LINE_OCTETS = 64 * 1024

_FROM = re.compile(rb"^(>*From )", re.MULTILINE)
_RETURN_PATH = re.compile(rb"return-path:[ \t]*<([!-~]+)>", re.IGNORECASE)
_STATUS = (("\\Answered", "A"), ("\\Flagged", "F"), ("\\Draft", "T"), ("\\Deleted", "D"))


class MboxTarget:
    """Keeps the port Target."""

    def __init__(self, path: Path) -> None:
        self._own = OwnDirectory(path, "mbox")

    def begin(self, account_id: AccountId) -> None:
        self._own.begin(account_id)

    def open(self, mailbox: Mailbox) -> MboxFile:
        parts = ["_" + part if part.startswith(".") else part
                 for part in mailbox.name.split(SEPARATOR)]  # fmt: skip
        # What ends so is a directory, of what is below another mailbox.
        parts = [fitted_part(f"{part}_" if part.endswith(".sbd") else part) for part in parts]
        wanted = ".sbd/".join(parts)
        place = self._own.place_of(mailbox, wanted)
        path = self._own.path / place
        for directory in reversed(path.parents):
            if directory.is_relative_to(self._own.path) and not directory.exists():
                directory.mkdir(DIRECTORY_MODE)
                sync_directory(directory.parent)
        return MboxFile(path, place, mailbox, self._own)

    def finish(self, subscribed: Sequence[str]) -> None:
        return


class MboxFile:
    """Keeps the port TargetFolder."""

    def __init__(self, path: Path, place: str, mailbox: Mailbox, own: OwnDirectory) -> None:
        self.place = place
        self._path = path
        self._mailbox = mailbox
        self._own = own
        self._state: dict[str, Any] = own.state["state"].setdefault(
            place, {"uid_validity": mailbox.uid_validity, "last_uid": 0, "size": 0, "grows": True}
        )
        if self._state["uid_validity"] != mailbox.uid_validity:
            raise TargetFailed(f"{path} was another mailbox then; export to a new directory")
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, FILE_MODE)
        self._file: BinaryIO = os.fdopen(fd, "r+b")
        size = os.fstat(fd).st_size
        if size < self._state["size"] or (size > self._state["size"] and not self._state["grows"]):
            self._file.close()
            raise TargetFailed(f"{path} has been changed since; export to a new directory")
        self._state["grows"] = True
        own.save()
        self._file.truncate(self._state["size"])
        self._file.seek(self._state["size"])
        sync_directory(path.parent)

    def present(self) -> Collection[int]:
        return range(self._state["last_uid"] + 1)

    def add(self, message: OutgoingMessage, chunks: Iterable[bytes]) -> None:
        start = self._file.tell()
        try:
            for piece in self._rendered(message, with_lf(chunks)):
                self._file.write(piece)
        except BaseException:
            self._file.truncate(start)
            self._file.seek(start)
            raise
        self._state["last_uid"] = message.uid

    def finish(self) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())
        self._state |= {"size": self._file.tell(), "grows": False}
        self._own.save()

    def left_out(self) -> str:
        return ""

    def close(self) -> None:
        self._file.close()

    def _rendered(self, message: OutgoingMessage, chunks: Iterator[bytes]) -> Iterator[bytes]:
        start = b""
        for chunk in chunks:
            start += chunk
            if b"\n\n" in start or start.startswith(b"\n") or len(start) > HEADER_OCTETS:
                break
        if start.startswith(b"\n"):
            header, body = b"", start[1:]
        else:
            header, _, body = start.partition(b"\n\n")
        sender = _RETURN_PATH.match(header)
        date = time.asctime(time.gmtime(message.internal_date)).encode("ascii")
        yield b"From %b %b +0000\n" % (sender[1] if sender else b"MAILER-DAEMON", date)
        kept = _without_state(header)
        yield from quoted(iter([kept + b"\n" if kept else b""]))
        yield self._state_lines(message, is_first=not self._state["last_uid"])
        yield b"\n"
        yield from quoted(_chained(body, chunks))
        yield b"\n"

    def _state_lines(self, message: OutgoingMessage, *, is_first: bool) -> bytes:
        flags = {flag.casefold() for flag in message.flags}
        lines = ["Status: " + ("R" if "\\seen" in flags else "") + "O"]
        marks = "".join(letter for flag, letter in _STATUS if flag.casefold() in flags)
        if marks:
            lines.append(f"X-Status: {marks}")
        keywords = sorted(flag for flag in message.flags if not flag.startswith("\\"))
        if keywords:
            lines.append("X-Keywords: " + " ".join(keywords))
        if is_first:
            last = self._mailbox.uid_next - 1
            lines.append(f"X-IMAPbase: {self._mailbox.uid_validity:010d} {last:010d}")
        lines.append(f"X-UID: {message.uid}")
        return "".join(f"{line}\n" for line in lines).encode("ascii", "replace")


def _chained(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest


def _without_state(header: bytes) -> bytes:
    kept: list[bytes] = []
    is_state = False
    for line in header.split(b"\n"):
        if line[:1] not in (b" ", b"\t"):
            is_state = STATE.match(line) is not None
        if not is_state:
            kept.append(line)
    return b"\n".join(kept)


def quoted(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Lines that begin with ``From ``, quoted or not, get one more ``>``; the last one ends."""
    held = b""
    in_line = False
    last = b"\n"
    for chunk in chunks:
        held += chunk
        if in_line:
            end, found, held = held.partition(b"\n")
            yield end + found
            last = found or end or last
            in_line = not found
        whole, newline, held = held.rpartition(b"\n")
        if newline:
            yield _FROM.sub(rb">\1", whole + newline)
            last = newline
        if len(held) > LINE_OCTETS:
            yield _FROM.sub(rb">\1", held)
            last, held, in_line = held[-1:], b"", True
    if held:
        yield held if in_line else _FROM.sub(rb">\1", held)
        last = held[-1:]
    if last[-1:] != b"\n":
        yield b"\n"
