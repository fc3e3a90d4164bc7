"""The tree of MIME parts of one message, with exact offsets.

Owns where each part's header and body begin and end and which media type counts (RFC 2045, 2046);
never decodes a body. One pass over the message, without recursion; every octet is looked at a
bounded number of times. Hard limits of ``budget`` raise Overrun (SECURITY M1, M3, M6, F5).

Decisions where the RFCs leave room:
- A delimiter line is ``--boundary`` or ``--boundary--`` and blanks, nothing else, so a boundary
  that is a prefix of another never ends the wrong part; the innermost open boundary wins.
- The line end before a delimiter belongs to the delimiter (RFC 2046 section 5.1.1).
- A multipart without a usable boundary, or whose boundary never appears, is text/plain.
- Delimiter lines that follow each other directly are one: a part begins with a header or with an
  empty line.
- A closed multipart without parts gets one empty text/plain part: IMAP cannot say "no parts".
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from gateway.wire.mime.budget import MAX_DEPTH, Budget, Overrun
from gateway.wire.mime.headers import read_header_at
from gateway.wire.mime.octets import Octets
from gateway.wire.mime.parameters import MESSAGE_RFC822, TEXT_PLAIN, MediaType, parse_media_type

CONTENT_FIELDS = frozenset(
    {
        b"content-type",
        b"content-transfer-encoding",
        b"content-id",
        b"content-description",
        b"content-disposition",
        b"content-language",
        b"content-location",
        b"content-md5",
    }
)
ENVELOPE_FIELDS = frozenset(
    {
        b"date",
        b"subject",
        b"from",
        b"sender",
        b"reply-to",
        b"to",
        b"cc",
        b"bcc",
        b"in-reply-to",
        b"message-id",
    }
)
MESSAGE_FIELDS = CONTENT_FIELDS | ENVELOPE_FIELDS

MAX_BOUNDARY_OCTETS = 994
"""What fits into a line of RFC 5322 with its four hyphens; RFC 2046 allows 70."""


@dataclass(frozen=True, slots=True)
class Part:
    """One part, or the message itself. Offsets count from the first octet of the whole message.

    Args:
        fields: unfolded raw values of the interesting fields, names in lower case.
        lines: LF octets of the body, the last line without one not counted.
        children: the parts of a multipart; the one message inside a message/rfc822.
    """

    header_start: int
    body_start: int
    body_end: int
    fields: Mapping[bytes, bytes]
    media: MediaType
    lines: int
    children: tuple[Part, ...] = ()

    @property
    def is_multipart(self) -> bool:
        return self.media.main == b"multipart"

    @property
    def is_message(self) -> bool:
        """A message/rfc822 (never message/global and others, which IMAP shows as leaves)."""
        return self.media.main == b"message" and self.media.sub == b"rfc822"


@dataclass(slots=True)
class _Open:
    """A part whose end has not been found yet. ``shadowed``: see _Scanner._activate."""

    header_start: int
    body_start: int
    fields: Mapping[bytes, bytes]
    media: MediaType
    lines_before: int
    children: list[Part]
    boundary: bytes = b""
    shadowed: int = -1
    closed: bool = False


def scan(message: Octets, budget: Budget) -> Part:
    """The whole message as a tree.

    Raises:
        Overrun: a hard limit is passed.
    """
    return _Scanner(message, budget).run()


class _Scanner:
    """The open parts as a stack, and the boundaries that are being waited for."""

    def __init__(self, message: Octets, budget: Budget) -> None:
        self._message = message
        self._budget = budget
        self._stack: list[_Open] = []
        self._active: dict[bytes, int] = {}  # boundary to the stack index of its multipart
        self._needle = b""
        self._counted_to = 0
        self._lines = 0

    def run(self) -> Part:
        position = self._open(0)
        while (hit := self._next_delimiter(position)) is not None:
            line_start, position, index, closing = hit
            self._drop_vacant(index, line_start)
            self._close_above(index, self._before_line_end(line_start))
            owner = self._stack[index]
            if not closing:
                position = self._open(position)
                continue
            self._deactivate(owner)
            owner.closed = True
            if not owner.children:
                owner.children.append(
                    Part(line_start, line_start, line_start, {}, TEXT_PLAIN, lines=0)
                )
        return self._close_all()

    # -- opening

    def _open(self, start: int) -> int:
        """Read the header at ``start`` and push the part, with the messages it wraps.

        Returns the offset from which delimiters are to be searched.
        """
        stack = self._stack
        while True:
            if len(stack) > MAX_DEPTH:
                raise Overrun(f"nested deeper than {MAX_DEPTH} parts")
            self._budget.spend_part()
            parent = stack[-1] if stack else None
            in_multipart = parent is not None and parent.media.main == b"multipart"
            fields, body_start = read_header_at(
                self._message,
                start,
                CONTENT_FIELDS if in_multipart else MESSAGE_FIELDS,
                self._budget,
                self._is_delimiter if self._active else None,
            )
            # RFC 2046 section 5.1.5: the default inside a digest is message/rfc822
            digest = in_multipart and parent is not None and parent.media.sub == b"digest"
            media = parse_media_type(
                fields.get(b"content-type"), MESSAGE_RFC822 if digest else TEXT_PLAIN
            )
            part = _Open(start, body_start, fields, media, self._lines_to(body_start), [])
            stack.append(part)
            if media.main == b"multipart":
                self._activate(part)
            elif media.main == b"message" and media.sub == b"rfc822":
                start = body_start
                continue
            return body_start

    def _activate(self, part: _Open) -> None:
        """Wait for its boundary; one that an outer part shares is the inner one's until closed."""
        boundary = (part.media.parameter(b"boundary") or b"").rstrip()
        if not 0 < len(boundary) <= MAX_BOUNDARY_OCTETS:
            return
        part.boundary = boundary
        part.shadowed = self._active.get(boundary, -1)
        self._active[boundary] = len(self._stack) - 1
        self._aim()

    def _deactivate(self, part: _Open) -> None:
        if not part.boundary or part.closed:
            return
        if part.shadowed >= 0:
            self._active[part.boundary] = part.shadowed
        else:
            del self._active[part.boundary]
        self._aim()

    def _aim(self) -> None:
        # What all awaited delimiters begin with: most other lines are passed at the speed of find.
        if self._active:
            self._needle = b"\n--" + _common_prefix(self._active)

    # -- delimiters

    def _next_delimiter(self, position: int) -> tuple[int, int, int, bool] | None:
        """Start of its line, end of its line, stack index of its multipart, whether it closes."""
        if not self._active:
            return None
        message, needle = self._message, self._needle
        at = message.find(needle, max(position - 1, 0))
        while at >= 0:
            self._budget.spend_candidate()
            line_end = message.find(b"\n", at + 1) + 1 or len(message)
            found = self._delimiter(at + 1, line_end)
            if found is not None:
                return at + 1, line_end, *found
            at = message.find(needle, line_end - 1)
        return None

    def _delimiter(self, line_start: int, line_end: int) -> tuple[int, bool] | None:
        line = self._message[line_start + 2 : line_end].rstrip()
        opening = self._active.get(line, -1)
        closing = self._active.get(line[:-2], -1) if line.endswith(b"--") else -1
        if opening < 0 and closing < 0:
            return None
        return (closing, True) if closing > opening else (opening, False)

    def _is_delimiter(self, line_start: int) -> bool:
        line_end = self._message.find(b"\n", line_start) + 1 or len(self._message)
        return self._delimiter(line_start, line_end) is not None

    def _before_line_end(self, line_start: int) -> int:
        end = line_start - 1
        return end - 1 if end > 0 and self._message[end - 1 : end] == b"\r" else end

    # -- closing

    def _drop_vacant(self, index: int, line_start: int) -> None:
        """Drop the part between two delimiter lines that have not even an empty line between."""
        if len(self._stack) > index + 1 and self._stack[index + 1].header_start == line_start:
            del self._stack[index + 1 :]

    def _close_above(self, index: int, end: int) -> None:
        """Close the parts above the multipart at ``index``; their bodies end at ``end``.

        A body that would begin behind its end (the empty line of a header is also the line end
        of the delimiter) is empty, and what contains it reaches as far.
        """
        while len(self._stack) - 1 > index:
            part = self._stack.pop()
            self._deactivate(part)
            end = max(end, part.body_start)
            self._stack[-1].children.append(self._finished(part, end))

    def _close_all(self) -> Part:
        end = len(self._message)
        self._close_above(0, end)
        return self._finished(self._stack.pop(), end)

    def _finished(self, part: _Open, end: int) -> Part:
        media = part.media
        if media.main == b"multipart" and not part.children:
            media = TEXT_PLAIN
        return Part(
            part.header_start,
            part.body_start,
            end,
            part.fields,
            media,
            self._lines_to(end) - part.lines_before,
            tuple(part.children),
        )

    def _lines_to(self, position: int) -> int:
        """LF octets before ``position``; positions are asked for in ascending order."""
        if position > self._counted_to:
            self._lines += self._message.count(b"\n", self._counted_to, position)
            self._counted_to = position
        return self._lines


def _common_prefix(texts: Collection[bytes]) -> bytes:
    first, last = min(texts), max(texts)
    length = min(len(first), len(last))
    while first[:length] != last[:length]:
        length //= 2  # shorter than need be, which only finds more lines to look at
    return first[:length]
