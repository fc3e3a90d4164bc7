"""Address lists of header fields (RFC 5322 section 3.4), as the ENVELOPE of IMAP shows them.

Owns the tolerant reading of mailboxes, groups, comments, source routes and garbage; never decodes,
never validates (a sender's nonsense is shown as it is, SECURITY M5) and never fails. One pass over
the tokens without recursion; the caller says how many entries it takes (SECURITY F5, M2).

Beyond the grammar: addresses separated by semicolons, a missing ``>``, an address used as its own
display name, quotes and comments that never close (they are ordinary text then), and a comment
behind an address taken for its display name (RFC 822's old habit).
"""

from __future__ import annotations

import re
from typing import NamedTuple

from gateway.wire.mime.comments import comment_end


class MailAddress(NamedTuple):
    """One ``address`` of RFC 3501 section 7.4.2; quoting removed, encoded-words kept.

    A group begins with host None and its name as mailbox, and ends with both None. A mailbox
    without a domain has the empty host, which no client takes for a group.
    """

    name: bytes | None
    route: bytes | None
    mailbox: bytes | None
    host: bytes | None


GROUP_END = MailAddress(None, None, None, None)

# The shape of nearly every address: optional plain or quoted name, angle-addr or bare addr-spec.
_ATOMS = rb'[^\s"\\<>@,;:()\[\]]++'
_SIMPLE = re.compile(
    rb'\s*+(?:(?:"([^"\\]*+)"\s*+|([^"\\<>@,;:()\[\]]*+))<(' + _ATOMS + rb")@(" + _ATOMS + rb")>"
    rb"|(" + _ATOMS + rb")@(" + _ATOMS + rb"))\s*+(?:,|\Z)"
)

# blanks / quoted-string / domain-literal / quoted-pair / special / atom. Quotes and brackets that
# never close match as specials.
_TOKEN = re.compile(
    rb'\s++|"[^"\\]*+(?:\\.[^"\\]*+)*"|\[[^\[\]\\]*+(?:\\.[^\[\]\\]*+)*\]|\\.|[^\s"\\<>@,;:.()\[\]]++|.',
    re.DOTALL,
)
_QUOTED_PAIR = re.compile(rb"\\(.)", re.DOTALL)


class _Mark(bytes):
    """A piece with a meaning, told by identity from quoted text of the same octets."""


_BLANK, _AT, _DOT = _Mark(b" "), _Mark(b"@"), _Mark(b".")
_MARKS = {b"@": _AT, b".": _DOT}


def parse_addresses(value: bytes, limit: int) -> list[MailAddress]:
    """The entries of an unfolded address list, at most ``limit`` (group marks count)."""
    entries: list[MailAddress] = []
    position = 0
    while len(entries) < limit and (found := _SIMPLE.match(value, position)) is not None:
        quoted, plain, local, domain, bare_local, bare_domain = found.groups()
        if bare_local is not None:
            entries.append(MailAddress(None, None, bare_local, bare_domain))
        else:
            name = quoted if quoted is not None else b" ".join(plain.split())
            entries.append(MailAddress(name or None, None, local, domain))
        position = found.end()
    if position < len(value) and len(entries) < limit:
        entries += _Reader(value, position, limit - len(entries)).read()
    return entries


class _Reader:
    """Collects the pieces of one address until something ends it."""

    def __init__(self, value: bytes, position: int, limit: int) -> None:
        self._value = value
        self._position = position
        self._limit = limit
        self._entries: list[MailAddress] = []
        self._in_group = False
        self._comments_close = True
        self._reset()

    def _reset(self) -> None:
        self._words: list[bytes] = []  # before the angle bracket
        self._angle: list[bytes] | None = None  # inside it
        self._angle_open = False
        self._route: bytes | None = None
        self._comment = b""

    def read(self) -> list[MailAddress]:
        value = self._value
        while (found := _TOKEN.match(value, self._position)) is not None:
            token = found[0]
            if token == b"(" and self._comments_close:
                self._read_comment()
                continue
            self._position = found.end()
            self._take(token)
            if len(self._entries) > self._limit:
                break
        else:
            self._end_address()
            self._end_group()
        return _cut(self._entries, self._limit)

    def _read_comment(self) -> None:
        end = comment_end(self._value, self._position)
        if end < 0:
            self._comments_close = False  # searched once; from here on "(" is text
            return
        if not self._comment:
            self._comment = self._value[self._position + 1 : end - 1]
        self._position = end
        self._piece(_BLANK)

    def _take(self, token: bytes) -> None:
        first = token[:1]
        if token.isspace():
            self._piece(_BLANK)
        elif first == b'"' and len(token) > 1:
            self._piece(_QUOTED_PAIR.sub(rb"\1", token[1:-1]))
        elif first == b"\\":
            self._piece(token[1:])
        elif token == b"<":
            if self._angle is not None:
                self._end_address()
            self._angle, self._angle_open = [], True
        elif token == b">":
            self._angle_open = False
        elif token == b",":
            if not self._in_route():
                self._end_address()
            else:
                self._piece(token)
        elif token == b";":
            self._end_address()
            self._end_group()
        elif token == b":":
            self._take_colon()
        else:
            self._piece(_MARKS.get(token, token))

    def _take_colon(self) -> None:
        if self._in_route():
            # obs-route = obs-domain-list ":" (RFC 5322 section 4.4); the addr-adl of IMAP
            self._route = b"".join(piece for piece in self._angle or () if piece is not _BLANK)
            self._angle = []
        elif self._angle is None and not any(piece is _AT for piece in self._words):
            name = _text(self._words)
            self._end_group()
            self._entries.append(MailAddress(None, None, name, None))
            self._in_group = True
            self._reset()
        else:
            self._piece(b":")

    def _in_route(self) -> bool:
        return self._angle_open and bool(self._angle and self._angle[0] is _AT)

    def _piece(self, piece: bytes) -> None:
        """Add text to what is being read; behind a ``>`` there is nothing to add to."""
        target = self._angle if self._angle_open else self._words
        if target is None or (self._angle is not None and not self._angle_open):
            return
        if piece is not _BLANK or (target and target[-1] is not _BLANK):
            target.append(piece)

    def _end_address(self) -> None:
        if self._angle is not None:
            mailbox, host, _ = _split(self._angle)
            name = _text(self._words)
        else:
            mailbox, host, name = _split(self._words)
        if not name and (mailbox or host):
            name = self._comment.strip()  # a comment alone names nobody
        if mailbox or host or name:
            self._entries.append(MailAddress(name or None, self._route, mailbox, host))
        self._reset()

    def _end_group(self) -> None:
        if self._in_group:
            self._entries.append(GROUP_END)
            self._in_group = False


def _cut(entries: list[MailAddress], limit: int) -> list[MailAddress]:
    """At most ``limit`` entries, with no group left open."""
    if len(entries) <= limit:
        return entries
    entries = entries[:limit]
    opened = next((entry for entry in reversed(entries) if entry.host is None), GROUP_END)
    if opened.mailbox is not None and entries.pop() is not opened:
        entries.append(GROUP_END)
    return entries


def _text(pieces: list[bytes]) -> bytes:
    return b"".join(pieces).strip()


def _split(pieces: list[bytes]) -> tuple[bytes, bytes, bytes]:
    """Mailbox, host and the words in front of an addr-spec; without ``@`` all is the mailbox."""
    at = next((index for index in range(len(pieces) - 1, -1, -1) if pieces[index] is _AT), -1)
    if at < 0:
        return _text(pieces), b"", b""
    begin = _word_start(pieces, at)
    end = at + 1
    # domain = atom *("." atom), with blanks around the dots (obs-domain); words behind are dropped
    while end < len(pieces) and (
        pieces[end] is not _BLANK
        or end == at + 1
        or pieces[end - 1] is _DOT
        or (end + 1 < len(pieces) and pieces[end + 1] is _DOT)
    ):
        end += 1
    local = b"".join(piece for piece in pieces[begin:at] if piece is not _BLANK)
    host = b"".join(piece for piece in pieces[at + 1 : end] if piece is not _BLANK)
    return local, host, _text(pieces[:begin])


def _word_start(pieces: list[bytes], at: int) -> int:
    """Where the local part begins: back over words that dots hold together (obs-local-part)."""
    begin = at
    while begin > 0 and (
        pieces[begin - 1] is not _BLANK
        or begin == at
        or pieces[begin] is _DOT
        or (begin > 1 and pieces[begin - 2] is _DOT)
    ):
        begin -= 1
    return begin
