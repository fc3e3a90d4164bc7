"""The envelope of an outgoing message, proven harmless before a single octet is written.

Owns the last check of addresses, host names and login names that get into commands (SECURITY S8):
whatever an earlier floor let through, no value can end its command or open another. Never repairs
a value. Paths outside ASCII are octets of UTF-8; whether a server takes them is told by its offer
(``smtp_client_offer``).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from gateway.core.address import Address
from gateway.core.envelope import NO_OPTIONS, MessageOptions, RecipientOptions

MAX_PATH_OCTETS = 512  # RFC 5321 section 4.5.3.1.3 says 256; quoting may double the local part

# Mailbox = Local-part "@" ( Domain / address-literal ); angle brackets are left out of quoted
# strings on purpose, as peers that look for the next ">" exist. Underscores in domains are lenient.
# Beyond ASCII (RFC 6531 section 3.3) all but controls and what other programs take for line ends.
_BEYOND = r"\xa0-\u2027\u202a-\ud7ff\ue000-\U0010ffff"
_MAILBOX = re.compile(
    rf"(?:[A-Za-z0-9!#$%&'*+/=?^_`{{|}}~.{_BEYOND}-]+"
    rf'|"(?:[ !#-;=?-\[\]-~{_BEYOND}]|\\[ -;=?-~])*")'
    r"@(?:[A-Za-z0-9._-]+|\[[A-Za-z0-9.:-]+\])"
)
_HELLO = re.compile(r"[A-Za-z0-9._-]{1,255}|\[[A-Za-z0-9.:-]{1,60}\]")


class EnvelopeRefused(ValueError):
    """This value must not be written to a peer.

    Args:
        status: enhanced status code for the recipient (RFC 3463).
    """

    def __init__(self, status: str, text: str) -> None:
        self.status = status
        super().__init__(text)


def path_octets(address: Address | None) -> bytes:
    """The path with its angle brackets; ``<>`` for the null sender.

    Raises:
        EnvelopeRefused: not a mailbox of RFC 5321 section 4.1.2 or RFC 6531 section 3.3.
    """
    if address is None:
        return b"<>"
    text = str(address)
    # RFC 5321 section 4.1.1.3: "<Postmaster>" is the only path without a domain.
    bare = not address.domain and address.local_part.casefold() == "postmaster"
    if len(text) > MAX_PATH_OCTETS or not (bare or _MAILBOX.fullmatch(text)):
        raise EnvelopeRefused("5.1.3", "the address cannot be written in an SMTP command")
    return b"<" + text.encode() + b">"


def hello_octets(hostname: str) -> bytes:
    """Our name for EHLO. Raises: EnvelopeRefused."""
    if not _HELLO.fullmatch(hostname):
        raise EnvelopeRefused("4.3.5", "our own host name cannot be written in an SMTP command")
    return hostname.encode("ascii")


@dataclass(frozen=True, slots=True)
class Envelope:
    """Who sends what size to whom; paths as ``path_octets`` made them.

    Args:
        size_octets: of the message, for SIZE (RFC 1870); exact where BDAT is used.
        options: what the sender asked for the message.
        asked: the same for each recipient, in their order; empty: nothing.
        by_s: how much time is left of ``options.deliver_by``.
    """

    sender: bytes
    recipients: tuple[bytes, ...]
    size_octets: int
    options: MessageOptions = NO_OPTIONS
    asked: tuple[RecipientOptions, ...] = ()
    by_s: int | None = None


@dataclass(frozen=True, slots=True)
class Login:
    """What we prove ourselves with to a smart host. Raises EnvelopeRefused for a NUL in either:
    RFC 4616 section 2 separates the fields by it."""

    user: str
    password: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if not self.user or "\0" in self.user or b"\0" in self.password:
            raise EnvelopeRefused("4.3.5", "the login for the next hop cannot be used")
