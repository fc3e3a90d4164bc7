"""What goes into and comes out of a client session: the plan, the requests, the ends.

Owns values only; ``wire.smtp_client`` gives them their meaning.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from gateway.core.queue import Verdict
from gateway.wire.mime.downgrade import Encodings
from gateway.wire.scram_client import KeysWanted
from gateway.wire.smtp_client_envelope import Login


class TlsRule(Enum):
    """What STARTTLS is to this destination."""

    NEVER = "never"
    OPPORTUNISTIC = "opportunistic"  # RFC 7435: taken when offered, clear text otherwise
    REQUIRED = "required"  # RFC 3207 section 4.1: without it nothing is sent


class Stage(Enum):
    """What is awaited; the driver chooses its deadline by it."""

    GREETING = "greeting"
    EHLO = "EHLO"
    HELO = "HELO"
    STARTTLS = "STARTTLS"
    HANDSHAKE = "TLS handshake"
    AUTH = "AUTH"
    IDLE = "the next message"
    INSPECT = "inspection of the body"
    RSET = "RSET"
    MAIL = "MAIL"
    RCPT = "RCPT"
    DATA = "DATA"
    BODY = "message"
    END_OF_DATA = "end of data"  # or the last BDAT
    QUIT = "QUIT"
    CLOSED = "closed"


class Obstacle(Enum):
    """What kept a connection from being opened."""

    SILENCE = "silence"  # no connection, lost, too slow, or no SMTP
    REFUSAL = "refusal"  # by its greeting, EHLO, or for now by AUTH, which it may not offer
    TLS = "TLS"  # not offered, refused, or nothing proven
    LOGIN = "login"  # refused for good
    LOOP = "loop"  # it is ourselves


@dataclass(frozen=True, slots=True)
class Result:
    """How it ended for one recipient, or for all.

    Args:
        answered: the text is the remote's own.
        busy: it asks for less: fewer connections, less mail.
        again: it takes no more recipients in this transaction; nothing is wrong with this one.
    """

    verdict: Verdict
    status: str
    text: str
    answered: bool = False
    busy: bool = False
    again: bool = False


@dataclass(frozen=True, slots=True)
class SessionPlan:
    """How a connection is opened.

    Args:
        hello: our name, as ``hello_octets`` made it.
        secure: the connection speaks TLS from the first octet.
        login: prove ourselves before MAIL; only under TLS or where ``clear_text_login`` says that
            nobody can listen (loopback).
        refuse_self: a peer that gives our own name is a mail loop (SECURITY S34).
        lmtp: RFC 2033: LHLO, and an answer for each recipient after the data.
        chunking: whether BDAT may be used where it is offered.
        nonce: for SCRAM, printable and without commas; empty: that is not used.
    """

    hello: bytes
    tls: TlsRule = TlsRule.OPPORTUNISTIC
    secure: bool = False
    login: Login | None = None
    clear_text_login: bool = False
    refuse_self: bool = False
    lmtp: bool = False
    chunking: bool = True
    nonce: bytes = b""


@dataclass(frozen=True, slots=True)
class Send:
    """Write these octets."""

    data: bytes


@dataclass(frozen=True, slots=True)
class StartTls:
    """Begin the handshake, then call ``tls_started``."""


@dataclass(frozen=True, slots=True)
class Opened:
    """Transactions may begin."""


@dataclass(frozen=True, slots=True)
class NotOpened:
    """No transaction will be possible; ``Close`` or the answer to QUIT follows.

    Args:
        without_tls: the handshake failed where clear text is allowed.
    """

    problem: Result
    obstacle: Obstacle
    without_tls: bool = False

    @property
    def elsewhere(self) -> bool:
        """Another host of the destination may be tried (RFC 5321 section 5.1)."""
        return self.obstacle is not Obstacle.LOOP


@dataclass(frozen=True, slots=True)
class InspectBody:
    """Find out what the message's octets are (``content_scan``), then call ``body_inspected``."""


@dataclass(frozen=True, slots=True)
class SendBody:
    """Write the stuffed body and the end of data, then call ``body_sent``.

    Args:
        encodings: make 8-bit parts ASCII first (``mime.downgrade``).
    """

    encodings: Encodings | None = None


@dataclass(frozen=True, slots=True)
class TransactionEnd:
    """Every recipient is decided. The session is idle then, or ``Close`` follows.

    Args:
        results: by recipient in the envelope's order; None where ``problem`` counts.
        problem: why the transaction ended early; None if every recipient has its own result.
        elsewhere: another host of the destination may be tried for those undecided.
        reports_on: the server has taken over the sender's wishes for reports (RFC 3461).
        timed: it has taken over the time by which to deliver (RFC 2852).
        stale: the connection had been used before, and was dead by the time of this transaction.
        without_chunking: the server offers CHUNKING and does not know BDAT.
    """

    results: tuple[Result | None, ...]
    problem: Result | None
    elsewhere: bool = False
    reports_on: bool = False
    timed: bool = False
    stale: bool = False
    without_chunking: bool = False


@dataclass(frozen=True, slots=True)
class Close:
    """Close the connection."""


Request = (
    Send
    | StartTls
    | KeysWanted
    | Opened
    | NotOpened
    | InspectBody
    | SendBody
    | TransactionEnd
    | Close
)
