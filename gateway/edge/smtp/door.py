"""The SMTP doors: mail from strangers for our people ("smtp"), mail from our people ("submission").

Owns the table of which handler answers which event. The session that runs them is in ``session``.
"""

from __future__ import annotations

from collections.abc import Mapping

from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory

from gateway.edge.connection import Door
from gateway.edge.smtp import authentication, content, hello, recipients, sender, session
from gateway.edge.smtp.journal import Journal
from gateway.edge.smtp.services import SmtpServices
from gateway.edge.smtp.session import Handler, SmtpSession
from gateway.wire.smtp_commands import Auth, Data, Ehlo, Mail, Rcpt, Simple
from gateway.wire.smtp_events import AuthResponse, ContentEnded, Refused

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
}


class SmtpFactory(Factory):
    """Makes the connections of one listener; ``door.protocol`` is ``smtp`` or ``submission``."""

    noisy = False

    def __init__(self, door: Door, services: SmtpServices) -> None:
        assert door.protocol in ("smtp", "submission")
        self.door = door
        self.services = services
        self.journal = Journal(services.trace, services.wall_clock)

    def buildProtocol(self, addr: IAddress | None) -> SmtpSession:
        return SmtpSession(self.door, self.services, self.journal, ANSWERS)
