"""The IMAP door: a factory that gives each client its connection.

Owns what connections of one listener share. Making it checks that every command the parser knows
has a handler, so that a listener which would advertise more than it does cannot start.
"""

from __future__ import annotations

from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory

from gateway.edge.connection import Door
from gateway.edge.imap.commands import imap_registry
from gateway.edge.imap.connection import ImapConnection
from gateway.edge.imap.services import ImapServices


class ImapFactory(Factory):
    """Builds the connections of one listener.

    Args:
        door: what the listener gives; ``door.protocol`` is ``imap``.
        services: ports and limits.
    """

    noisy = False

    def __init__(self, door: Door, services: ImapServices) -> None:
        self._door = door
        self._services = services
        self._registry = imap_registry()

    def buildProtocol(self, addr: IAddress | None) -> ImapConnection:
        return ImapConnection(self._door, self._services, self._registry)
