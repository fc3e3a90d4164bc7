"""One form sent to one HTTPS address, with a deadline and a bounded answer.

Owns the connection: the server's certificate and name are checked, redirects are not followed (our
secret goes to the configured address or nowhere), and nothing of ours is in an error's text. Never
reads the answer.

Limits: MAX_ANSWER_OCTETS; ``deadline_s`` for all of it, the name look-up included.
"""

from __future__ import annotations

import base64
from io import BytesIO
from typing import Any
from urllib.parse import quote_plus

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.web.client import Agent, BrowserLikePolicyForHTTPS, FileBodyProducer
from twisted.web.http_headers import Headers

from gateway.auth.https_body import BoundedBody
from gateway.auth.introspection import HttpAnswer
from gateway.core.errors import IssuerUnavailable
from gateway.core.log_text import escaped

MAX_ANSWER_OCTETS = 65_536
DEADLINE_S = 5.0

_log = Logger()


class HttpsPost:
    """Posts forms to one address.

    Args:
        url: where to; https.
        client_id, client_secret: who we are to the issuer (RFC 6749 section 2.3.1); an empty id:
            nobody is said.
        trust: authorities that may have signed the server's certificate (Twisted's trust root);
            None: the system's.
    """

    def __init__(
        self,
        reactor: Any,
        url: str,
        *,
        client_id: str = "",
        client_secret: str = "",
        trust: Any = None,
        deadline_s: float = DEADLINE_S,
    ) -> None:
        policy: Any = (
            BrowserLikePolicyForHTTPS() if trust is None else BrowserLikePolicyForHTTPS(trust)
        )
        self._reactor = reactor
        self._agent = Agent(reactor, policy, connectTimeout=deadline_s)
        self._url = url.encode("ascii")
        self._deadline_s = deadline_s
        self._headers = {
            b"Content-Type": [b"application/x-www-form-urlencoded"],
            b"Accept": [b"application/json"],
            b"User-Agent": [b"mail-gateway"],
        }
        if client_id:
            # RFC 6749 section 2.3.1: both are encoded as in a form before they become Basic.
            pair = f"{quote_plus(client_id)}:{quote_plus(client_secret)}".encode("ascii")
            self._headers[b"Authorization"] = [b"Basic " + base64.b64encode(pair)]

    async def __call__(self, form: bytes) -> HttpAnswer:
        """Raises: IssuerUnavailable."""
        asking = Deferred.fromCoroutine(self._ask(form))
        cut_off = []

        def expire() -> None:
            cut_off.append(True)
            asking.cancel()

        timer = self._reactor.callLater(self._deadline_s, expire)
        try:
            return await asking
        except CancelledError:
            if not cut_off:  # by the caller: the connection it served is gone
                raise
            why = "no answer in time"
        except Exception as error:
            # Whatever goes wrong between us and the issuer says nothing about the person.
            why = f"{type(error).__name__}: {error}"
        finally:
            if timer.active():
                timer.cancel()
        # Out of the handlers: no traceback holds the token (SECURITY A9).
        _log.error("{url}: {why}", url=self._url.decode(), why=escaped(why))
        raise IssuerUnavailable(reason=why[:200])

    async def _ask(self, form: bytes) -> HttpAnswer:
        body: Any = FileBodyProducer(BytesIO(form))
        response: Any = await self._agent.request(b"POST", self._url, Headers(self._headers), body)
        collector = BoundedBody(MAX_ANSWER_OCTETS)
        response.deliverBody(collector)
        return HttpAnswer(response.code, await collector.done)
