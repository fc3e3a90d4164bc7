"""Where one message of an mbox ends and the next begins, and what its lines mean.

Owns the dialects: mboxo and mboxrd (lines that begin with ``From `` are quoted by ``>``), mboxcl2
(Content-Length says where the message ends, nothing is quoted). The file is read once, in order.

Limits: a header of HEADER_OCTETS; beyond SPOOL_OCTETS a message waits on the disk.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Literal

from gateway.wire.mime.dates import parse_date

Dialect = Literal["auto", "mboxrd", "mboxo", "mboxcl2"]

HEADER_OCTETS = 1024 * 1024
SPOOL_OCTETS = 1024 * 1024
LINE_OCTETS = 64 * 1024
PIECE_OCTETS = 256 * 1024

# "From sender Www Mmm dd hh:mm:ss [zone] yyyy [zone]"; Thunderbird writes "From - " or nothing
# behind the word. A line of text that begins so lacks the time of day and the year.
_TIME_AND_YEAR = re.compile(rb"From .*\d{1,2}:\d\d.*\b\d{4}\b")
_BARE = re.compile(rb"From (?:-?\s*)\Z")
_DATE = re.compile(
    r"[A-Z][a-z]{2},? +([A-Z][a-z]{2}) +(\d{1,2}),? +(\d{1,2}:\d\d(?::\d\d)?)"
    r"((?: +[A-Z+-][A-Z0-9]*)*) +(\d{4})((?: +[A-Z+-][A-Z0-9]*)*)"
)
_QUOTED = re.compile(rb">+From ")


@dataclass(slots=True)
class RawMessage:
    """One message as the file has it; close ``content`` when done.

    Args:
        header: lines without the one that ends them, line ends as in the file.
        content: what follows the blank line, unquoted, at its first octet.
        end: the file's offset behind it.
    """

    from_line: bytes
    header: list[bytes]
    content: IO[bytes]
    end: int


def is_separator(line: bytes) -> bool:
    """Whether a line behind a blank one (or the file's first) begins a message."""
    if not line.startswith(b"From "):
        return False
    line = line.rstrip(b"\r\n")
    return bool(_TIME_AND_YEAR.match(line) or _BARE.match(line))


def separator_date(line: bytes) -> int | None:
    """The Unix time of a separator; one without a zone is UTC (RFC 4155)."""
    found = _DATE.search(line.decode("latin-1"))
    if found is None:
        return None
    month, day, clock, before, year, behind = found.groups()
    zones = (before + behind).split()
    numeric = [zone for zone in zones if zone[0] in "+-"]
    zone = (numeric or zones or ["+0000"])[0]
    date = parse_date(f"{day} {month} {year} {clock} {zone}")
    return None if date is None else int(date.timestamp())


def split(file: IO[bytes], end: int, dialect: Dialect) -> Iterator[RawMessage]:
    """All messages up to the offset ``end``; nothing if the file begins like no mbox.

    Raises: OSError.
    """
    return _Splitter(file, end, dialect).messages()


class _Splitter:
    """Reads ahead by one line: the separator of the next message."""

    def __init__(self, file: IO[bytes], end: int, dialect: Dialect) -> None:
        self._file = file
        self._end = end
        self._dialect = dialect
        self._at = file.tell()  # counted, as asking for each line takes longer than reading it

    def messages(self) -> Iterator[RawMessage]:
        line = self._line()
        while line and not line.strip():
            line = self._line()
        while is_separator(line):
            from_line = line
            header, line, is_complete = self._header()
            content: IO[bytes] = tempfile.SpooledTemporaryFile(SPOOL_OCTETS)  # noqa: SIM115 - the caller's
            length = _content_length(header) if is_complete else None
            if length is not None and self._ends_at(length):
                self._copy(content, length)
                line = self._line()
                while line and not line.strip():
                    line = self._line()
            else:
                line = self._until_separator(content, line, is_complete)
            content.seek(0)
            yield RawMessage(from_line, header, content, self._at - len(line))

    def _line(self) -> bytes:
        """At most LINE_OCTETS of a line; empty at the end."""
        line = self._file.readline(max(0, min(LINE_OCTETS, self._end - self._at)))
        self._at += len(line)
        return line

    def _header(self) -> tuple[list[bytes], bytes, bool]:
        """Lines, the line behind them if they do not end well, and whether a blank one came."""
        lines: list[bytes] = []
        octets = 0
        while True:
            line = self._line()
            if not line or not line.rstrip(b"\r\n"):
                return lines, b"", bool(line)
            octets += len(line)
            if octets > HEADER_OCTETS:
                return lines, line, False
            lines.append(line)

    def _ends_at(self, length: int) -> bool:
        """Whether a message may end so many octets from here."""
        if self._dialect in ("mboxo", "mboxrd"):
            return False
        here = self._at
        if here + length > self._end:
            return False
        self._at = self._file.seek(here + length)
        try:
            line = self._line()
            while line and not line.strip():
                line = self._line()
            return not line or is_separator(line)
        finally:
            self._at = self._file.seek(here)

    def _copy(self, content: IO[bytes], length: int) -> None:
        while length:
            piece = self._file.read(min(length, PIECE_OCTETS))
            if not piece:
                return
            content.write(piece)
            length -= len(piece)
            self._at += len(piece)

    def _until_separator(self, content: IO[bytes], line: bytes, is_complete: bool) -> bytes:
        """Copy up to the blank line before a separator, which is returned."""
        lines = bytearray(line)
        starts_line = not line or line.endswith(b"\n")
        blank = b"\n" if is_complete else b""  # the one that ended the header: it is not content
        held = b""
        while line := self._line():
            if starts_line and (held or blank) and is_separator(line):
                break
            lines += held
            held = blank = b""
            if starts_line and not line.rstrip(b"\r\n"):
                held = line
            else:
                lines += self._unquoted(line) if starts_line else line
            starts_line = line.endswith(b"\n")
            if len(lines) > PIECE_OCTETS:
                content.write(lines)
                lines.clear()
        content.write(lines)
        return line

    def _unquoted(self, line: bytes) -> bytes:
        if self._dialect == "mboxcl2" or not line.startswith(b">"):
            return line
        if self._dialect == "mboxo":
            return line[1:] if line.startswith(b">From ") else line
        return line[1:] if _QUOTED.match(line) else line


def _content_length(header: list[bytes]) -> int | None:
    for line in header:
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length":
            text = value.strip()
            return int(text) if text.isdigit() and len(text) < 16 else None
    return None
