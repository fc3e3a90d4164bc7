"""Makes a stopped gateway send the reports about TLS that are due, as it would do by itself within
hours: ``python -m tests.support.send_tls_reports CONFIG``. Its clock stands at noon yesterday, so
that the time of day at which a test runs makes no difference."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import react

from gateway.app.build import open_alone
from gateway.app.outbound import outbound_trust
from gateway.app.tls_care import make_tls_care
from gateway.core.settings.load import load
from gateway.wire.tlsrpt import DAY_S


async def send(reactor: Any, config: Path) -> None:
    real = time.time()
    time.time = lambda: (real // DAY_S - 0.5) * DAY_S
    settings = load(config.read_text(), source=str(config), environ={}, read_secret=str).settings
    store = open_alone(settings, reactor)
    care = make_tls_care(settings, reactor, outbound_trust(settings).tls, store)
    assert care._reports is not None
    await care._reports.send_due()
    await care.stop()
    await store.close()


if __name__ == "__main__":
    react(lambda reactor: Deferred.fromCoroutine(send(reactor, Path(sys.argv[1]))))
