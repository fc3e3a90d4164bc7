"""A directory server in memory, asked through the port ``Asks``: no sockets, no octets but ids.

Answers searches as servers do: in pages, since a number or a time, with RFC 4533 phases, with
tombstones; and fails where a test says. Each change moves its clock, CSN and USN on.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from gateway.directory.dn import dn_key
from gateway.directory.ldap.asking import BindAnswer, Found, Heard, LdapFailed, Server
from gateway.wire.ldap.ber import (
    BOOLEAN,
    ENUMERATED,
    OCTET_STRING,
    SEQUENCE,
    SET,
    expect,
    integer,
    integer_at,
    parts,
    tlv,
)
from gateway.wire.ldap.controls import PAGED_RESULTS, SHOW_DELETED, fields, value_of
from gateway.wire.ldap.filters import And, AtLeast, Filter, Not, Or, matches
from gateway.wire.ldap.messages import Control, Result, Scope, SearchEntry, SearchRequest
from gateway.wire.ldap.sync import SYNC_DONE, SYNC_INFO, SYNC_REQUEST, SYNC_STATE

BASE = "dc=example,dc=test"
AD_CAPABILITY = "1.2.840.113556.1.4.800"
START = 1_700_000_000
Fails = Callable[[int, SearchRequest], LdapFailed | int | None]


@dataclass
class Row:
    """An entry with what the server keeps beside it."""

    dn: str
    attributes: dict[str, list[bytes]]
    number: int
    deleted: bool = False


@dataclass
class FakeServer:
    """Args:
    offers: of ``csn``, ``sync``, ``usn``, ``stamps``, ``pages``, ``tombstones``.
    session_log: RFC 4533 tells who is gone; otherwise who is there.
    seconds: of its clock, from START on.
    fails: by the number of the request: nobody answers, or a result code (after the entries).
    """

    offers: set[str] = field(default_factory=lambda: {"pages", "stamps"})
    seconds: Callable[[], float] = lambda: 0.0
    name: str = "ldap://fake"
    session_log: bool = True
    fails: Fails = lambda number, request: None
    rows: dict[str, Row] = field(default_factory=dict)
    changes: int = 0
    requests: list[SearchRequest] = field(default_factory=list)
    down: bool = False
    opened: int = 0
    open_now: int = 0
    invocation: bytes = b"\x01" * 16
    most: int = 0
    """Of an answer that is not paged."""

    # -- changes

    def add(self, uid: str, dn: str = "", /, **attributes: str | Sequence[str]) -> str:
        entry_id = str(uuid.uuid5(uuid.NAMESPACE_OID, uid))
        person: dict[str, str | Sequence[str]] = {
            "objectClass": "inetOrgPerson",
            "uid": uid,
            "mail": f"{uid}@example.test",
        }
        row = Row(dn or f"uid={uid},ou=people,{BASE}", {}, 0)
        self.rows[entry_id] = row
        row.attributes["entryuuid"] = [entry_id.encode()]
        self.modify(uid, **{**person, **attributes})
        return entry_id

    def add_group(self, uid: str, members: Sequence[str], **attributes: str) -> str:
        return self.add(uid, f"cn={uid},{BASE}", objectClass="groupOfNames", cn=uid, member=members)

    def modify(self, uid: str, /, **attributes: str | Sequence[str]) -> None:
        """An empty value takes the attribute away."""
        row = self._row(uid)
        for name, values in attributes.items():
            each = [values] if isinstance(values, str) else values
            row.attributes[name.lower()] = [value.encode() for value in each if value]
        self._touch(row)

    def move(self, uid: str, dn: str) -> None:
        row = self._row(uid)
        row.dn = dn
        self._touch(row)

    def delete(self, *uids: str) -> None:
        for uid in uids:
            row = self._row(uid)
            row.deleted = True
            row.dn = f"cn={uid},cn=Deleted Objects,{BASE}"
            self._touch(row)

    def _row(self, uid: str) -> Row:
        return self.rows[str(uuid.uuid5(uuid.NAMESPACE_OID, uid))]

    def _touch(self, row: Row) -> None:
        self.changes += 1
        row.number = self.changes
        stamp = self.stamp(int(self.seconds()))
        row.attributes["modifytimestamp"] = [stamp.encode()]

    @staticmethod
    def stamp(number: int) -> str:
        return time.strftime("%Y%m%d%H%M%SZ", time.gmtime(START + number))

    @staticmethod
    def csn(number: int) -> str:
        stamp = FakeServer.stamp(number)[:-1]
        return f"{stamp}.000000Z#000000#001#000000"

    def number_of(self, csn: str) -> int:
        return next(n for n in range(self.changes + 1_000) if self.csn(n) == csn)

    # -- being asked

    @property
    def root(self) -> SearchEntry:
        said: dict[str, list[str]] = {"namingcontexts": [BASE], "supportedcontrol": []}
        if "pages" in self.offers:
            said["supportedcontrol"].append(PAGED_RESULTS)
        if "sync" in self.offers:
            said["supportedcontrol"].append(SYNC_REQUEST)
        if "usn" in self.offers:
            said["highestcommittedusn"] = [str(self.changes)]
            said["dsservicename"] = [f"cn=NTDS Settings,cn=DC1,{BASE}"]
            said["defaultnamingcontext"] = [BASE]
        return SearchEntry("", {name: [v.encode() for v in vs] for name, vs in said.items()})

    def asked(self, request: SearchRequest) -> LdapFailed | int | None:
        self.requests.append(request)
        return self.fails(len(self.requests), request)

    def found(self, request: SearchRequest, controls: Sequence[Control]) -> list[Row] | None:
        """None: there is no such base."""
        if request.base == "":
            return [Row("", dict(_lists(self.root)), 0)]
        if request.base.startswith("<WKGUID=18E2"):
            shown = {"isdeleted": [b"TRUE"]} if "tombstones" in self.offers else {}
            return [Row(request.base, shown, 0)]
        if request.base.startswith("cn=NTDS"):
            return [Row(request.base, {"invocationid": [self.invocation]}, 0)]
        base = dn_key(request.base)
        if base == dn_key(BASE) and request.scope is Scope.BASE:
            csn = [self.csn(self.changes).encode()] if "csn" in self.offers else []
            return [Row(BASE, {"contextcsn": csn}, 0)]
        deleted = SHOW_DELETED in controls and "tombstones" in self.offers
        return [
            row
            for row in self.rows.values()
            if (not row.deleted or deleted)
            and (dn_key(row.dn) == base or dn_key(row.dn).endswith("," + base))
            and self._matches(request.wanted, row)
        ]

    def _matches(self, wanted: Filter, row: Row) -> bool:
        match wanted:
            case And(operands):
                return all(self._matches(each, row) for each in operands)
            case Or(operands):
                return any(self._matches(each, row) for each in operands)
            case Not(operand):
                return not self._matches(operand, row)
            case AtLeast("uSNChanged", value):
                return row.number >= int(value)
            case AtLeast("entryCSN", value):
                return self.csn(row.number) >= value
            case AtLeast("modifyTimestamp", value):
                return row.attributes["modifytimestamp"][0].decode() >= value
        return matches(wanted, row.attributes)


def _lists(entry: SearchEntry) -> Mapping[str, list[bytes]]:
    return {name: list(values) for name, values in entry.attributes.items()}


class FakeListening:
    """Implements Listening."""

    def __init__(self, server: FakeServer) -> None:
        self._server = server
        self.server = Server(server.name, server.root)
        self.closed = False

    async def search(
        self,
        request: SearchRequest,
        controls: Sequence[Control] = (),
        *,
        heard: Heard | None = None,
    ) -> Found:
        assert not self.closed
        fails = self._server.asked(request)
        if isinstance(fails, LdapFailed):
            raise fails
        code = fails or 0
        rows = self._server.found(request, controls)
        if rows is None:
            return Found(Result(32), ())
        if heard is not None and value_of(controls, SYNC_REQUEST) is not None:
            return await self._synchronise(request, controls, rows, heard, code)
        value = value_of(controls, PAGED_RESULTS)
        answer: tuple[Control, ...] = ()
        if value is not None and "pages" in self._server.offers:
            (_, first, end), (_, start, stop) = fields(value, 2)
            at, size = int(value[start:stop] or b"0"), integer_at(value, first, end)
            cookie = str(at + size).encode() if at + size < len(rows) else b""
            rows = rows[at : at + size]
            inside = integer(0) + tlv(OCTET_STRING, cookie)
            answer = (Control(PAGED_RESULTS, False, tlv(SEQUENCE, inside)),)
        elif self._server.most and len(rows) > self._server.most:
            rows, code = rows[: self._server.most], 4
        entries = tuple(self._brought(row, request) for row in rows)
        if heard is not None:
            for entry in entries:
                waited = heard(entry, ())
                if waited is not None:
                    await waited
            entries = ()
        return Found(Result(code), entries, answer)

    @staticmethod
    def _brought(row: Row, request: SearchRequest) -> SearchEntry:
        wanted = {name.lower() for name in request.attributes}
        return SearchEntry(
            row.dn,
            {
                name: tuple(values)
                for name, values in row.attributes.items()
                if values and name.partition(";")[0] in {each.partition(";")[0] for each in wanted}
            },
        )

    async def _synchronise(
        self,
        request: SearchRequest,
        controls: Sequence[Control],
        rows: list[Row],
        heard: Heard,
        code: int,
    ) -> Found:
        value = value_of(controls, SYNC_REQUEST)
        assert value is not None
        start, end = expect(value, 0, len(value), SEQUENCE)
        cookie = next(value[a:b] for tag, a, b in parts(value, start, end) if tag == OCTET_STRING)
        since = self._server.number_of(cookie.decode().partition("csn=")[2])
        there = []
        for row in rows:
            if row.number <= since:
                there.append(_octets(row))
                continue
            state = tlv(ENUMERATED, b"\x02") + tlv(OCTET_STRING, _octets(row))
            waited = heard(
                self._brought(row, request), (Control(SYNC_STATE, False, tlv(SEQUENCE, state)),)
            )
            if waited is not None:
                await waited
        log = self._server.session_log
        if log:
            live = set(map(id, rows))
            rest = [r for r in self._server.rows.values() if id(r) not in live]
            there = [_octets(row) for row in rest if row.number > since]
        ids = tlv(SET, b"".join(tlv(OCTET_STRING, each) for each in there))
        flag = tlv(BOOLEAN, b"\xff") if log else b""
        if there:
            heard(SearchEntry("", {}), (Control(SYNC_INFO, False, tlv(0xA3, flag + ids)),))
        new = f"rid=000,csn={self._server.csn(self._server.changes)}".encode()
        done = tlv(SEQUENCE, tlv(OCTET_STRING, new) + flag)
        return Found(Result(code), (), (Control(SYNC_DONE, False, done),))

    async def close(self) -> None:
        if not self.closed:
            self.closed = True
            self._server.open_now -= 1


def _octets(row: Row) -> bytes:
    return uuid.UUID(row.attributes["entryuuid"][0].decode()).bytes


class FakeAsks:
    """Implements Asks; ``server`` may be replaced."""

    def __init__(self, server: FakeServer) -> None:
        self.server = server

    async def search(self, request: SearchRequest, controls: Sequence[Control] = ()) -> Found:
        listening = await self.listening()
        try:
            return await listening.search(request, controls)
        finally:
            await listening.close()

    async def bind(self, dn: str, password: bytes) -> BindAnswer:
        raise LdapFailed("nobody binds here")

    async def listening(self) -> FakeListening:
        if self.server.down:
            raise LdapFailed("connection refused")
        self.server.opened += 1
        self.server.open_now += 1
        assert self.server.open_now == 1, "two refreshes at once"
        return FakeListening(self.server)

    async def close(self) -> None:
        pass
