"""An issuer of tokens as tests want it: an HTTPS server that answers introspection by a script."""

from __future__ import annotations

import base64
import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs


class HttpsIssuer:
    """What it says to each token, and what it was asked.

    ``answers``: by token; a mapping is sent as JSON, bytes as they are, a number is the status, an
    Event is waited for before the connection is dropped.
    """

    def __init__(self) -> None:
        self.answers: dict[str, object] = {}
        self.asked: list[str] = []
        self.port = 0
        self.client = ("gateway", "s3cret/+")

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        form = request.rfile.read(int(request.headers["Content-Length"]))
        (token,) = parse_qs(form.decode(), strict_parsing=True)["token"]
        self.asked.append(token)
        kind, _, coded = request.headers.get("Authorization", "").partition(" ")
        # RFC 6749 section 2.3.1: both parts are form-encoded first.
        right = base64.b64encode(b"gateway:s3cret%2F%2B").decode()
        answer = self.answers.get(token, {"active": False})
        if (kind, coded) != ("Basic", right):
            answer = 401
        if isinstance(answer, threading.Event):
            answer.wait(20)
            return
        status = answer if isinstance(answer, int) else 200
        body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        request.send_response(status)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)


@contextmanager
def running_issuer(certificate: Path) -> Iterator[HttpsIssuer]:
    """Args: certificate: PEM with the key in it."""
    issuer = HttpsIssuer()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            issuer.answer(self)

        def log_message(self, *_: object) -> None:
            """Nothing on standard error."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    issuer.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield issuer
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
