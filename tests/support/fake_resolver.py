"""DNS answers out of a dictionary, in the shapes of twisted.names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.names import dns
from twisted.names.error import DNSNameError

Answer = Sequence[Any] | Exception


class FakeResolver:
    """Answers by (type, name); an unknown name does not exist, a known one may lack a type."""

    def __init__(
        self,
        *,
        mx: dict[str, Sequence[tuple[int, str]] | Exception] | None = None,
        a: dict[str, Sequence[str] | Exception] | None = None,
        aaaa: dict[str, Sequence[str] | Exception] | None = None,
        ptr: dict[str, Sequence[str] | Exception] | None = None,
        txt: dict[str, Sequence[str] | Exception] | None = None,
    ) -> None:
        self.mx = mx or {}
        self.a = a or {}
        self.aaaa = aaaa or {}
        self.ptr = ptr or {}
        self.txt = txt or {}
        self.held: list[Deferred[Any]] | None = None  # a list: answers wait in it for the test
        self.asked: list[tuple[str, str]] = []

    def lookupMailExchange(self, name: bytes, timeout: Sequence[float]) -> Deferred[Any]:
        return self._answer("MX", name, self.mx, lambda pair: dns.Record_MX(pair[0], pair[1]))

    def lookupAddress(self, name: bytes, timeout: Sequence[float]) -> Deferred[Any]:
        return self._answer("A", name, self.a, dns.Record_A)

    def lookupIPV6Address(self, name: bytes, timeout: Sequence[float]) -> Deferred[Any]:
        return self._answer("AAAA", name, self.aaaa, dns.Record_AAAA)

    def lookupPointer(self, name: bytes, timeout: Sequence[float]) -> Deferred[Any]:
        return self._answer("PTR", name, self.ptr, dns.Record_PTR)

    def lookupText(self, name: bytes, timeout: Sequence[float]) -> Deferred[Any]:
        return self._answer("TXT", name, self.txt, lambda text: dns.Record_TXT(text.encode()))

    def _answer(self, kind: str, octets: bytes, table: Any, record: Any) -> Deferred[Any]:
        name = octets.decode()
        self.asked.append((kind, name))
        if self.held is not None:
            self.held.append(Deferred())
            return self.held[-1]
        found = table.get(name)
        if isinstance(found, Exception):
            return fail(found)
        if found is None:
            if name not in {*self.mx, *self.a, *self.aaaa, *self.ptr, *self.txt}:
                return fail(DNSNameError(name))
            found = ()
        headers = [
            dns.RRHeader(name, type=payload.TYPE, payload=payload) for payload in map(record, found)
        ]
        return succeed((headers, [], []))
