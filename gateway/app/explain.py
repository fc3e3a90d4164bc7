"""``gateway explain`` without a running gateway: ``python -m gateway.app.explain``.

Owns a process that builds what a gateway consists of, rehearses one session, prints the answer and
ends. It reads one JSON object on standard input, ``{"config": path or null, "request": ...}``, and
writes one: ``{"answer": ...}`` or ``{"error": text, "status": exit status}``.

Without a store it works beside an empty one, in a directory that goes with it. Nothing listens, and
the queue does not run.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from gateway.app.asking import answer
from gateway.app.build import build
from gateway.app.certificates import tls_files
from gateway.app.server import MailServer
from gateway.core.errors import GatewayError, SettingsError
from gateway.core.settings.load import load_from
from gateway.core.settings.model import Settings
from gateway.edge.tls_material import TlsMaterial
from gateway.store.layout import Layout


def main() -> None:
    """Answer, and end with status 0; what went wrong is in the answer."""
    asked = json.loads(sys.stdin.read())
    with tempfile.TemporaryDirectory(prefix="gateway-explain-") as folder:
        try:
            settings = load_from(asked["config"], os.environ, _read).settings
            if not Layout(Path(settings.state_dir)).index.exists():
                settings = settings.model_copy(update={"state_dir": folder})
            said: Mapping[str, object] = {"answer": _run(settings, asked["request"])}
        except SettingsError as error:
            said = {"error": "\n".join(map(str, error.problems)), "status": 2}
        except GatewayError as error:
            said = {"error": str(error), "status": 1}
    json.dump(said, sys.stdout)


def _read(name: str) -> str:
    return Path(name).read_text("utf-8")


def _run(settings: Settings, request: object) -> Any:
    """Raises: GatewayError."""
    from twisted.internet import reactor

    running: Any = reactor
    parts = build(settings, running)
    outcome: list[Any] = []

    async def flow() -> Any:
        server = MailServer(parts, running, tls=_tls(settings), clear_text_login=False)
        try:
            return await answer(server, "explain", request)
        finally:
            await server.stop()

    def begin() -> None:
        Deferred.fromCoroutine(flow()).addBoth(outcome.append).addBoth(lambda _: running.stop())

    running.callWhenRunning(begin)
    running.run()
    (result,) = outcome
    if isinstance(result, Failure):
        result.raiseException()
    return result


def _tls(settings: Settings) -> TlsMaterial | None:
    if all(each.tls == "none" for each in settings.listen):
        return None
    return tls_files(settings).read()


if __name__ == "__main__":
    main()
