"""The doors for mail: from strangers ("smtp"), our people ("submission"), our servers ("lmtp").

Owns the table of which handler answers which event. The session that runs them is in ``session``.
"""

from __future__ import annotations

from collections.abc import Mapping

from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory

from gateway.edge.connection import Door
from gateway.edge.smtp import (
    authentication,
    content,
    etrn,
    hello,
    recipients,
    sender,
    session,
    xclient,
)
from gateway.edge.smtp.journal import Journal
from gateway.edge.smtp.services import SmtpServices
from gateway.edge.smtp.session import SmtpSession
from gateway.edge.smtp.shared import Handler, Shared
from gateway.wire.smtp_commands import Auth, Bdat, Data, Ehlo, Etrn, Mail, Rcpt, Simple, Xclient
from gateway.wire.smtp_events import AuthResponse, ChunkEnded, ContentEnded, Refused
from gateway.wire.smtp_extensions import Offer, refuse_unanswered

ANSWERS: Mapping[type, Handler] = {
    Refused: session.refused,
    Ehlo: hello.hello,
    Simple: hello.simple,
    Auth: authentication.auth,
    AuthResponse: authentication.auth_response,
    Mail: sender.mail,
    Rcpt: recipients.rcpt,
    Data: content.data,
    ContentEnded: content.content_ended,
    Bdat: content.bdat,
    ChunkEnded: content.chunk_ended,
    Etrn: etrn.etrn,
    Xclient: xclient.xclient,
}


class SmtpFactory(Factory):
    """Makes the sessions of one listener that speaks ``smtp``, ``submission`` or ``lmtp``."""

    noisy = False

    def __init__(self, door: Door, services: SmtpServices) -> None:
        assert door.protocol in ("smtp", "submission", "lmtp")
        refuse_unanswered(services.offer.enabled, ANSWERS)
        journal = Journal(services.trace, services.wall_clock)
        self.services = services
        self._shared = Shared(door, services, journal, Offer(services.offer), ANSWERS)

    def buildProtocol(self, addr: IAddress | None) -> SmtpSession:
        return SmtpSession(self._shared)
