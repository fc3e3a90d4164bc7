"""What a message's octets are, found out by reading them once: for servers that do not take all.

Owns the facts only; what follows from them is decided in ``smtp_client_offer``. Works on chunks of
any size and keeps nothing of them.
"""

from __future__ import annotations

from dataclasses import dataclass

from gateway.wire.mime.downgrade import Encodings, Survey


@dataclass(frozen=True, slots=True)
class Content:
    """Facts about one message.

    Args:
        ascii_header: no octet over 127 before the first empty line.
        eight_bit: some octet is over 127.
        encodings: how its parts become 7-bit; None: they cannot, because of ``problem``.
        size_octets: what it has then, about.
    """

    ascii_header: bool
    eight_bit: bool
    encodings: Encodings | None = None
    problem: str = ""
    size_octets: int = 0


EIGHT_BIT = Content(ascii_header=False, eight_bit=True)
"""What is known at a glance of a message that is not ASCII, enough where 8BITMIME is offered."""


class ContentScan:
    """Reads a message chunk by chunk."""

    __slots__ = ("_ascii_header", "_eight_bit", "_in_header", "_survey", "_tail")

    def __init__(self) -> None:
        self._ascii_header = self._in_header = True
        self._eight_bit = False
        self._survey = Survey()
        self._tail = b"\n"  # as if a line had ended: the header may be empty

    def feed(self, chunk: bytes) -> None:
        if not chunk:
            return
        if self._in_header:
            self._read_header(chunk)
        self._survey.feed(chunk)
        self._eight_bit = self._eight_bit or not chunk.isascii()
        self._tail = (self._tail + chunk[-2:])[-2:]

    def end(self) -> Content:
        """The facts, once all octets were fed."""
        if not self._eight_bit:
            return Content(self._ascii_header, False)
        survey = self._survey
        survey.end()
        encodings = None if survey.problem else survey.encodings
        return Content(self._ascii_header, True, encodings, survey.problem, survey.size_octets)

    def _read_header(self, chunk: bytes) -> None:
        seen = self._tail + chunk
        ends = [at for at in (seen.find(b"\n\r\n"), seen.find(b"\n\n")) if at >= 0]
        header = seen[: min(ends)] if ends else seen
        self._ascii_header = self._ascii_header and header.isascii()
        self._in_header = not ends
