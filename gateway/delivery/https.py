"""One request to one HTTPS server of a stranger, bounded in time and size.

Owns the connection: the certificate and the name are proven, redirects are not followed (RFC 8461
section 3.3), nothing is cached. Addresses come from our own name servers. Never reads the answer.

Limits: ``deadline_s`` for all of it, look-up included, of which connecting to one address may take
its share; the answer's octets as the caller bounds them, and HEAD_OCTETS around them; MAX_ADDRESSES
are tried.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from ipaddress import IPv4Address, IPv6Address, IPv6Network
from typing import Any, Protocol

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectError
from twisted.internet.protocol import connectionDone
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from twisted.web.client import Agent, FileBodyProducer, HTTPConnectionPool
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgentEndpointFactory
from zope.interface import implementer

from gateway.auth.https_body import AnswerTooLong, BoundedBody
from gateway.core.hosts import IpAddress, parse_ip
from gateway.core.log_text import escaped
from gateway.delivery.dns.answers import Answer, Kind
from gateway.delivery.targets import Protection, TlsDemand
from gateway.delivery.tls import ClientTls, Handshake

MAX_ADDRESSES = 4
HEAD_OCTETS = 65_536
PORT = 443
_NAT64 = IPv6Network("64:ff9b::/96")

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


def elsewhere(ip: IpAddress) -> bool:
    """It may be in a network of ours, as the own domains' policy hosts are behind split DNS, but
    what listens on this machine's loopback or beside its wire is for nobody whom strangers name."""
    nobody = ip.is_loopback or ip.is_unspecified or ip.is_link_local or ip.is_multicast
    return not nobody


def on_the_internet(ip: IpAddress) -> bool:
    """Not in a network of ours, where strangers must not point us to."""
    carried: IpAddress | None = None
    if isinstance(ip, IPv6Address):
        # What leads to an IPv4 address is as good as that (RFC 6052 section 2.1, RFC 3056).
        carried = IPv4Address(ip.packed[12:]) if ip in _NAT64 else ip.sixtofour
    return ip.is_global and not ip.is_multicast and (carried is None or carried.is_global)


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
        allowed: Callable[[IpAddress], bool] = elsewhere,
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
        addresses = await self._addresses(request.host)
        for ip in addresses:
            try:
                return await self._ask(request, ip, self._deadline_s / len(addresses))
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

    async def _ask(self, request: _Request, ip: str, connect_s: float) -> HttpsAnswer:
        """Raises: ConnectError, HttpsFailure."""
        handshake = self._tls.handshake(request.host, TlsDemand(Protection.VERIFIED))
        make_tls: Any = TLSMemoryBIOFactory

        def bounded(factory: Any) -> Any:
            inner: Any = WrappingFactory(factory)
            most = 2 * request.max_octets + HEAD_OCTETS
            inner.protocol = lambda outer, wrapped: _Bounded(outer, wrapped, most)
            factory.noisy = inner.noisy = False  # two lines in the log each, with nothing in them
            return make_tls(handshake, True, inner, self._reactor)

        agent = Agent.usingEndpointFactory(
            self._reactor,
            _OneEndpoint(self._connect(ip, self._port, connect_s), bounded),
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
            cause = _cause(error)
            if isinstance(cause, CancelledError):
                raise cause from None
            raise _failure(request.host, handshake, cause) from None
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
    """The connection that was made for this request, whatever the URL.

    Args:
        wrapped: puts the bound and TLS around a factory.
    """

    def __init__(self, endpoint: Any, wrapped: Callable[[Any], Any]) -> None:
        self._endpoint = endpoint
        self._wrapped = wrapped

    def endpointForURI(self, uri: object) -> Any:
        return self

    def connect(self, factory: Any) -> Deferred[Any]:
        connecting: Deferred[Any] = self._endpoint.connect(self._wrapped(factory))
        return connecting.addCallback(lambda tls: tls.wrappedProtocol.wrappedProtocol)


class _Bounded(ProtocolWrapper):
    """Ends a connection that brings more than it may: a body has its own bound, but nothing else
    bounds the number of header fields, of interim answers, and what is around chunks."""

    def __init__(self, factory: Any, wrapped: Any, max_octets: int) -> None:
        super().__init__(factory, wrapped)
        self._left = max_octets

    def dataReceived(self, data: bytes) -> None:
        self._left -= len(data)
        if self._left < 0:
            self.abortConnection()
        else:
            super().dataReceived(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self._left < 0:
            reason = Failure(AnswerTooLong("more than anybody needs"))
        super().connectionLost(reason)


def _cause(error: Exception) -> Exception:
    """Of a request that got no answer: what befell the connection."""
    reasons = getattr(error, "reasons", None)
    cause = reasons[0].value if reasons else error
    return cause if isinstance(cause, Exception) else error


def _failure(host: str, handshake: Handshake, error: Exception) -> HttpsFailure:
    problem = handshake.problem
    if problem is not None:
        return HttpsFailure(f"{host}: {problem}", certificate=True)
    return HttpsFailure(escaped(f"{host}: {type(error).__name__}: {error}", 200))
