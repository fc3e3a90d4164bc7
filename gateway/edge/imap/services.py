"""What the IMAP door is given: the ports it uses and the limits it keeps.

Owns the defaults, each with its reason. The store itself comes with the avatar of a login.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from twisted.cred.portal import Portal

from gateway.core.ports.clock import WallClock
from gateway.core.ports.store import Intake, QuotaStore
from gateway.edge.login import FAILED_LOGIN_S
from gateway.wire.imap.events import AFTER_LOGIN, BEFORE_LOGIN, ReaderLimits


@dataclass(frozen=True, slots=True)
class ImapLimits:
    """Bounds of one connection.

    Args:
        login_s: from the greeting (or the end of the TLS handshake) to a login, whatever is sent
            meanwhile (SECURITY N1; Dovecot's 3 minutes).
        idle_s: without a complete command; RFC 3501 section 5.4 asks for at least 30 minutes.
        idle_keep_alive_s: between the lines sent in IDLE, below the patience of most NATs.
        write_stall_s: a client that takes nothing of a reply for so long is dropped (I8).
        upload_stall_s: a client that sends nothing of a message for so long is dropped (N1).
        upload_octets_per_s: a message may take ``upload_stall_s`` plus its size over this (N1).
        message_octets: largest message that APPEND takes.
        failed_logins: after so many the client has to connect again (A4).
        failed_login_s: wrong credentials are told no sooner after they came (A4, A6).
        bad_commands_before_login: see ``bad_commands`` (I1; Dovecot's 3).
        bad_commands: so many in a row that are not IMAP end the connection (I1; Dovecot's 20).
        batch_octets: replies to pipelined commands leave in writes of about this size.
        pipelined_octets: reading pauses while so much waits behind a running command.
        fetch_rows: messages read from the index at a time.
        chunk_octets: largest piece of a message held in memory.
        before_login: limits of the reader for strangers.
        after_login: limits of the reader for people.
    """

    login_s: float = 180.0
    idle_s: float = 1_800.0
    idle_keep_alive_s: float = 120.0
    write_stall_s: float = 300.0
    upload_stall_s: float = 300.0
    upload_octets_per_s: int = 500
    message_octets: int = 52_428_800
    failed_logins: int = 3
    failed_login_s: float = FAILED_LOGIN_S
    bad_commands_before_login: int = 3
    bad_commands: int = 20
    batch_octets: int = 65_536
    pipelined_octets: int = 65_536
    fetch_rows: int = 500
    chunk_octets: int = 262_144
    before_login: ReaderLimits = BEFORE_LOGIN
    after_login: ReaderLimits = AFTER_LOGIN


@dataclass(frozen=True, slots=True)
class ImapServices:
    """The ports of the IMAP door.

    Args:
        portal: hands out IMailAccount avatars.
        intake: opens bodies for APPEND; the same store as the avatars'.
        wall_clock: internal dates of appended messages that have none.
        limits: bounds of each connection.
        quota: says before the first octet that a message is too much; None: the store says it
            after the last.
    """

    portal: Portal
    intake: Intake
    wall_clock: WallClock
    limits: ImapLimits = field(default_factory=ImapLimits)
    quota: QuotaStore | None = None
