"""What the POP3 door needs and the bounds it keeps. Owns the defaults and their reasons."""

from __future__ import annotations

from dataclasses import dataclass, field

from twisted.cred.portal import Portal

from gateway.edge.login import FAILED_LOGIN_S


@dataclass(frozen=True, slots=True)
class Pop3Limits:
    """Bounds of one session.

    Args:
        login_s: from the connection to the end of the login, STLS included (SECURITY N1: an octet
            now and then buys no time).
        idle_s: RFC 1939 section 3: at least ten minutes.
        stall_s: how long a peer may take for one chunk of a long reply.
        failed_logins: the connection ends with this one (SECURITY A4).
        failed_login_s: a wrong password is answered this long after it came, at the earliest, so
            that the time tells nothing about the name (SECURITY A6) and guessing is slow.
        bad_commands_before_login, bad_commands: unknown or misplaced commands, the last of which
            ends the connection (SECURITY S20).
    """

    login_s: float = 180.0
    idle_s: float = 600.0
    stall_s: float = 300.0
    failed_logins: int = 3
    failed_login_s: float = FAILED_LOGIN_S
    bad_commands_before_login: int = 3
    bad_commands: int = 20


@dataclass(frozen=True, slots=True)
class Pop3Services:
    """What the door needs. The store comes with the avatar of the login (IMaildrop)."""

    portal: Portal
    limits: Pop3Limits = field(default_factory=Pop3Limits)
