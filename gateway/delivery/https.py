"""One request to one HTTPS server of a stranger, bounded in time and size.

Owns the connection: the certificate and the name are proven, redirects are not followed (RFC 8461
section 3.3), nothing is cached. Addresses come from our own name servers. Never reads the answer.

Limits: ``deadline_s`` for all of it, look-up included; the answer's octets as the caller bounds
them; MAX_ADDRESSES are tried.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any, Protocol

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.endpoints import wrapClientTLS
from twisted.internet.error import ConnectError
from twisted.web.client import Agent, FileBodyProducer, HTTPConnectionPool
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgentEndpointFactory
from zope.interface import implementer

from gateway.auth.https_body import BoundedBody
from gateway.core.hosts import IpAddress, parse_ip
from gateway.core.log_text import escaped
from gateway.delivery.dns.answers import Answer, Kind
from gateway.delivery.targets import Protection, TlsDemand
from gateway.delivery.tls import ClientTls, Handshake

MAX_ADDRESSES = 4
PORT = 443

Connect = Callable[[str, int, float], Any]
"""The IStreamClientEndpoint for an address, a port and a time-out in seconds."""


class Names(Protocol):
    """What is used of ``dns.resolver``."""

    async def ask(self, kind: Kind, name: str) -> Answer: ...


@dataclass(frozen=True, slots=True)
class HttpsAnswer:
    """``content_type``: lower case, without parameters."""

    status: int
    content_type: str
    body: bytes


class HttpsFailure(Exception):
    """No answer; the text says why, printable.

    Args:
        certificate: there was a server, and it did not prove its name.
    """

    def __init__(self, text: str, *, certificate: bool = False) -> None:
        self.certificate = certificate
        super().__init__(text)


def anywhere(ip: IpAddress) -> bool:
    return True


def on_the_internet(ip: IpAddress) -> bool:
    """Not in a network of ours, where strangers must not point us to."""
    return ip.is_global and not ip.is_multicast


class HttpsClient:
    """Asks.

    Args:
        connect: makes endpoints.
        tls: whose certificates are believed.
        allowed: addresses that may be asked.
    """

    def __init__(
        self,
        reactor: Any,
        names: Names,
        connect: Connect,
        tls: ClientTls,
        *,
        deadline_s: float,
        allowed: Callable[[IpAddress], bool] = anywhere,
        port: int = PORT,
    ) -> None:
        self._reactor = reactor
        self._names = names
        self._connect = connect
        self._tls = tls
        self._deadline_s = deadline_s
        self._allowed = allowed
        self._port = port

    async def request(
        self,
        method: bytes,
        host: str,
        path: str,
        *,
        max_octets: int,
        headers: Mapping[bytes, bytes] | None = None,
        body: bytes = b"",
    ) -> HttpsAnswer:
        """Args: host: lower case. path: begins with a slash. Raises: HttpsFailure."""
        request = _Request(method, host, path, dict(headers or {}), body, max_octets)
        asking = Deferred.fromCoroutine(self._try_all(request))
        cut_off: list[bool] = []

        def expire() -> None:
            cut_off.append(True)
            asking.cancel()

        timer = self._reactor.callLater(self._deadline_s, expire)
        try:
            return await asking
        except CancelledError:
            if not cut_off:
                raise
            raise HttpsFailure(f"{host} gave no answer in {self._deadline_s:g} s") from None
        finally:
            if timer.active():
                timer.cancel()

    async def _try_all(self, request: _Request) -> HttpsAnswer:
        problem = HttpsFailure(f"{request.host} has no address")
        for ip in await self._addresses(request.host):
            try:
                return await self._ask(request, ip)
            except ConnectError as error:
                problem = HttpsFailure(f"no connection to {request.host}: {type(error).__name__}")
        raise problem

    async def _addresses(self, host: str) -> Sequence[str]:
        found: list[str] = []
        kinds: tuple[Kind, ...] = ("A", "AAAA")
        for kind in kinds:
            answer = await self._names.ask(kind, host)
            found += answer.texts
        read = [(text, parse_ip(text)) for text in found]
        return [text for text, ip in read if ip is not None and self._allowed(ip)][:MAX_ADDRESSES]

    async def _ask(self, request: _Request, ip: str) -> HttpsAnswer:
        """Raises: ConnectError, HttpsFailure."""
        handshake = self._tls.handshake(request.host, TlsDemand(Protection.VERIFIED))
        creator: Any = handshake
        endpoint = self._connect(ip, self._port, self._deadline_s)
        agent = Agent.usingEndpointFactory(
            self._reactor,
            _OneEndpoint(wrapClientTLS(creator, endpoint)),
            HTTPConnectionPool(self._reactor, persistent=False),
        )
        url = f"https://{request.host}{request.path}".encode("ascii")
        headers = Headers({b"User-Agent": [b"mail-gateway"]})
        for name, value in request.headers.items():
            headers.addRawHeader(name, value)
        producer: Any = FileBodyProducer(BytesIO(request.body)) if request.body else None
        try:
            response: Any = await agent.request(request.method, url, headers, producer)
            collector = BoundedBody(request.max_octets)
            response.deliverBody(collector)
            octets = await collector.done
        except (ConnectError, CancelledError):
            raise
        except Exception as error:
            raise _failure(request.host, handshake, error) from None
        kind = (response.headers.getRawHeaders("content-type") or [""])[0]
        return HttpsAnswer(response.code, kind.partition(";")[0].strip().lower(), octets)


@dataclass(frozen=True, slots=True)
class _Request:
    method: bytes
    host: str
    path: str
    headers: dict[bytes, bytes]
    body: bytes
    max_octets: int


@implementer(IAgentEndpointFactory)
class _OneEndpoint:
    """The connection that was made for this request, whatever the URL."""

    def __init__(self, endpoint: Any) -> None:
        self._endpoint = endpoint

    def endpointForURI(self, uri: object) -> Any:
        return self._endpoint


def _failure(host: str, handshake: Handshake, error: Exception) -> HttpsFailure:
    problem = handshake.problem
    if problem is not None:
        return HttpsFailure(f"{host}: {problem}", certificate=True)
    inner = getattr(error, "reasons", None)
    if inner:  # of a request that got no answer: what befell the connection
        error = inner[0].value
    return HttpsFailure(escaped(f"{host}: {type(error).__name__}: {error}", 200))
