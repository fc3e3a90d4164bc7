"""A server that shakes hands with a client by whatever certificate a test has, and says nothing."""

from __future__ import annotations

import ssl
import threading
from pathlib import Path
from socket import create_server, socket
from types import TracebackType


class TlsListener:
    """Keeps what comes through; a context manager.

    Args:
        certificate: PEM, as the key.
        folder: for their files.
    """

    def __init__(self, certificate: bytes, key: bytes, folder: Path) -> None:
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        for name, octets in (("certificate", certificate), ("key", key)):
            (folder / name).write_bytes(octets)
        self.context.load_cert_chain(folder / "certificate", folder / "key")
        self.listener: socket = create_server(("127.0.0.1", 0))
        self.port: int = self.listener.getsockname()[1]
        self.received = b""
        self.thread = threading.Thread(target=self._serve, daemon=True)

    def _serve(self) -> None:
        peer, _ = self.listener.accept()
        with peer:
            peer.settimeout(10)
            try:
                with self.context.wrap_socket(peer, server_side=True) as tls:
                    self.received = tls.recv(4096)
            except OSError:
                pass

    def __enter__(self) -> TlsListener:
        self.thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.thread.join(10)
        self.listener.close()
