"""The search index's own process, beside one serving process or several.

Owns whether there is one and what it is told; ``indexer`` is that process.
"""

from __future__ import annotations

from typing import Any

from gateway.app.children import Child
from gateway.app.process import LogSink, Process
from gateway.core.settings.model import Settings

MODULE = "gateway.app.indexer"
NICE = 19
"""It takes the time that serving leaves."""


def indexer(settings: Settings, reactor: Any, log_sink: LogSink) -> Child | None:
    """The child to start, None if there is to be no index."""
    if not settings.search.index:
        return None
    boot = {"state_dir": settings.state_dir}
    return Child("indexer", lambda: Process.spawn(MODULE, boot, log=log_sink, nice=NICE), reactor)
