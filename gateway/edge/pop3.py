"""The POP3 door: what a listener is given.

Owns the factory; the session is ``pop3_session``'s, its bounds are ``pop3_limits``'s.
"""

from __future__ import annotations

from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import ServerFactory

from gateway.edge.connection import Door
from gateway.edge.pop3_limits import Pop3Limits, Pop3Services
from gateway.edge.pop3_session import Pop3Connection

__all__ = ["Pop3Factory", "Pop3Limits", "Pop3Services"]


class Pop3Factory(ServerFactory):
    """Makes the sessions of one listener."""

    noisy = False

    def __init__(self, door: Door, services: Pop3Services) -> None:
        self.door = door
        self._services = services

    def buildProtocol(self, addr: IAddress | None) -> Pop3Connection:
        return Pop3Connection(self.door, self._services)
