"""A server for the sending side, by a script, over transports in memory and task.Clock.

A reply is octets, or one of CLOSE (hang up instead) and HANG (nothing more). Everything happens in
``clock.advance``, so that a test sees every step.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from OpenSSL.SSL import Error as TlsError
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectionDone, ConnectionLost, ConnectionRefusedError
from twisted.internet.task import Clock
from twisted.python.failure import Failure

CLOSE = b"close"
HANG = b"hang"
CHUNKING_EHLO = b"250-mx.y.example\r\n250-PIPELINING\r\n250 CHUNKING\r\n"
PLAIN_EHLO = b"250-mx.y.example\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SIZE 0\r\n"
TLS_EHLO = b"250-mx.y.example\r\n250-STARTTLS\r\n250 AUTH PLAIN LOGIN\r\n"


@dataclass
class Script:
    """What one server answers, and what it has seen.

    Args:
        replies: by verb (``MAIL``), or by a whole line where one differs from the others; ``.`` is
            the end of data. A list is taken from its front, the last one stays.
        skips_chunks: octets of a BDAT are read, whatever it is answered.
        handshake: ``ok``, ``fail`` or ``hang``.
        tls_ehlo: EHLO's answer inside TLS.
    """

    greeting: bytes = b"220 mx.y.example\r\n"
    ehlo: bytes = PLAIN_EHLO
    tls_ehlo: bytes = PLAIN_EHLO
    replies: dict[str, bytes | list[bytes]] = field(default_factory=dict)
    skips_chunks: bool = True
    handshake: str = "ok"
    close_in_body: bool = False
    lines: list[str] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    creators: list[Any] = field(default_factory=list)
    connections: list[PeerTransport] = field(default_factory=list)

    def reply(self, line: str, tls: bool) -> bytes:
        verb = line.split(" ")[0].split(":")[0].upper()
        for key in (line, verb):
            if key in self.replies:
                reply = self.replies[key]
                if isinstance(reply, bytes):
                    return reply
                return reply.pop(0) if len(reply) > 1 else reply[0]
        if verb in ("EHLO", "LHLO"):
            return self.tls_ehlo if tls else self.ehlo
        if verb == "DATA":
            return b"354 go\r\n"
        if verb == "AUTH":
            return b"235 welcome\r\n"
        return {"STARTTLS": b"220 go\r\n", "QUIT": b"221 bye\r\n"}.get(verb, b"250 ok\r\n")


class PeerTransport:
    """The client's transport; the script sits at its other end."""

    def __init__(self, script: Script, clock: Clock) -> None:
        self.script = script
        self.clock = clock
        self.protocol: Any = None
        self.producer: Any = None
        self.written = b""
        self.open = True
        self.aborted = False
        self._buffer = b""
        self._in_body = False
        self._tls = False
        self._chunk = -1  # octets that a BDAT has announced
        self._hangs = False

    def start(self, protocol: Any) -> None:
        self.protocol = protocol
        protocol.makeConnection(self)
        self.say(self.script.greeting)

    def say(self, data: bytes) -> None:
        if data == CLOSE:
            self.lose(ConnectionDone())
        elif data == HANG:
            self._hangs = True
        else:
            self.clock.callLater(0, self._deliver, data)

    def _deliver(self, data: bytes) -> None:
        if self.open:
            self.protocol.dataReceived(data)

    def lose(self, why: Exception) -> None:
        if self.open:
            self.open = False
            self.clock.callLater(0, self.protocol.connectionLost, Failure(why))

    # -- what the protocol calls

    def getHost(self) -> IPv4Address:
        return IPv4Address("TCP", "192.0.2.250", 40_000)

    def write(self, data: bytes) -> None:
        self.written += data
        self._buffer += data
        self.clock.callLater(0, self._read)

    def loseConnection(self) -> None:
        self.lose(ConnectionDone())

    def abortConnection(self) -> None:
        self.aborted = True
        self.lose(ConnectionLost())

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        assert streaming and self.producer is None
        self.producer = producer

    def unregisterProducer(self) -> None:
        self.producer = None

    def startTLS(self, creator: Any) -> None:
        self.script.creators.append(creator)
        self._tls = True
        if self.script.handshake == "ok":
            self.clock.callLater(0, self.protocol.handshakeCompleted)
        elif self.script.handshake == "fail":
            self.lose(TlsError([("SSL routines", "", "certificate verify failed")]))

    # -- the server

    def _read(self) -> None:
        while self.open and not self._hangs:
            if self._chunk >= 0:
                if len(self._buffer) < self._chunk:
                    return
                self.script.bodies.append(self._buffer[: self._chunk])
                self._buffer = self._buffer[self._chunk :]
                self._chunk = -1
                self.say(self.script.reply("BDAT", self._tls))
                continue
            if self._in_body and self._buffer and self.script.close_in_body:
                self.lose(ConnectionLost())
                return
            if self._in_body:
                end = (b"\r\n" + self._buffer).find(b"\r\n.\r\n")
                if end < 0:
                    return
                self.script.bodies.append(self._buffer[:end])
                self._buffer = self._buffer[end + 3 :]
                self._in_body = False
                line = "."
            else:
                octets, found, rest = self._buffer.partition(b"\r\n")
                if not found:
                    return
                self._buffer = rest
                line = octets.decode("latin-1")
            self.script.lines.append(line)
            if line.startswith("BDAT ") and self.script.skips_chunks:
                self._chunk = int(line.split(" ")[1])
                continue
            reply = self.script.reply(line, self._tls)
            self._in_body = line == "DATA" and reply.startswith(b"354")
            self.say(reply)


class Network:
    """Endpoints for scripts by IP address or path; what has no script refuses connections."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.scripts: dict[str, Script] = {}
        self.problems: dict[str, Exception] = {}
        self.tried: list[tuple[str, int]] = []

    def add(self, ip: str, script: Script | None = None) -> Script:
        self.scripts[ip] = script or Script()
        return self.scripts[ip]

    def __call__(self, ip: str, port: int, timeout_s: float) -> Any:
        return _Endpoint(self, ip, port)

    def at_socket(self, path: str, timeout_s: float) -> Any:
        return _Endpoint(self, path, 0)


class _Endpoint:
    def __init__(self, network: Network, ip: str, port: int) -> None:
        self._network = network
        self._ip = ip
        self._port = port

    def connect(self, factory: Any) -> Deferred[Any]:
        self._network.tried.append((self._ip, self._port))
        script = self._network.scripts.get(self._ip)
        if script is None:
            return fail(self._network.problems.get(self._ip, ConnectionRefusedError()))
        protocol = factory.buildProtocol(None)
        transport = PeerTransport(script, self._network.clock)
        script.connections.append(transport)
        transport.start(protocol)
        return succeed(protocol)
