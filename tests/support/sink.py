"""A scripted SMTP server on loopback that keeps what it is sent, for tests of the sending side."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class Received:
    sender: str
    recipients: list[str]
    message: bytes


@dataclass
class Script:
    """How the sink answers; changed by tests while it runs."""

    refuse_rcpt: dict[str, str] = field(default_factory=dict)
    refuse_mail: str = ""
    received: list[Received] = field(default_factory=list)
    connections: int = 0


class _Handler(socketserver.StreamRequestHandler):
    server: Sink

    def handle(self) -> None:
        script = self.server.script
        script.connections += 1
        sender, recipients = "", list[str]()
        self._say("220 sink.example ESMTP")
        while line := self.rfile.readline().decode("latin-1").rstrip("\r\n"):
            verb = line.upper()
            if verb.startswith("EHLO"):
                self._say("250-sink.example", "250-PIPELINING", "250-8BITMIME", "250 SIZE 99999999")
            elif verb.startswith("MAIL FROM:"):
                sender, recipients = line[10:].split(">")[0].lstrip("<"), []
                self._say(script.refuse_mail or "250 2.1.0 ok")
            elif verb.startswith("RCPT TO:"):
                address = line[8:].split(">")[0].lstrip("<")
                refusal = script.refuse_rcpt.get(address, "")
                if not refusal:
                    recipients.append(address)
                self._say(refusal or "250 2.1.5 ok")
            elif verb == "DATA":
                if not recipients:
                    self._say("554 5.5.1 no recipients")
                    continue
                self._say("354 go on")
                lines = []
                while (data := self.rfile.readline()) != b".\r\n":
                    if not data:
                        return
                    lines.append(data.removeprefix(b"."))
                script.received.append(Received(sender, recipients, b"".join(lines)))
                self._say("250 2.0.0 kept")
            elif verb == "QUIT":
                self._say("221 2.0.0 bye")
                return
            else:
                self._say("250 2.0.0 ok")

    def _say(self, *lines: str) -> None:
        self.wfile.write("".join(f"{line}\r\n" for line in lines).encode())


class Sink(socketserver.ThreadingTCPServer):
    """Listens on a port of its own choice unless told otherwise."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, address: str = "127.0.0.1", port: int = 0) -> None:
        super().__init__((address, port), _Handler)
        self.script = Script()

    @property
    def port(self) -> int:
        port: int = self.socket.getsockname()[1]
        return port

    def handle_error(self, request: object, client_address: object) -> None:
        """A peer that goes away in the middle is part of some tests."""


@contextmanager
def running_sink(address: str = "127.0.0.1", port: int = 0) -> Iterator[Sink]:
    sink = Sink(address, port)
    thread = threading.Thread(target=sink.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield sink
    finally:
        sink.shutdown()
        thread.join()
        sink.server_close()
