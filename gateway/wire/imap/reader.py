"""The reader of one connection's octets: framing, literals, APPEND, raw lines.

Owns the buffer and the rule where a command ends. Never writes, never decides what a command does.
"""

from __future__ import annotations

from gateway.wire.imap.events import BEFORE_LOGIN, Event, ReaderLimits


class CommandReader:
    """Octets in, events out; how a door uses it is told in ``wire.imap.events``."""

    def __init__(self, limits: ReaderLimits = BEFORE_LOGIN) -> None:
        self.limits = limits  # set anew after login
        self._buffer = bytearray()

    @property
    def buffered_octets(self) -> int:
        """Octets received and not yet taken by an event."""
        return len(self._buffer)

    def feed(self, data: bytes) -> None:
        """Add what arrived."""
        self._buffer += data

    def next_event(self) -> Event | None:
        """What comes next, or None until more is fed or the door has decided."""
        raise NotImplementedError

    def expect_line(self, max_octets: int) -> None:
        """Give the next line as it is (RawLine), once; for AUTHENTICATE and IDLE.

        Args:
            max_octets: without CRLF.
        """
        raise NotImplementedError

    def accept_append(self) -> None:
        """Take the message of the APPEND that was started."""
        raise NotImplementedError

    def refuse_append(self) -> bool:
        """Do without the message of the APPEND that was started; the door answers NO or BAD.

        A synchronising literal is not sent then. A non-synchronising one is on its way: it is read
        and dropped.

        Returns:
            False if it is too large for that: the door must close after its answer.
        """
        raise NotImplementedError

    def drop_buffered(self) -> None:
        """Forget octets that arrived in clear text behind STARTTLS (SECURITY F1a, I11)."""
        raise NotImplementedError
