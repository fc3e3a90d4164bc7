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
BLANK_OCTETS = 4 * 1024  # between two messages; more would be looked at again for each message

# "From sender Www Mmm dd hh:mm:ss [zone] yyyy [zone]"; Thunderbird writes "From - " or nothing
# behind the word. A line of text that begins so lacks the time of day and the year.
_TIME_AND_YEAR = re.compile(rb"From .*\d{1,2}:\d\d.*\b\d{4}\b")
_BARE = re.compile(rb"From (?:-?\s*)\Z")
_DATE = re.compile(
    r"[A-Z][a-z]{2},? +([A-Z][a-z]{2}) +(\d{1,2}),? +(\d{1,2}:\d\d(?::\d\d)?)"
    r"((?: +[A-Z+-][A-Z0-9]*)*) +(\d{4})((?: +[A-Z+-][A-Z0-9]*)*)"
)
_FROM = b"From "
_QUOTED = re.compile(rb"^>(>*From )", re.MULTILINE)
_QUOTED_ONCE = re.compile(rb"^>(From )", re.MULTILINE)


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
    """Reads ahead by one line: the separator of the next message.

    Works on large blocks, as Python is slow at single lines.
    """

    def __init__(self, file: IO[bytes], end: int, dialect: Dialect) -> None:
        self._file = file
        self._end = end
        self._dialect = dialect
        self._block = b""
        self._position = 0
        self._read_to = file.tell()

    @property
    def _at(self) -> int:
        """The file's offset of what comes next."""
        return self._read_to - len(self._block) + self._position

    def messages(self) -> Iterator[RawMessage]:
        line = self._line_with_text()
        while is_separator(line):
            from_line = line
            header, line, is_complete = self._header()
            content: IO[bytes] = tempfile.SpooledTemporaryFile(SPOOL_OCTETS)  # noqa: SIM115 - the caller's
            length = _content_length(header) if is_complete else None
            if length is not None and self._ends_at(length):
                self._copy(content, length)
                line = self._line_with_text()
            else:
                line = self._until_separator(content, line, is_complete)
            content.seek(0)
            yield RawMessage(from_line, header, content, self._at - len(line))

    # -- octets

    def _fill(self) -> bool:
        """Read on; False at the end."""
        piece = self._file.read(min(PIECE_OCTETS, self._end - self._read_to))
        self._block = self._block[self._position :] + piece
        self._position = 0
        self._read_to += len(piece)
        return bool(piece)

    def _go(self, offset: int) -> None:
        start = self._read_to - len(self._block)
        if start <= offset <= self._read_to:
            self._position = offset - start
        else:
            self._read_to = self._file.seek(offset)
            self._block, self._position = b"", 0

    def _take(self, end: int) -> bytes:
        """What is held up to an index of the block."""
        taken = self._block[self._position : end]
        self._position += len(taken)
        return taken

    # -- lines

    def _line(self) -> bytes:
        """At most LINE_OCTETS of a line; empty at the end."""
        while True:
            limit = self._position + LINE_OCTETS
            newline = self._block.find(b"\n", self._position, limit)
            if newline >= 0:
                return self._take(newline + 1)
            if len(self._block) >= limit or not self._fill():
                return self._take(self._position + LINE_OCTETS)

    def _line_with_text(self, limit: int | None = None) -> bytes:
        """The next line that is not blank, within so many octets."""
        start = self._at
        line = self._line()
        while line and not line.strip() and (limit is None or self._at - start < limit):
            line = self._line()
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

    # -- content

    def _ends_at(self, length: int) -> bool:
        """Whether a message may end so many octets from here."""
        if self._dialect in ("mboxo", "mboxrd"):
            return False
        here = self._at
        if here + length > self._end:
            return False
        self._go(here + length)
        try:
            line = self._line_with_text(BLANK_OCTETS)
            return not line or is_separator(line)
        finally:
            self._go(here)

    def _copy(self, content: IO[bytes], length: int) -> None:
        while length:
            piece = self._take(self._position + length)
            content.write(piece)
            length -= len(piece)
            if length and not self._fill():
                return

    def _until_separator(self, content: IO[bytes], line: bytes, is_complete: bool) -> bytes:
        """Copy up to the blank line before a separator, which is returned.

        Args:
            line: the content's begin, if the header did not end well.
        """
        content.write(line)
        starts_line = not line or line.endswith(b"\n")
        after_blank = is_complete
        blank = b""  # the last line that was read, if it is blank: the separator's or content
        while True:
            held = len(self._block) - self._position
            if held < LINE_OCTETS and self._fill():
                continue
            if starts_line and after_blank and self._block.startswith(_FROM, self._position):
                line = self._line()
                if is_separator(line):
                    return line
                text = line
            else:
                text = self._take(self._before_candidate())
            if not text:
                return b""
            content.write(blank)
            blank = _blank_at_the_end(text, starts_line)
            content.write(self._unquoted(text[: len(text) - len(blank)], starts_line))
            after_blank = bool(blank)
            starts_line = text.endswith(b"\n")

    def _before_candidate(self) -> int:
        """The block's index up to which no separator begins, behind a line if that is possible."""
        found = self._block.find(b"\n" + _FROM, self._position)
        if found >= 0:
            return found + 1
        if self._read_to >= self._end:
            return len(self._block)
        end = len(self._block) - len(_FROM)
        return self._block.rfind(b"\n", self._position, end) + 1 or end

    def _unquoted(self, text: bytes, starts_line: bool) -> bytes:
        if b">From " not in text or self._dialect == "mboxcl2":
            return text
        quoted = _QUOTED_ONCE if self._dialect == "mboxo" else _QUOTED
        if starts_line:
            return quoted.sub(rb"\1", text)
        rest_of_line, newline, lines = text.partition(b"\n")
        return rest_of_line + newline + quoted.sub(rb"\1", lines)


def _blank_at_the_end(text: bytes, starts_line: bool) -> bytes:
    """The last line of the text if it is blank."""
    start = text.rfind(b"\n", 0, -1) + 1
    last = text[start:]
    is_blank = last.endswith(b"\n") and not last.strip(b"\r\n") and (start or starts_line)
    return last if is_blank else b""


def _content_length(header: list[bytes]) -> int | None:
    for line in header:
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length":
            text = value.strip()
            return int(text) if text.isdigit() and len(text) < 16 else None
    return None
