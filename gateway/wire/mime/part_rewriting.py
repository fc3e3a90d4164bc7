"""What ``part_stream`` asks of whoever converts the parts that it finds.

Owns these shapes, and the one way to say that a message cannot be converted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

from gateway.wire.mime.parameters import MediaType


class Unconvertible(Exception):
    """Why the message cannot be taken. The text is fixed, so it is safe for strangers and logs.

    Args:
        signed: it is because of a signature that would break.
    """

    def __init__(self, text: str, *, signed: bool = False) -> None:
        self.text = text
        self.signed = signed
        super().__init__(text)


class Encoder(Protocol):
    """Takes a part's body in pieces and gives what stands for it."""

    def feed(self, octets: bytes) -> bytes: ...

    def end(self) -> bytes: ...


class PartHeader(NamedTuple):
    """What becomes of a part.

    Args:
        block: its fields as they go on.
        encoder: its body goes through this one.
        wraps: its body is a message whose header can be read.
    """

    block: bytes
    media: MediaType
    encoder: Encoder | None
    wraps: bool


@dataclass(frozen=True, slots=True)
class Place:
    """Where a part stands.

    Args:
        signed: under a signature.
        digest: directly in a multipart/digest.
        message: it is a message: the whole one, or one inside a message/rfc822.
    """

    signed: bool
    digest: bool
    message: bool


class Rewriting(Protocol):
    """Decides what becomes of parts; each method may raise Unconvertible."""

    def header(self, block: bytes, place: Place) -> PartHeader:
        """Args:
        block: all fields with their line ends, without the empty line.
        """
        ...

    def check(self, octets: bytes) -> None:
        """Look at octets that stay as they are. A CR that is half of a CRLF is never the last."""
        ...

    def loose_end(self) -> None:
        """The message ends in a CR."""
        ...
