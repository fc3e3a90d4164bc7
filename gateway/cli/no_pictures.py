"""How pictures of directories are while no gateway runs: nobody refreshes any, so there is nothing
to tell of, and nothing is held back."""

from __future__ import annotations

from collections.abc import Callable

from gateway.cli.queue_access import Call
from gateway.core.settings.model import Settings


def at_store(settings: Settings, work: Callable[[Call], None]) -> None:
    """Never calls ``work``."""
