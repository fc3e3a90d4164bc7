"""Makes the search index behind the mail: ``python -m gateway.app.indexer``, started by our parent.

Owns the process: its low priority, when it rests, and its end, on SIGTERM or when the parent is
gone. Both may come at any moment: what was not committed is done again next time. What is done is
``store.search_index.indexer``'s. It has no reactor, no sockets and no secrets.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path

from twisted.logger import Logger

from gateway.app.boot import parent_gone, read_boot
from gateway.app.log import begin_child_log
from gateway.core.errors import GatewayError
from gateway.store import engine
from gateway.store.layout import Layout
from gateway.store.search_index.indexer import Indexer

NAME = "indexer"
NICE = 19
POLL_S = 2.0
"""Asking whether anything was committed costs microseconds; more often, batches get smaller."""

log = Logger()


def main() -> None:
    """Index until told to end."""
    boot = read_boot()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's Ctrl-C is for the parent
    signal.signal(signal.SIGTERM, _end)
    begin_child_log(NAME)
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, NICE)
    try:
        serve(Path(boot["state_dir"]), parent_gone)
    except sqlite3.Error as error:
        log.error("the store's index cannot be read: {error}", error=str(engine.store_error(error)))
        sys.exit(1)
    except GatewayError as error:
        log.error("cannot index: {error}", error=str(error))
        sys.exit(1)


def serve(state_dir: Path, is_over: Callable[[float], bool]) -> None:
    """Index what comes in.

    Args:
        is_over: waits up to so many seconds for the end; whether it has come.

    Raises:
        GatewayError, sqlite3.Error
    """
    indexer = Indexer(Layout(state_dir))
    try:
        busy = True
        while not is_over(0.0 if busy else POLL_S):
            busy = indexer.step(lambda: is_over(0.0))
    finally:
        indexer.close()


def _end(number: int, frame: object) -> None:
    sys.exit(0)


if __name__ == "__main__":
    main()
