"""A mail server of aiosmtpd that keeps each message in a Maildir before it answers 250.

``python -m tests.bench.aiosmtpd_maildir PORT MAILDIR CERTIFICATE KEY``: serves 127.0.0.1 until it
is terminated. A file is written, synced, renamed, and its folder synced, in asyncio's threads.
"""

from __future__ import annotations

import asyncio
import os
import ssl
import sys
import uuid
from pathlib import Path

from aiosmtpd.smtp import SMTP, Envelope, Session

MAX_OCTETS = 52_428_800


class Keeper:
    """aiosmtpd's handler."""

    def __init__(self, maildir: Path) -> None:
        self._maildir = maildir
        for name in ("tmp", "new", "cur"):
            (maildir / name).mkdir(parents=True, exist_ok=True)
        self._new = os.open(maildir / "new", os.O_RDONLY)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        content = envelope.content
        assert isinstance(content, bytes)
        await asyncio.get_running_loop().run_in_executor(None, self._keep, content)
        return "250 OK"

    def _keep(self, content: bytes) -> None:
        name = uuid.uuid4().hex
        path = self._maildir / "tmp" / name
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.write(fd, content)
            os.fsync(fd)
        finally:
            os.close(fd)
        path.rename(self._maildir / "new" / name)
        os.fsync(self._new)


async def serve(port: int, maildir: Path, certificate: str, key: str) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    keeper = Keeper(maildir)
    server = await asyncio.get_running_loop().create_server(
        lambda: SMTP(keeper, data_size_limit=MAX_OCTETS, tls_context=context),
        "127.0.0.1",
        port,
        backlog=512,
    )
    await server.serve_forever()


def main() -> None:
    port, maildir, certificate, key = sys.argv[1:]
    asyncio.run(serve(int(port), Path(maildir), certificate, key))


if __name__ == "__main__":
    main()
