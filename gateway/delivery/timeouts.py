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
    dialogue_s: float = 1800.0  # all of opening, of the commands, of the answers to the end

    def of(self, stage: Stage) -> float:
        return float(getattr(self, _PHASES.get(stage, "command_s")))


_PHASES = {
    Stage.IDLE: "idle_s",
    Stage.GREETING: "greeting_s",
    Stage.HANDSHAKE: "handshake_s",
    Stage.DATA: "data_s",
    Stage.BODY: "block_s",
    Stage.INSPECT: "block_s",
    Stage.END_OF_DATA: "end_of_data_s",
    Stage.QUIT: "quit_s",
    Stage.CLOSED: "quit_s",
}
