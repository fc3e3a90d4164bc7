"""The EHLO registry: one row per extension, with its RFC and the condition under which it is shown.

The answer to EHLO is computed from the rows and nothing else. A row says what its keyword promises;
the code that keeps the promise is in ``smtp_commands`` (parameters) and ``smtp_server`` (order).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache


@dataclass(frozen=True, slots=True)
class Offer:
    """What this session has to offer at the moment of its EHLO.

    Args:
        hostname: ours.
        size_octets: largest message taken.
        starttls: TLS can be started now.
        mechanisms: SASL mechanisms that may be used now, empty for none.
    """

    hostname: str
    size_octets: int
    starttls: bool
    mechanisms: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Extension:
    """One row. ``parameters`` returns what follows the keyword, or None to hide the row."""

    keyword: str
    rfc: str
    parameters: Callable[[Offer], str | None]


def _always(_: Offer) -> str:
    return ""


EXTENSIONS: tuple[Extension, ...] = (
    Extension("PIPELINING", "RFC 2920", _always),
    Extension("SIZE", "RFC 1870", lambda offer: str(offer.size_octets)),
    Extension("8BITMIME", "RFC 6152", _always),
    Extension("ENHANCEDSTATUSCODES", "RFC 2034", _always),
    # RFC 3207 section 4.2: not again once TLS is active.
    Extension("STARTTLS", "RFC 3207", lambda offer: "" if offer.starttls else None),
    # RFC 4954 section 4: only where plain text passwords are safe (SECURITY A1).
    Extension("AUTH", "RFC 4954", lambda offer: " ".join(offer.mechanisms) or None),
)


@lru_cache(maxsize=64)  # a few per door; bounded all the same
def ehlo_reply(offer: Offer) -> bytes:
    """The whole answer to EHLO (RFC 5321 section 4.1.1.1); it never repeats the client's name."""
    lines = [offer.hostname]
    for extension in EXTENSIONS:
        parameters = extension.parameters(offer)
        if parameters is not None:
            lines.append(f"{extension.keyword} {parameters}".rstrip())
    return b"".join(
        b"250%b%b\r\n" % (b" " if number == len(lines) else b"-", line.encode("ascii"))
        for number, line in enumerate(lines, 1)
    )
