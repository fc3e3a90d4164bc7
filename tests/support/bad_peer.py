"""Mail servers that behave badly by a table, on real sockets, each with an address of its own.

Owns one thread with all of them, in the network of whoever starts it. Each keeps what it took,
said so or not. What a row of the table does not name is done as a good server does it: ESMTP with
PIPELINING and 8BITMIME, STARTTLS and AUTH where the row gives a certificate or a password.
Never judges the client: the tests do.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import tempfile
import threading
from base64 import b64decode
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum

PORT = 25
GOOD_OFFER = ("PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES", "SIZE 99999999")
DRIP_EVERY_S = 0.2


class Act(Enum):
    """What happens instead of a reply."""

    CLOSE = "closes"
    HANG = "never answers"
    DRIP = "drips octets of a reply that never ends"
    LONG_LINE = "sends a line that never ends"
    MANY_LINES = "sends lines that never end"
    TAKE_AND_CLOSE = "keeps the message and closes before it says so"


@dataclass(frozen=True)
class Conduct:
    """One row.

    Args:
        at: by stage: ``connect``, ``greeting``, a verb, ``handshake``, ``body`` or ``.`` (the end
            of data). Octets are sent as they are; after a 421 the connection is closed.
        times: so many connections see it, and these in their first transaction only; later ones
            see a good server; 0: all do.
        offers: what EHLO shows besides STARTTLS and AUTH.
        refuses: answers to RCPT by local part, on every connection.
        most: recipients taken in one transaction; the rest hears 452.
        pieces: replies leave in pieces of so many octets; 0: whole.
        tls: certificate and key in PEM.
        login: user and password, asked for under TLS.
    """

    at: Mapping[str, Act | bytes] = field(default_factory=dict)
    times: int = 0
    offers: Sequence[str] = GOOD_OFFER
    refuses: Mapping[str, bytes] = field(default_factory=dict)
    most: int = 1000
    pieces: int = 0
    tls: tuple[bytes, bytes] | None = None
    login: tuple[str, str] | None = None


@dataclass(frozen=True)
class Taken:
    """A message this peer is now answerable for, said so or not."""

    sender: str
    recipients: tuple[str, ...]
    message: bytes
    secure: bool
    answered: bool


@dataclass
class Peer:
    """One server and what it has seen."""

    conduct: Conduct
    taken: list[Taken] = field(default_factory=list)
    connections: int = 0
    verbs: list[str] = field(default_factory=list)
    context: ssl.SSLContext | None = None

    def copies(self, recipient: str) -> int:
        return sum(each.recipients.count(recipient) for each in list(self.taken))


class _Gone(Exception):
    """The connection is over."""


class _Talk:
    """One connection."""

    def __init__(
        self, peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        conduct = peer.conduct
        self.peer = peer
        seen = bool(conduct.times) and peer.connections >= conduct.times
        self.bad: Mapping[str, Act | bytes] = {} if seen else conduct.at
        self.reader = reader
        self.writer = writer
        self.secure = self.logged_in = False
        self.sender = ""
        self.recipients: list[str] = []
        self.transactions = 0
        peer.connections += 1

    async def run(self) -> None:
        if self.bad.get("connect") is Act.CLOSE:
            return
        await self._answer("greeting", b"220 bad.example ESMTP")
        while line := await self.reader.readline():
            verb = line.partition(b" ")[0].partition(b":")[0].strip().upper().decode("latin-1")
            self.peer.verbs.append(verb)
            handler = _VERBS.get(verb)
            if handler is not None:
                await handler(self, line)
            else:
                await self._answer(verb, b"250 2.0.0 ok")

    # -- verbs

    async def _ehlo(self, line: bytes) -> None:
        conduct = self.peer.conduct
        shown = ["bad.example", *conduct.offers]
        if conduct.tls is not None and not self.secure:
            shown.append("STARTTLS")
        if conduct.login is not None and self.secure:
            shown.append("AUTH PLAIN")
        lines = [f"250-{each}" for each in shown[:-1]] + [f"250 {shown[-1]}"]
        await self._answer("EHLO", "\r\n".join(lines).encode())

    async def _starttls(self, line: bytes) -> None:
        if self.peer.context is None:
            await self._say(b"502 5.5.1 no TLS")
            return
        await self._answer("STARTTLS", b"220 2.0.0 go")
        reply = self.bad.get("STARTTLS", b"220")
        if not isinstance(reply, bytes) or not reply.startswith(b"220"):
            return
        if "handshake" in self.bad:
            await self.reader.read(1)  # of the client's first words: nothing is injected before
            await self._answer("handshake", b"")
            return
        await self.writer.start_tls(self.peer.context)
        self.secure = True

    async def _auth(self, line: bytes) -> None:
        user, password = self.peer.conduct.login or ("", "")
        right = f"\0{user}\0{password}".encode()
        words = line.split()
        self.logged_in = len(words) == 3 and b64decode(words[2]) == right
        good = b"235 2.7.0 welcome" if self.logged_in else b"535 5.7.8 wrong"
        await self._answer("AUTH", good)

    async def _mail(self, line: bytes) -> None:
        if self.transactions and self.peer.conduct.times:
            self.bad = {}
        self.transactions += 1
        self.sender, self.recipients = _path(line), []
        wants_login = self.peer.conduct.login is not None and not self.logged_in
        await self._answer("MAIL", b"530 5.7.0 log in" if wants_login else b"250 2.1.0 ok")

    async def _rcpt(self, line: bytes) -> None:
        address = _path(line)
        refusal = self.peer.conduct.refuses.get(address.partition("@")[0])
        if refusal is None and len(self.recipients) >= self.peer.conduct.most:
            refusal = b"452 4.5.3 too many recipients"
        if refusal is not None:
            await self._say(refusal)
            return
        if "RCPT" not in self.bad:
            self.recipients.append(address)
        await self._answer("RCPT", b"250 2.1.5 ok")

    async def _data(self, line: bytes) -> None:
        if not self.recipients and "DATA" not in self.bad:
            await self._say(b"554 5.5.1 no recipients")
            return
        await self._answer("DATA", b"354 go on")
        reply = self.bad.get("DATA", b"354")
        if not isinstance(reply, bytes) or not reply.startswith(b"354"):
            return
        if "body" in self.bad:
            await self.reader.readline()
            await self._answer("body", b"")
        lines = []
        while (data := await self.reader.readline()) != b".\r\n":
            if not data:
                raise _Gone()
            lines.append(data.removeprefix(b"."))
        end = self.bad.get(".")
        if end is None or end is Act.TAKE_AND_CLOSE or (isinstance(end, bytes) and end[:1] == b"2"):
            self.peer.taken.append(
                Taken(
                    self.sender,
                    tuple(self.recipients),
                    b"".join(lines),
                    self.secure,
                    end is not Act.TAKE_AND_CLOSE,
                )
            )
        self.recipients = []
        await self._answer(".", b"250 2.0.0 kept")

    async def _rset(self, line: bytes) -> None:
        self.recipients = []
        await self._answer("RSET", b"250 2.0.0 ok")

    async def _quit(self, line: bytes) -> None:
        await self._answer("QUIT", b"221 2.0.0 bye")
        raise _Gone()

    # -- answers

    async def _answer(self, stage: str, good: bytes) -> None:
        match self.bad.get(stage, good):
            case bytes(octets):
                await self._say(octets)
            case Act.CLOSE | Act.TAKE_AND_CLOSE:
                raise _Gone()
            case Act.HANG:
                while await self.reader.read(65_536):
                    pass
                raise _Gone()
            case Act.DRIP:
                await self._for_ever(b"2", DRIP_EVERY_S)
            case Act.LONG_LINE:
                self.writer.write(b"250 ")
                await self._for_ever(b"x" * 65_536, 0)
            case Act.MANY_LINES:
                await self._for_ever(b"250-and more\r\n" * 1000, 0)

    async def _for_ever(self, octets: bytes, pause_s: float) -> None:
        """Till the client has had enough of it."""
        while not self.reader.at_eof():
            self.writer.write(octets)
            await self.writer.drain()
            await asyncio.sleep(pause_s)
        raise _Gone()

    async def _say(self, octets: bytes) -> None:
        if not octets:
            return
        line = octets if octets.endswith(b"\n") else octets + b"\r\n"
        step = self.peer.conduct.pieces or len(line)
        for start in range(0, len(line), step):
            self.writer.write(line[start : start + step])
            await self.writer.drain()
            if self.peer.conduct.pieces:
                await asyncio.sleep(0)
        if octets.startswith(b"421"):
            raise _Gone()


_VERBS = {
    "EHLO": _Talk._ehlo,
    "STARTTLS": _Talk._starttls,
    "AUTH": _Talk._auth,
    "MAIL": _Talk._mail,
    "RCPT": _Talk._rcpt,
    "DATA": _Talk._data,
    "RSET": _Talk._rset,
    "QUIT": _Talk._quit,
}


def _path(line: bytes) -> str:
    return line.decode("utf-8", "replace").partition("<")[2].partition(">")[0]


class BadPeers:
    """All of a table, by the address they listen on."""

    def __init__(self, conducts: Mapping[str, Conduct]) -> None:
        self.peers = {address: Peer(conduct) for address, conduct in conducts.items()}
        for peer in self.peers.values():
            if peer.conduct.tls is not None:
                peer.context = _context(*peer.conduct.tls)

    async def serve(self, started: threading.Event, stop: asyncio.Event) -> None:
        servers = [
            await asyncio.start_server(self._connected, address, PORT) for address in self.peers
        ]
        started.set()
        await stop.wait()
        for server in servers:
            server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = self.peers[writer.get_extra_info("sockname")[0]]
        with contextlib.suppress(_Gone, OSError, ssl.SSLError, asyncio.CancelledError):
            await _Talk(peer, reader, writer).run()
        writer.close()


def _context(certificate: bytes, key: bytes) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile() as file:
        file.write(certificate + key)
        file.flush()
        context.load_cert_chain(file.name)
    return context


@contextmanager
def bad_peers(conducts: Mapping[str, Conduct]) -> Iterator[Mapping[str, Peer]]:
    """Peers by their addresses, which must be this machine's (private_network)."""
    peers = BadPeers(conducts)
    started = threading.Event()
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()

    def serve() -> None:
        with contextlib.closing(loop):
            loop.run_until_complete(peers.serve(started, stop))

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        assert started.wait(20), "the peers do not listen"
        yield peers.peers
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
