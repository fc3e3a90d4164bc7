"""The tokens of a command (RFC 3501 section 9), taken one after the other from its octets.

Owns the cursor over one complete command: its lines, with literals in place behind their ``{n}``
and CRLF. Never looks past the command, never recurses; every token is one match of a pattern that
cannot backtrack. Raises ``Refusal`` with a text of ours, never with the client's octets.

Deliberate leniency: octets from 0x80 on are taken in quoted strings, as clients send UTF-8 there
(passwords, SEARCH); whoever uses the string decides about them. They are refused in atoms. Bare CR
and LF are in no token, so they are refused everywhere outside literals.
"""

from __future__ import annotations

import re
from typing import Literal

from gateway.wire.imap import names, sequence
from gateway.wire.imap.events import ReaderLimits
from gateway.wire.imap.sequence import MAX_NUMBER

# ATOM-CHAR = <any CHAR except "(" / ")" / "{" / SP / CTL / "%" / "*" / DQUOTE / "\" / "]">
_ATOM = re.compile(rb'[^\x00-\x20\x7f-\xff(){%*"\\\]]+')
# ASTRING-CHAR = ATOM-CHAR / "]"
_ASTRING_ATOM = re.compile(rb'[^\x00-\x20\x7f-\xff(){%*"\\]+')
# list-char = ATOM-CHAR / "%" / "*" / "]"
_LIST_ATOM = re.compile(rb'[^\x00-\x20\x7f-\xff(){"\\]+')
# quoted = DQUOTE *QUOTED-CHAR DQUOTE;  QUOTED-CHAR = TEXT-CHAR except "\" and DQUOTE, or escaped
_QUOTED = re.compile(rb'"([^\x00\r\n"\\]*+(?:\\["\\][^\x00\r\n"\\]*+)*+)"')
_ESCAPED = re.compile(rb"\\(.)")
_LITERAL = re.compile(rb"\{([0-9]{1,10})\+?\}\r\n")
_NUMBER = re.compile(rb"[0-9]{1,10}")


class Refusal(Exception):
    """The command is not run: what to say, and how."""

    def __init__(self, text: str, code: str = "", condition: Literal["BAD", "NO"] = "BAD") -> None:
        super().__init__(text)
        self.text = text
        self.code = code
        self.condition = condition


class Cursor:
    """A place in the octets of one command."""

    __slots__ = ("data", "limits", "position")

    def __init__(self, data: bytes, limits: ReaderLimits, position: int = 0) -> None:
        self.data = data
        self.limits = limits
        self.position = position

    # -- punctuation

    def at_end(self) -> bool:
        return self.position == len(self.data)

    def peek(self, text: bytes) -> bool:
        return self.data.startswith(text, self.position)

    def skip(self, text: bytes) -> bool:
        """Step over the text if it is next."""
        if self.data.startswith(text, self.position):
            self.position += len(text)
            return True
        return False

    def expect(self, text: bytes, otherwise: str) -> None:
        if not self.skip(text):
            raise Refusal(otherwise)

    def space(self) -> None:
        """Exactly one SP (RFC 3501 section 2.2.1 knows no other white space)."""
        if not self.data.startswith(b" ", self.position):
            raise Refusal("missing argument" if self.at_end() else "syntax error")
        self.position += 1

    def end(self) -> None:
        if self.position != len(self.data):
            raise Refusal("unexpected text after the command")

    # -- tokens

    def _match(self, pattern: re.Pattern[bytes]) -> bytes | None:
        match = pattern.match(self.data, self.position)
        if match is None:
            return None
        self.position = match.end()
        return match[0]

    def atom(self, wanted: str = "an atom is missing") -> bytes:
        found = self._match(_ATOM)
        if found is None:
            raise Refusal(wanted)
        return found

    def keyword(self, wanted: str = "a word is missing") -> str:
        """An atom in upper case, for the grammar's own words."""
        return self.atom(wanted).decode("ascii").upper()

    def number(self) -> int:
        """0 to 2**32-1 (RFC 3501 section 9, ``number``)."""
        found = self._match(_NUMBER)
        value = int(found) if found else MAX_NUMBER + 1
        if value > MAX_NUMBER:
            raise Refusal("a number from 0 to 4294967295 is missing")
        return value

    def _string(self) -> bytes | None:
        """A quoted string or literal, None if neither starts here."""
        if self.peek(b'"'):
            match = _QUOTED.match(self.data, self.position)
            if match is None:
                raise Refusal("quoted string is broken")
            self.position = match.end()
            value: bytes = match[1]
            if len(value) > self.limits.quoted_octets:
                raise Refusal("quoted string too long", "TOOBIG", "NO")
            return _ESCAPED.sub(rb"\1", value) if b"\\" in value else value
        if not self.peek(b"{"):
            return None
        match = _LITERAL.match(self.data, self.position)
        if match is None:
            raise Refusal("literal is broken")
        start = match.end()
        self.position = start + int(match[1])
        value = self.data[start : self.position]
        if b"\0" in value:  # RFC 3501 section 9, CHAR8
            raise Refusal("NUL is not possible here")
        return value

    def string(self) -> bytes:
        found = self._string()
        if found is None:
            raise Refusal("a string is missing")
        return found

    def astring(self) -> bytes:
        found = self._match(_ASTRING_ATOM)
        if found is not None:
            return found
        found = self._string()
        if found is None:
            raise Refusal("missing argument" if self.at_end() else "a string is missing")
        return found

    def nstring(self) -> bytes | None:
        found = self._string()
        if found is None and self.keyword("a string or NIL is missing") != "NIL":
            raise Refusal("a string or NIL is missing")
        return found

    def list_mailbox(self) -> bytes:
        """A pattern of LIST (RFC 3501 section 9, ``list-mailbox``)."""
        found = self._match(_LIST_ATOM)
        if found is None:
            found = self._string()
        if found is None:
            raise Refusal("a mailbox pattern is missing")
        return found

    # -- values

    def mailbox(self, *, creating: bool = False) -> str:
        try:
            return names.decode(self.astring(), creating=creating)
        except names.NameRefused as refused:
            raise name_refusal(refused) from None

    def sequence_set(self) -> sequence.SequenceSet:
        found = self._match(sequence.SET_SYNTAX)
        numbers = sequence.parse(found) if found else None
        if numbers is None:
            raise Refusal("a set of message numbers is missing or broken")
        return numbers


def name_refusal(refused: names.NameRefused) -> Refusal:
    """Broken encoding is BAD; a name that is not possible here is NO [CANNOT] (RFC 5530)."""
    if refused.syntax:
        return Refusal(refused.text)
    return Refusal(refused.text, "CANNOT", "NO")
