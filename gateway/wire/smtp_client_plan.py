"""What goes into and comes out of a client session: the plan, the requests, the results.

Owns values only; ``wire.smtp_client`` gives them their meaning.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from gateway.core.queue import Verdict
from gateway.wire.smtp_client_envelope import Envelope, Login


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
    INSPECT = "inspection of the body"
    MAIL = "MAIL"
    RCPT = "RCPT"
    DATA = "DATA"
    BODY = "message"
    END_OF_DATA = "end of data"
    QUIT = "QUIT"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Result:
    """How it ended for one recipient, or for all; ``answered``: the text is the remote's own."""

    verdict: Verdict
    status: str
    text: str
    answered: bool = False


@dataclass(frozen=True, slots=True)
class SessionEnd:
    """The end of a session.

    Args:
        results: by recipient in the envelope's order; None where ``problem`` counts.
        problem: why the session ended early; None if every recipient has its own result.
        elsewhere: another host of the destination may be tried for those undecided.
        without_tls: the handshake failed where clear text is allowed.
        reports_on: the server has taken over the sender's wishes for reports (RFC 3461).
        timed: it has taken over the time by which to deliver (RFC 2852).
    """

    results: tuple[Result | None, ...]
    problem: Result | None
    elsewhere: bool = False
    without_tls: bool = False
    reports_on: bool = False
    timed: bool = False


@dataclass(frozen=True, slots=True)
class Send:
    """Write these octets."""

    data: bytes


@dataclass(frozen=True, slots=True)
class StartTls:
    """Begin the handshake, then call ``tls_started``."""


@dataclass(frozen=True, slots=True)
class InspectBody:
    """Find out what the message's octets are (``content_scan``), then call ``body_inspected``."""


@dataclass(frozen=True, slots=True)
class SendBody:
    """Write the stuffed body and the end of data, then call ``body_sent``."""


@dataclass(frozen=True, slots=True)
class Finished:
    """Every recipient is decided; the connection may still wait for the answer to QUIT."""

    end: SessionEnd


@dataclass(frozen=True, slots=True)
class Close:
    """Close the connection."""


Request = Send | StartTls | InspectBody | SendBody | Finished | Close


@dataclass(frozen=True, slots=True)
class SessionPlan:
    """What one session shall do.

    Args:
        hello: our name, as ``hello_octets`` made it.
        secure: the connection speaks TLS from the first octet.
        login: prove ourselves before MAIL; only under TLS or where ``clear_text_login`` says that
            nobody can listen (loopback).
        refuse_self: a peer that gives our own name is a mail loop (SECURITY S34).
    """

    hello: bytes
    envelope: Envelope
    tls: TlsRule = TlsRule.OPPORTUNISTIC
    secure: bool = False
    login: Login | None = None
    clear_text_login: bool = False
    refuse_self: bool = False
