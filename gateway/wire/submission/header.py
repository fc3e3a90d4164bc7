"""The header of a message that one of our people sends, looked at while it streams past.

Owns where the header lies, which of the fields that concern submission are in it (RFC 6409 section
8), and taking Bcc out of it. What is to be added is put on top of the message by whoever keeps it
(``additions``), so nothing waits for that. Every octet that is not named here passes as it came: no
field is refolded, decoded or moved.

The header counts as long as any reader may take it to be: from a first line that is a field to the
first empty line, whatever stands between, so that no Bcc and no second From hides behind a line
that is no field. Text whose first line is no field has no header; all of it is body. A line
``From x`` that mailbox files put before a message is taken off when a field or an empty line
follows.

What comes has no CR or LF but in a CRLF, which readers of content see to; a line behind a lone one
would be judged wrongly.

Limits: ``limit_octets`` of header are held until its end is there, never more; all of it is linear.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

FIRST_LINE_OCTETS = 998  # RFC 5322 section 2.1.1; a longer name is no field

# RFC 5322 section 2.2: printable ASCII but colon; obsolete syntax allows blanks before the colon.
_FIELD = re.compile(rb"[!-9;-~]++[ \t]*+:")
_MBOX_LINE = re.compile(rb">?From [^\r\n]*+\r\n")
# In lower case, behind a LF. A name may be folded from its colon (obs-FWS in section 4.5.8). The
# look-ahead is there for speed alone.
_NAMED = re.compile(
    rb"\n(?=[bdfmrs])(bcc|date|from|message-id|resent-(?:bcc|from|sender)|sender)"
    rb"(?:[ \t]|\r\n[ \t])*+:"
)
_VALUE = re.compile(rb"[^\n]*+(?:\n[ \t][^\n]*+)*+\n?")
_HIDDEN = (b"bcc", b"resent-bcc")


class Header(NamedTuple):  # made once a message, and three times as fast as a dataclass
    """What a message's header says of its origin. Values are raw, folds included.

    Args:
        is_there: False: the message is all body, and fields put before it need an empty line.
        sender_cut: Sender fields that were taken out, as they were.
        too_big: the message cannot be taken; nothing else counts then.
    """

    is_there: bool = True
    has_date: bool = False
    has_message_id: bool = False
    author: tuple[bytes, ...] = ()
    sender: tuple[bytes, ...] = ()
    resent_author: tuple[bytes, ...] = ()
    resent_sender: tuple[bytes, ...] = ()
    sender_cut: bytes = b""
    too_big: bool = False


_EMPTY = Header()
_NO_HEADER = Header(is_there=False)
_TOO_BIG = Header(too_big=True)


def _keep(_: bytes) -> bool:
    return True


class HeaderFilter:
    """Stands between who reads a message from the network and the body that keeps it.

    Args:
        write: takes the message's octets without what is taken out.
        limit_octets: of the header.
        keeps_sender: asked for the value of each Sender field whether it stays.
    """

    __slots__ = (
        "_at", "_held", "_keeps_sender", "_limit", "_searched", "_write", "header",
    )  # fmt: skip

    def __init__(
        self,
        write: Callable[[bytes], None],
        limit_octets: int,
        keeps_sender: Callable[[bytes], bool] = _keep,
    ) -> None:
        self._write = write
        self._limit = limit_octets
        self._keeps_sender = keeps_sender
        self._held = bytearray()
        self._at = -1  # where the header begins, once that is known
        self._searched = 0  # no end of the header begins before this
        self.header: Header | None = None
        """Known once the header's end was there, or ``end`` was called."""

    def write(self, data: bytes) -> None:
        """The next octets of the message."""
        if self.header is None:
            self._look(data, at_end=False)
        elif not self.header.too_big:
            self._write(data)

    def end(self) -> Header:
        """No more comes; what was held goes on."""
        if self.header is None:
            self._look(b"", at_end=True)
        assert self.header is not None
        return self.header

    def _look(self, data: bytes, *, at_end: bool) -> None:
        text: bytes | bytearray = data
        if self._held:  # never for most messages, whose header comes in one piece
            self._held += data
            text = self._held
        if self._at < 0:
            at = _begin(text, at_end=at_end)
            if at is None:
                self._hold(text)
                return
            if at < 0:
                self._pass(_NO_HEADER if text else _EMPTY, text)
                return
            self._at = self._searched = at
        at = self._at
        if text.startswith(b"\r\n", at):
            self._pass(_EMPTY, text[at:])
            return
        end = text.find(b"\r\n\r\n", self._searched)
        end = end + 2 if end >= 0 else -1
        if end < 0 and at_end:
            end = len(text)
        if (end if end >= 0 else len(text) - 4) - at > self._limit:
            self.header = _TOO_BIG
            self._held = bytearray()
        elif end < 0:
            self._searched = max(at, len(text) - 3)
            self._hold(text)
        else:
            self._sift(text, at, end)

    def _hold(self, text: bytes | bytearray) -> None:
        if text is not self._held:
            self._held += text

    def _pass(self, header: Header, text: bytes | bytearray) -> None:
        self.header = header
        self._held = bytearray()
        if text:
            self._write(bytes(text))

    def _sift(self, text: bytes | bytearray, at: int, end: int) -> None:
        """Note the fields between ``at`` and ``end``, and pass on all but what is taken out."""
        block = bytes(text[at:end])
        found: dict[bytes, list[bytes]] = {}
        kept: list[bytes] = []
        sender_cut = b""
        position = 0
        for match in _NAMED.finditer(b"\n" + block.lower()):
            name, start, value_start = match[1], match.start(), match.end() - 1
            if name in (b"date", b"message-id"):
                found[name] = []
                continue
            value = _VALUE.match(block, value_start)
            assert value is not None, "it also matches nothing"
            if name in _HIDDEN or (name == b"sender" and not self._keeps_sender(value[0])):
                kept.append(block[position:start])
                position = value.end()
                if name == b"sender":
                    sender_cut += block[start:position]
                    continue
            found.setdefault(name, []).append(value[0])
        header = Header(
            has_date=b"date" in found,
            has_message_id=b"message-id" in found,
            author=tuple(found.get(b"from", ())),
            sender=tuple(found.get(b"sender", ())),
            resent_author=tuple(found.get(b"resent-from", ())),
            resent_sender=tuple(found.get(b"resent-sender", ())),
            sender_cut=sender_cut,
        )
        if kept:
            text = b"".join(kept) + block[position:] + text[end:]
        elif at:
            text = text[at:]
        self._pass(header, text)


def _begin(text: bytes | bytearray, *, at_end: bool) -> int | None:
    """Where the header begins; negative: nowhere, all is body; None: nobody can say yet."""
    if not text:
        return -1 if at_end else None
    if text[:1] != b"F" and text[:1] != b">":
        return _field_at(text, 0, at_end)
    # A field From, or From of a mailbox file: both can be told by the first line.
    mbox_line = _MBOX_LINE.match(text, 0, FIRST_LINE_OCTETS)
    if mbox_line is not None:
        second = _field_at(text, mbox_line.end(), at_end)
        if second is None or second >= 0:
            return second
    return _field_at(text, 0, at_end)


def _field_at(text: bytes | bytearray, at: int, at_end: bool) -> int | None:
    """``at`` if a field or an empty line begins there, -1 if not, None if more must come first."""
    if _FIELD.match(text, at, at + FIRST_LINE_OCTETS) is not None or text.startswith(b"\r\n", at):
        return at
    known = at_end or len(text) >= at + FIRST_LINE_OCTETS or text.find(b"\r\n", at) >= 0
    return -1 if known else None


def additions(
    header: Header, *, date: bytes, message_id: bytes, author: bytes, sender: bytes
) -> bytes:
    """What is put on top of the message, above its own header.

    Args:
        date, message_id: values for the case that the message has none.
        author: value of the From field to add; empty: none.
        sender: value of the Sender field to add; empty: none.
    """
    added = b""
    if not header.has_date:
        added += b"Date: %b\r\n" % date
    if author:
        added += b"From: %b\r\n" % author
    if sender:
        added += b"Sender: %b\r\n" % sender
    if not header.has_message_id:
        added += b"Message-ID: %b\r\n" % message_id
    return added if header.is_there else added + b"\r\n"
