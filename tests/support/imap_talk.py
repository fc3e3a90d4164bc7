"""A small IMAP client that gives every untagged reply parsed, for comparing two servers.

Owns the grammar of replies as nested lists (atoms and numbers as bytes, strings as ``Text``, NIL as
None); never tolerates what is not in it. Works on a pair of binary files: a socket's or a pipe's.
"""

from __future__ import annotations

import re
from typing import Protocol

_TOKEN = re.compile(
    rb'(?P<open>\()|(?P<close>\))|(?P<blank> )|"(?P<quoted>(?:[^"\\\r\n\0]|\\["\\])*)"'
    rb"|\{(?P<literal>\d+)\}\r\n"
    # An atom, and a section with its list of names: one word to whoever compares replies.
    rb'|(?P<atom>[^\s()"{\[\]]*\[[^\]]*\](?:<\d+>)?|[^\s()"{]+)'
)


class Text(bytes):
    """A quoted string or a literal."""


class Reader(Protocol):
    def readline(self) -> bytes: ...

    def read(self, size: int, /) -> bytes: ...


class Writer(Protocol):
    def write(self, octets: bytes, /) -> int: ...

    def flush(self) -> None: ...


Value = None | bytes | list["Value"]


def parse(reply: bytes) -> list[Value]:
    """The values of one reply without its line end."""
    stack: list[list[Value]] = [[]]
    position = 0
    while position < len(reply):
        found = _TOKEN.match(reply, position)
        assert found is not None, reply[position : position + 80]
        position = found.end()
        match found.lastgroup:
            case "open":
                stack.append([])
            case "close":
                inner = stack.pop()
                stack[-1].append(inner)
            case "quoted":
                stack[-1].append(Text(re.sub(rb"\\(.)", rb"\1", found["quoted"])))
            case "literal":
                end = position + int(found["literal"])
                assert end <= len(reply)
                stack[-1].append(Text(reply[position:end]))
                position = end
            case "atom":
                stack[-1].append(None if found[0] == b"NIL" else found[0])
    assert len(stack) == 1, "parentheses do not balance"
    return stack[0]


class Refused(AssertionError):
    """The tagged reply is not OK."""


class ImapTalk:
    """One session."""

    def __init__(self, reader: Reader, writer: Writer) -> None:
        self._reader = reader
        self._writer = writer
        self._tags = 0
        self.greeting = self._reply()

    def _reply(self) -> bytes:
        """One reply without its last line end, literals in place."""
        pieces: list[bytes] = []
        while True:
            line = self._reader.readline()
            assert line.endswith(b"\r\n"), line[-200:]
            announced = re.search(rb"\{(\d+)\}\r\n\Z", line)
            if announced is None:
                return b"".join(pieces) + line[:-2]
            octets = self._reader.read(int(announced[1]))
            assert len(octets) == int(announced[1]), "the stream ends within a literal"
            pieces += (line, octets)

    def say(self, command: bytes, *literals: bytes) -> list[bytes]:
        """Run a command; its untagged replies, the tagged one last.

        Args:
            command: with ``%b`` where each (synchronising) literal stands.
        """
        self._tags += 1
        tag = b"t%d" % self._tags
        pieces = (tag + b" " + command).split(b"%b")
        for piece, literal in zip(pieces, literals, strict=False):
            self._send(piece + b"{%d}\r\n" % len(literal))
            replies = [self._reply()]
            if not replies[0].startswith(b"+"):
                return self._until(tag, replies)
            self._writer.write(literal)
        self._send(pieces[-1] + b"\r\n")
        return self._until(tag, [])

    def _send(self, octets: bytes) -> None:
        self._writer.write(octets)
        self._writer.flush()

    def _until(self, tag: bytes, replies: list[bytes]) -> list[bytes]:
        while not replies or not replies[-1].startswith(tag + b" "):
            replies.append(self._reply())
        return replies

    def do(self, command: bytes, *literals: bytes) -> list[bytes]:
        """As ``say``, but only OK will do.

        Raises: Refused.
        """
        *untagged, tagged = self.say(command, *literals)
        if tagged.split(b" ", 2)[1] != b"OK":
            raise Refused(command[:80], tagged)
        return untagged

    def fetch(self, numbers: bytes, items: bytes) -> dict[int, dict[bytes, Value]]:
        """Replies of FETCH by sequence number and item name (upper case)."""
        found: dict[int, dict[bytes, Value]] = {}
        for reply in self.do(b"FETCH %b (%b)" % (numbers, items)):
            words = reply.split(b" ", 3)
            if words[2] != b"FETCH":
                continue
            (values,) = parse(words[3])
            assert isinstance(values, list)
            names = [name.upper() for name in values[::2] if isinstance(name, bytes)]
            found.setdefault(int(words[1]), {}).update(zip(names, values[1::2], strict=True))
        return found

    def search(self, keys: bytes, *literals: bytes) -> list[int]:
        """The numbers of SEARCH or, where ``keys`` begins so, UID SEARCH."""
        verb = b"UID SEARCH " if keys.startswith(b"UID SEARCH ") else b"SEARCH "
        for reply in self.do(verb + keys.removeprefix(b"UID SEARCH "), *literals):
            if reply.startswith(b"* SEARCH"):
                return [int(number) for number in reply.split()[2:]]
        raise AssertionError("no SEARCH reply")
