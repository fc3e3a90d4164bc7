"""How long each phase of a connection to another server may take.

Owns the numbers alone; ``smtp_client`` enforces them.
"""

from __future__ import annotations

from dataclasses import dataclass

from gateway.wire.smtp_client_plan import Stage


@dataclass(frozen=True, slots=True)
class Timeouts:
    """The defaults are the minima of RFC 5321 section 4.5.3.2."""

    connect_s: float = 30.0  # TCP; the RFC has none. Several addresses may have to be tried
    greeting_s: float = 300.0
    command_s: float = 300.0  # EHLO, AUTH, MAIL, RCPT
    handshake_s: float = 60.0
    data_s: float = 120.0
    block_s: float = 180.0  # for each chunk of the body
    end_of_data_s: float = 600.0  # the peer may scan the message; too short makes duplicates
    quit_s: float = 10.0  # all is decided then
    idle_s: float = 5.0  # another message may come

    def of(self, stage: Stage) -> float:
        match stage:
            case Stage.IDLE:
                return self.idle_s
            case Stage.GREETING:
                return self.greeting_s
            case Stage.HANDSHAKE:
                return self.handshake_s
            case Stage.DATA:
                return self.data_s
            case Stage.BODY | Stage.INSPECT:
                return self.block_s
            case Stage.END_OF_DATA:
                return self.end_of_data_s
            case Stage.QUIT | Stage.CLOSED:
                return self.quit_s
            case _:
                return self.command_s
