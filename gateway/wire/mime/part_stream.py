"""A message's parts rewritten while it streams past: found here, converted by whoever knows how.

Owns finding the parts. Headers and delimiters are read as ``structure`` reads them, so that what
comes out has the same parts, but lines end in CRLF only: binary content may hold anything else.
Never decodes, never decides what becomes of a part, and never judges lines that are too long.

Limits: a header is held until its end, ``header_octets`` at most, and of a body what may be the
beginning of a delimiter; nesting, parts, fields and lines like delimiters by ``budget``. Linear,
and the same whatever pieces the octets come in.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from gateway.wire.mime.budget import MAX_DEPTH, Budget, Overrun
from gateway.wire.mime.part_rewriting import Encoder, Place, Rewriting, Unconvertible
from gateway.wire.mime.structure import MAX_BOUNDARY_OCTETS

MAX_DELIMITER_OCTETS = MAX_BOUNDARY_OCTETS + 128
"""Of a delimiter line with its hyphens and the blanks that transport may have added."""

_FIELD_START = re.compile(rb"[!-9;-~]*+[ \t]*+:")
_MBOX_START = re.compile(rb">?From ")


@dataclass(slots=True)
class _Open:
    """A multipart or a message/rfc822 whose end has not been found.

    Args:
        boundary: empty for a message, and once the multipart was closed.
        subtype: of a multipart; empty for a message.
        signed: its octets are under a signature.
        parts: that have begun.
    """

    boundary: bytes
    subtype: bytes
    signed: bool
    parts: int = 0


class _Delimiter(NamedTuple):
    """Where its line ends, the multipart it belongs to, and whether it closes that."""

    end: int
    owner: int
    closing: bool


_NONE = _Delimiter(0, -1, False)


class PartStream:
    """Stands between who reads a message and who gets it converted.

    Args:
        write: takes the converted octets in pieces; called no more once there is a ``problem``.
        header_octets: limit for the header of the message and of each part.
    """

    __slots__ = (
        "_active", "_at", "_budget", "_ended", "_foldable", "_fresh", "_header_octets",
        "_in_header", "_leaf", "_leaf_tail", "_line", "_pending_cr", "_rewriting", "_searched",
        "_stack", "_text", "_write", "problem",
    )  # fmt: skip

    def __init__(
        self, write: Callable[[bytes], None], header_octets: int, rewriting: Rewriting
    ) -> None:
        self._write = write
        self._rewriting = rewriting
        self._header_octets = header_octets
        self._budget = Budget()
        self._stack: list[_Open] = []
        self._active: dict[bytes, int] = {}  # boundary to the index of the innermost that has it
        self._text = bytearray()
        self._at = 0  # octets before this are done with
        self._in_header = True
        self._foldable = False  # the next line of the header may continue a field
        self._line = 0  # of the header, where the line begins that is looked at
        self._searched = 0  # no end of that line begins before this
        self._fresh = False  # the body begins here, so that a delimiter needs no CRLF before it
        self._leaf: Encoder | None = None  # that is being encoded
        self._leaf_tail = b""  # of what it gave so far
        self._pending_cr = False
        self._ended = False
        self.problem: Unconvertible | None = None
        """Why the message cannot be converted, as soon as that is known."""

    def write(self, data: bytes) -> None:
        """The next octets of the message."""
        if self.problem is not None:
            return
        self._text += data
        try:
            while self._read_header() if self._in_header else self._read_body():
                pass
        except Unconvertible as problem:
            self._give_up(problem)
        except Overrun as error:
            self._give_up(Unconvertible(f"The message is too complex: it has {error}"))
        at = self._at
        del self._text[:at]
        self._at, self._line, self._searched = 0, self._line - at, self._searched - at

    def end(self) -> None:
        """No more comes; what was held goes on."""
        self._ended = True
        self.write(b"")
        if self.problem is not None:
            return
        try:
            if self._pending_cr:
                self._rewriting.loose_end()
            if self._leaf is not None:
                rest = self._leaf.end()
                if not (rest or self._leaf_tail).endswith(b"\r\n"):
                    rest += b"\r\n"  # lines end in CRLF, the last one too
                self._emit(rest)
        except Unconvertible as problem:
            self._give_up(problem)

    def _give_up(self, problem: Unconvertible) -> None:
        self.problem = problem
        self._text, self._at, self._leaf = bytearray(), 0, None

    # -- headers

    def _read_header(self) -> bool:
        """Look at line after line up to the end; False: more must come first."""
        text = self._text
        while True:
            end = text.find(b"\r\n", self._searched)
            next_line = end + 2
            if end < 0:
                if len(text) - self._at > self._header_octets:
                    break
                if not self._ended:
                    self._searched = max(self._line, len(text) - 1)
                    return False
                end = next_line = len(text)
            if next_line - self._at > self._header_octets:
                break
            line = self._line
            if end == line:
                self._open(line, next_line)
                return True
            if self._active and text.startswith(b"--", line):
                delimiter = self._delimiter(text[line:end], next_line)
                if delimiter is not _NONE:
                    if line > self._at:
                        self._open(line, line)  # the line is met again as the body's first
                    else:
                        self._delimit(line, delimiter)
                    return True
            if not self._is_header(line, end):
                # It opens the body, so that no octet is lost (as ``headers`` has it).
                self._open(line, line)
                return True
            self._budget.spend_fields(1)
            self._line = self._searched = next_line
        raise Unconvertible("The header of the message or of a part is larger than allowed here")

    def _is_header(self, line: int, end: int) -> bool:
        """A field, a continuation of one, or the line that mailbox files put before a message."""
        text = self._text
        if line == self._at:
            self._foldable = False
            if _MBOX_START.match(text, line, end) is not None:
                return True
        if _FIELD_START.match(text, line, end) is not None:
            self._foldable = True
            return True
        return self._foldable and text[line] in b" \t"

    def _open(self, header_end: int, body_start: int) -> None:
        """A part begins, and its header is there."""
        self._budget.spend_part()
        block = bytes(self._text[self._at : header_end])
        empty_line = bytes(self._text[header_end:body_start])
        self._at = self._line = self._searched = body_start
        parent = self._stack[-1] if self._stack else _Open(b"", b"", False)
        signed = parent.signed or (parent.subtype == b"signed" and not parent.parts)
        parent.parts += 1
        place = Place(signed, parent.subtype == b"digest", not parent.subtype)
        header = self._rewriting.header(block, place)
        if header.encoder is not None and header.block.endswith(b"\n"):
            # Where the body begins without an empty line, not all readers agree what it is.
            empty_line = b"\r\n"
        self._pass(header.block + empty_line)
        self._fresh = True
        self._in_header = header.wraps
        self._leaf = header.encoder
        self._leaf_tail = b""
        if header.wraps:
            self._push(_Open(b"", b"", signed))
        elif header.media.main == b"multipart":
            boundary = (header.media.parameter(b"boundary") or b"").rstrip()
            if 0 < len(boundary) <= MAX_BOUNDARY_OCTETS:  # else no parts are to be found in it
                self._push(_Open(boundary, header.media.sub, signed))

    def _push(self, opened: _Open) -> None:
        if len(self._stack) >= MAX_DEPTH:
            raise Overrun(f"parts nested deeper than {MAX_DEPTH}")
        self._stack.append(opened)
        if opened.boundary:
            self._active[opened.boundary] = len(self._stack) - 1

    # -- bodies

    def _read_body(self) -> bool:
        """Pass octets on up to a delimiter; False: more must come first."""
        text = self._text
        search = self._at
        if not self._active:
            self._content(len(text))
            return False
        while True:
            if self._fresh:
                found = line = self._at
                if not text.startswith(b"--", line):
                    if b"--".startswith(bytes(text[line : line + 2])) and not self._ended:
                        return False
                    self._fresh = False
                    continue
            else:
                found = text.find(b"\r\n--", search)
                if found < 0:
                    self._content(len(text) if self._ended else max(self._at, len(text) - 3))
                    return False
                line = found + 2
            try:
                delimiter = self._delimiter_at(line)
            except (Unconvertible, Overrun):
                self._content(found)  # what came first is the reason, whatever the pieces
                raise
            if delimiter is None:
                self._content(found)
                return False
            self._fresh = False
            if delimiter is not _NONE:
                self._content(found)
                self._delimit(found, delimiter)
                return True
            search = line

    def _content(self, end: int) -> None:
        """Octets of a body, up to this offset."""
        if end > self._at:
            octets = bytes(self._text[self._at : end])
            self._at = end
            if self._leaf is None:
                self._pass(octets)
            else:
                encoded = self._leaf.feed(octets)
                self._leaf_tail = encoded[-2:] or self._leaf_tail
                self._emit(encoded)

    def _emit(self, octets: bytes) -> None:
        if octets:
            self._write(octets)

    def _pass(self, octets: bytes) -> None:
        """Octets that stay as they are."""
        if self._pending_cr:
            octets = b"\r" + octets
        # Whether a CR at the end stands alone is known with the next octet only.
        self._pending_cr = octets.endswith(b"\r")
        if self._pending_cr:
            octets = octets[:-1]
        self._rewriting.check(octets)
        self._emit(octets)

    # -- delimiters

    def _delimiter_at(self, line: int) -> _Delimiter | None:
        """What the line that begins with two hyphens is; None: more must come first."""
        text = self._text
        most = line + MAX_DELIMITER_OCTETS
        end = text.find(b"\r\n", line, most)
        if end >= 0:
            return self._delimiter(text[line:end], end + 2)
        if len(text) >= most:
            if self._delimiter(text[line:most], most) is not _NONE:
                raise Unconvertible("A line that separates parts is too long")
            return _NONE
        return self._delimiter(text[line:], len(text)) if self._ended else None

    def _delimiter(self, line: bytearray, next_line: int) -> _Delimiter:
        """What the line is, given without its end."""
        self._budget.spend_candidate()
        name = bytes(line[2:].rstrip(b" \t"))
        opening = self._active.get(name, -1)
        closing = self._active.get(name[:-2], -1) if name.endswith(b"--") else -1
        if opening < 0 and closing < 0:
            return _NONE
        return _Delimiter(next_line, max(opening, closing), closing > opening)

    def _delimit(self, start: int, delimiter: _Delimiter) -> None:
        """A part ends, and those around it up to the one the delimiter belongs to.

        Args:
            start: of its line, or of the line end before it, which belongs to it (RFC 2046 section
                5.1.1).
        """
        if self._leaf is not None:
            self._emit(self._leaf.end())
            self._leaf = None
        self._pass(bytes(self._text[start : delimiter.end]))
        self._at = self._line = self._searched = delimiter.end
        self._in_header, self._fresh = not delimiter.closing, delimiter.closing
        stack = self._stack
        if len(stack) > delimiter.owner + 1 or delimiter.closing:
            del stack[delimiter.owner + 1 :]
            if delimiter.closing:
                stack[delimiter.owner].boundary = b""
            pairs = ((each.boundary, index) for index, each in enumerate(stack) if each.boundary)
            self._active = dict(pairs)
