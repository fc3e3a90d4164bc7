"""The body of an answer by HTTPS, up to a bound.

Owns the collecting alone, for whoever asks one server one thing (``https_post``, and the sending
side's ``https``).
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone
from twisted.web.http import PotentialDataLoss


class AnswerTooLong(Exception):
    """The server sends more than anybody needs."""


class BoundedBody(Protocol):
    """Keeps the body up to its bound. ``done`` may be cancelled, which ends the connection."""

    def __init__(self, max_octets: int) -> None:
        self._max_octets = max_octets
        self._body = bytearray()
        self.done: Deferred[bytes] = Deferred(self._cancel)

    def _cancel(self, _: Deferred[bytes]) -> None:
        self._abort()

    def _abort(self) -> None:
        transport: Any = self.transport
        if transport is not None:
            # Not loseConnection: that would wait for the server's goodbye in TLS.
            transport.stopProducing()

    def dataReceived(self, data: bytes) -> None:
        self._body += data
        if len(self._body) > self._max_octets and not self.done.called:
            self._abort()
            self.done.errback(AnswerTooLong(f"more than {self._max_octets} octets"))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self.done.called:
            return
        if reason.check(ResponseDone, PotentialDataLoss):
            self.done.callback(bytes(self._body))
        else:
            self.done.errback(reason)
