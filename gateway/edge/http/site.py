"""HTTP as the gateway serves it: bounded requests, plain answers, no word about the software.

Owns the limits of a request and the headers of every answer, over twisted.web's HTTP/1.1. Never
knows a page. Answers never hold octets of the request (SECURITY S20).

Limits: a request's header (line and fields) MAX_HEADER_OCTETS, its body as the site says; a request
must have come whole within REQUEST_S, whatever trickles (SECURITY N1); MAX_CONNECTIONS a site, of
which MAX_CONNECTIONS_PER_ADDRESS from one address, so that no stranger alone can keep a load
balancer from asking (SECURITY N2).
"""

from __future__ import annotations

from io import BytesIO
from typing import Any

from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from twisted.web import http
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request, Site

from gateway.core.ports.clock import Timer, Timers
from gateway.policy.connections import ConnectionLimits

MAX_HEADER_OCTETS = 8192
MAX_HEADER_FIELDS = 64
MAX_CONNECTIONS = 200
MAX_CONNECTIONS_PER_ADDRESS = 50
REQUEST_S = 20.0
IDLE_S = 15.0

_ANSWER_HEADERS = {
    b"Content-Type": b"text/plain; charset=utf-8",
    b"Cache-Control": b"no-store",
    b"Content-Security-Policy": b"default-src 'none'; frame-ancestors 'none'",
    b"Referrer-Policy": b"no-referrer",
    b"X-Content-Type-Options": b"nosniff",
    b"X-Frame-Options": b"DENY",
}


def answer(request: Request, status: int, body: bytes, content_type: bytes = b"") -> None:
    """Finish a request."""
    request.setResponseCode(status)
    for name, value in _ANSWER_HEADERS.items():
        request.setHeader(name, value)
    if content_type:
        request.setHeader(b"Content-Type", content_type)
    request.setHeader(b"Content-Length", b"%d" % len(body))
    request.write(b"" if request.method == b"HEAD" else body)
    request.finish()


class PlainResource(Resource):
    """A page of text for GET and HEAD; what is not there is 404 in the same plain way."""

    def page(self) -> tuple[int, bytes]:
        """Status and text."""
        return http.NOT_FOUND, b"not found\n"

    def render(self, request: Request) -> int:
        if request.method in (b"GET", b"HEAD"):
            status, body = self.page()
        else:
            request.setHeader(b"Allow", b"GET, HEAD")
            status, body = http.NOT_ALLOWED, b"method not allowed\n"
        answer(request, status, body)
        return NOT_DONE_YET

    def getChild(self, path: bytes, request: Request) -> Resource:
        return PlainResource()


class BoundedRequest(Request):
    """A request with a bound on its body, and no Server field in the answer."""

    _refused = False
    channel: Any
    content: Any

    def setHeader(self, name: bytes, value: bytes) -> None:
        # twisted.web names itself with its version, which helps only who looks for holes.
        if name.lower() != b"server":
            super().setHeader(name, value)

    def gotLength(self, length: int | None) -> None:
        self.content = BytesIO()
        if length is not None and length > self._max_body_octets:
            self._refuse()

    def handleContentChunk(self, data: bytes) -> None:
        if self._refused:
            return
        if self.content.tell() + len(data) > self._max_body_octets:
            self._refuse()
        else:
            self.content.write(data)

    def process(self) -> None:
        if not self._refused:
            super().process()

    @property
    def _max_body_octets(self) -> int:
        limit: int = self.channel.site.max_body_octets
        return limit

    def _refuse(self) -> None:
        self._refused = True
        self.channel.transport.write(
            b"HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
        )
        self.channel.loseConnection()


class BoundedChannel(http.HTTPChannel):
    """One connection; a request that does not arrive whole in time ends it."""

    totalHeadersSize = MAX_HEADER_OCTETS
    maxHeaders = MAX_HEADER_FIELDS
    MAX_LENGTH = MAX_HEADER_OCTETS
    factory: BoundedSite
    transport: Any
    _deadline: Timer | None = None
    _peer_ip = ""
    _refused = False

    def connectionMade(self) -> None:
        self._peer_ip = getattr(self.transport.getPeer(), "host", "")
        self._refused = bool(self.factory.limits.admit(self._peer_ip))
        super().connectionMade()
        if self._refused:
            self.transport.abortConnection()
        else:
            self._await_request()

    def allContentReceived(self) -> None:
        self._stop_waiting()
        super().allContentReceived()

    def requestDone(self, request: Request) -> None:
        self._await_request()
        super().requestDone(request)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if not self._refused:
            self.factory.limits.release(self._peer_ip)
        self._stop_waiting()
        super().connectionLost(reason)

    def _await_request(self) -> None:
        self._stop_waiting()
        self._deadline = self.factory.timers.callLater(REQUEST_S, self._too_slow)

    def _stop_waiting(self) -> None:
        deadline, self._deadline = self._deadline, None
        if deadline is not None and deadline.active():
            deadline.cancel()

    def _too_slow(self) -> None:
        self._deadline = None
        self.transport.abortConnection()


class BoundedSite(Site):
    """The factory of a listener.

    Args:
        root: the tree of resources, an IResource.
        timers: for the deadlines.
        max_body_octets: of a request.
    """

    protocol: Any = BoundedChannel
    requestFactory = BoundedRequest
    noisy = False

    def __init__(self, root: Any, timers: Timers, max_body_octets: int) -> None:
        # Forms are not parsed: nothing here takes one.
        super().__init__(root, timeout=IDLE_S, reactor=timers, parsePOSTFormSubmission=False)
        self.timers = timers
        self.max_body_octets = max_body_octets
        self.limits = ConnectionLimits(MAX_CONNECTIONS, MAX_CONNECTIONS_PER_ADDRESS)

    def acceptableProtocols(self) -> list[bytes]:
        return [b"http/1.1"]

    def startFactory(self) -> None:
        """No access log: a health check twice a minute says nothing, and its timer ticks."""

    def stopFactory(self) -> None:
        """Nothing was started."""
