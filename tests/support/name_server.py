"""A name server on loopback that answers out of dictionaries, in octets of its own.

A name in any of them exists; every other one does not (NXDOMAIN), and one without the type that is
asked for has none (NODATA). ``also`` holds any other types. Over UDP, and on wish over TCP.
"""

from __future__ import annotations

import socketserver
import struct
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from twisted.names import dns

from tests.support.ports import free_port

TTL_S = 1


class Tlsa(dns.UnknownRecord):
    """A TLSA record (RFC 6698), which twisted.names does not know."""

    TYPE = 52  # type: ignore[assignment]  # None where no type is known

    def __init__(self, usage: int, selector: int, matching: int, data: bytes) -> None:
        super().__init__(bytes((usage, selector, matching)) + data, TTL_S)


class Zones:
    """What is known, and how it is told.

    Attributes:
        fails: names that are SERVFAIL; ``refuses``: all are REFUSED.
        cut: names whose answers do not fit into a datagram; ``proven``: those with AD.
        forged: so many wrong ids come before each answer; ``folds``: questions are repeated in
            lower case; ``no_edns``: FORMERR where EDNS is spoken.
        asked: the types and names of all questions, with ``tcp`` behind those over TCP.
    """

    def __init__(
        self,
        *,
        mx: Mapping[str, Sequence[tuple[int, str]]] | None = None,
        a: Mapping[str, Sequence[str]] | None = None,
        also: Mapping[str, Sequence[Any]] | None = None,
        ttl_s: int = TTL_S,
    ) -> None:
        self.mx = dict(mx or {})
        self.a = dict(a or {})
        self.also = dict(also or {})
        self.ttl_s = ttl_s
        self.fails: set[str] = set()
        self.cut: set[str] = set()
        self.proven: set[str] = set()
        self.forged = 0
        self.refuses = self.folds = self.no_edns = False
        self.soa: dns.Record_SOA | None = None
        self.asked: list[str] = []

    def answers(self, question: bytes, *, tcp: bool = False) -> list[bytes]:
        """Datagrams, the right one last."""
        right = self.answer(question, tcp=tcp)
        wrong = struct.pack("!H", (struct.unpack_from("!H", right)[0] + 1) & 0xFFFF) + right[2:]
        return [wrong] * (0 if tcp else self.forged) + [right]

    def answer(self, question: bytes, *, tcp: bool = False) -> bytes:
        message = dns.Message()
        message.fromStr(question)
        query = message.queries[0]
        name = query.name.name.decode().lower()
        kind = dns.QUERY_TYPES.get(query.type, str(query.type))
        self.asked.append(f"{kind} {name}{' tcp' if tcp else ''}")
        records: list[Any] = []
        if query.type == dns.MX:
            records += [
                dns.Record_MX(preference, host) for preference, host in self.mx.get(name, ())
            ]
        elif query.type == dns.A:
            records += [dns.Record_A(address) for address in self.a.get(name, ())]
        records += [
            each for each in self.also.get(name, ()) if each.TYPE in (query.type, dns.CNAME)
        ]
        message.answer = 1
        message.recAv = 1
        known = any(name in each for each in (self.mx, self.a, self.also))
        message.rCode = dns.OK if known else dns.ENAME
        if name in self.fails:
            message.rCode = dns.ESERVER
        if self.refuses:
            message.rCode = dns.EREFUSED
        if self.no_edns and message.additional:
            message.rCode = dns.EFORMAT
        if self.folds:
            query.name = dns.Name(name)
        asked_for_proof = message.authenticData
        message.authenticData = int(bool(asked_for_proof) and name in self.proven)
        message.additional = []
        message.maxSize = 65_535
        if name in self.cut and not tcp:
            message.trunc = 1
        elif message.rCode in (dns.OK, dns.ENAME):
            message.answers = [self._header(name, record) for record in records]
            for alias in [each.name.name.decode() for each in records if each.TYPE == dns.CNAME]:
                message.answers += [
                    self._header(alias, dns.Record_A(address))
                    for address in self.a.get(alias.lower(), ())
                ]
            if self.soa is not None and not records:
                message.authority = [self._header("example", self.soa)]
        octets: bytes = message.toStr()
        return octets

    def _header(self, name: str, record: Any) -> dns.RRHeader:
        return dns.RRHeader(name, record.TYPE, ttl=self.ttl_s, payload=record)


class NameServer(Zones, socketserver.UDPServer):
    """``silent`` makes it swallow questions; it counts them."""

    def __init__(
        self,
        *,
        mx: Mapping[str, Sequence[tuple[int, str]]],
        a: Mapping[str, Sequence[str]],
        also: Mapping[str, Sequence[Any]] | None = None,
    ) -> None:
        # One that nobody is given over TCP either.
        socketserver.UDPServer.__init__(self, ("127.0.0.1", free_port()), _Datagram)
        Zones.__init__(self, mx=mx, a=a, also=also)
        self.silent = False
        self.swallowed = 0

    @property
    def port(self) -> int:
        port: int = self.socket.getsockname()[1]
        return port


class _Datagram(socketserver.BaseRequestHandler):
    server: NameServer

    def handle(self) -> None:
        question, sock = self.request
        if self.server.silent:
            self.server.swallowed += 1
            return
        for answer in self.server.answers(question):
            sock.sendto(answer, self.client_address)


class _Streams(socketserver.ThreadingTCPServer):
    """The same over TCP, at the same port."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, names: NameServer) -> None:
        super().__init__(("127.0.0.1", names.port), _Stream)
        self.names = names


class _Stream(socketserver.StreamRequestHandler):
    server: _Streams

    def handle(self) -> None:
        length = self.rfile.read(2)
        if len(length) == 2:
            question = self.rfile.read(int.from_bytes(length, "big"))
            answer = self.server.names.answer(question, tcp=True)
            self.wfile.write(len(answer).to_bytes(2, "big") + answer)


@contextmanager
def running_name_server(
    *,
    mx: Mapping[str, Sequence[tuple[int, str]]],
    a: Mapping[str, Sequence[str]],
    also: Mapping[str, Sequence[Any]] | None = None,
    tcp: bool = False,
) -> Iterator[NameServer]:
    names = NameServer(mx=mx, a=a, also=also)
    with ExitStack() as stack:
        stack.enter_context(_serving(names))
        if tcp:
            stack.enter_context(_serving(_Streams(names)))
        yield names


@contextmanager
def _serving(server: socketserver.BaseServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
