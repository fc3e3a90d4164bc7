"""A name server on loopback that answers out of dictionaries, over UDP, in octets of its own.

A name in any of them exists; every other one does not (NXDOMAIN). ``also`` holds any other types.
"""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from twisted.names import dns


class NameServer(socketserver.UDPServer):
    """``silent`` makes it swallow questions; it counts them. ``fails``: names that are SERVFAIL."""

    def __init__(
        self,
        *,
        mx: Mapping[str, Sequence[tuple[int, str]]],
        a: Mapping[str, Sequence[str]],
        also: Mapping[str, Sequence[Any]] | None = None,
    ) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.mx = mx
        self.a = a
        self.also = dict(also or {})
        self.fails: set[str] = set()
        self.silent = False
        self.swallowed = 0

    @property
    def port(self) -> int:
        port: int = self.socket.getsockname()[1]
        return port

    def answer(self, question: bytes) -> bytes:
        message = dns.Message()
        message.fromStr(question)
        query = message.queries[0]
        name = query.name.name.decode().lower()
        records: list[Any] = []
        if query.type == dns.MX:
            records += [
                dns.Record_MX(preference, host) for preference, host in self.mx.get(name, ())
            ]
        elif query.type == dns.A:
            records += [dns.Record_A(address) for address in self.a.get(name, ())]
        records += [each for each in self.also.get(name, ()) if query.type == each.TYPE]
        message.answer = 1
        message.recAv = 1
        message.rCode = (
            dns.OK if any(name in each for each in (self.mx, self.a, self.also)) else dns.ENAME
        )
        if name in self.fails:
            message.rCode = dns.ESERVER
        message.answers = [
            dns.RRHeader(name, record.TYPE, ttl=1, payload=record) for record in records
        ]
        octets: bytes = message.toStr()
        return octets


class _Handler(socketserver.BaseRequestHandler):
    server: NameServer

    def handle(self) -> None:
        question, sock = self.request
        if self.server.silent:
            self.server.swallowed += 1
        else:
            sock.sendto(self.server.answer(question), self.client_address)


@contextmanager
def running_name_server(
    *,
    mx: Mapping[str, Sequence[tuple[int, str]]],
    a: Mapping[str, Sequence[str]],
    also: Mapping[str, Sequence[Any]] | None = None,
) -> Iterator[NameServer]:
    server = NameServer(mx=mx, a=a, also=also)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
