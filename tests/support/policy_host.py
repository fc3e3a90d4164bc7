"""An HTTPS server that hands out MTA-STS policies (RFC 8461 section 3.3) and takes reports."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class PolicyHost:
    """Attributes:
    answers: status, content type and content, by host and path.
    asked: hosts and paths.
    posted: host and path, type and content of reports.
    """

    def __init__(self) -> None:
        self.answers: dict[str, tuple[int, str, bytes]] = {}
        self.asked: list[str] = []
        self.posted: list[tuple[str, str, bytes]] = []

    def policy(self, domain: str, *lines: str) -> None:
        text = "\r\n".join(("version: STSv1", *lines, "max_age: 86400")).encode()
        self.answers[f"mta-sts.{domain}/.well-known/mta-sts.txt"] = (200, "text/plain", text)


@contextmanager
def running_policy_host(
    certificate: Path, address: str = "127.0.0.1", port: int = 443
) -> Iterator[PolicyHost]:
    """Args: certificate: PEM with the key in it."""
    host = PolicyHost()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            where = f"{self.headers['Host']}{self.path}"
            host.asked.append(where)
            status, kind, content = host.answers.get(where, (404, "text/plain", b""))
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            if status == 302:
                self.send_header("Location", f"https://{self.headers['Host']}/other")
            self.end_headers()
            self.wfile.write(content)

        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers["Content-Length"]))
            where = f"{self.headers['Host']}{self.path}"
            host.posted.append((where, self.headers["Content-Type"], content))
            self.send_response(201)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing on standard error."""

    server = ThreadingHTTPServer((address, port), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # a client that distrusts
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield host
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
