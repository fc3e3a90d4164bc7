"""The pages of the ``http`` listener: whether the gateway is ready, and what this is.

Owns ``/healthz`` for load balancers and container platforms, and ``/`` for people who point a
browser at it. Never tells more than ready or not.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.web import http

from gateway.core.ports.clock import Timers
from gateway.edge.http.site import BoundedSite, PlainResource

_FRONT = (
    b"This is a mail gateway. It speaks SMTP, POP3 and IMAP; there is nothing for a browser here.\n"
    b"Set up your mail program with this host's name, your login and your usual password.\n"
)


class FrontPage(PlainResource):
    """``/``."""

    def page(self) -> tuple[int, bytes]:
        return http.OK, _FRONT


class HealthPage(PlainResource):
    """``/healthz``: 200 while ``ready`` says so, 503 otherwise."""

    def __init__(self, ready: Callable[[], bool]) -> None:
        super().__init__()
        self._ready = ready

    def page(self) -> tuple[int, bytes]:
        if self._ready():
            return http.OK, b"ok\n"
        return http.SERVICE_UNAVAILABLE, b"not ready\n"


def health_site(ready: Callable[[], bool], timers: Timers) -> BoundedSite:
    """The factory for the ``http`` listener; ``ready`` is asked at each request."""
    root: Any = PlainResource()
    root.putChild(b"", FrontPage())
    root.putChild(b"healthz", HealthPage(ready))
    return BoundedSite(root, timers, max_body_octets=0)
