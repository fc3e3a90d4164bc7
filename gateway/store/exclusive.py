"""A store for one command alone, which must not run beside a gateway or another command."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from gateway.core.errors import StoreUnavailable
from gateway.store.layout import DIRECTORY_MODE, Layout
from gateway.store.presence import Roll


@contextlib.contextmanager
def only_user(layout: Layout) -> Iterator[None]:
    """Nobody else uses the store inside the block; its state directory is made if it is missing.

    Raises:
        StoreUnavailable: somebody else does, or the directory belongs to somebody else.
        OSError
    """
    layout.state_dir.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
    owner = layout.state_dir.stat().st_uid
    if owner != os.geteuid():
        raise StoreUnavailable(
            f"{layout.state_dir} belongs to user id {owner}; run this command as that user"
        )
    lock = layout.take_lock()
    try:
        roll = Roll(layout)
        try:
            if not roll.alone:
                raise StoreUnavailable(
                    f"a command is using the mail store in {layout.state_dir} (process "
                    f"{roll.processes() or 'unknown'}); wait until it has ended"
                )
            yield
        finally:
            roll.close()
    finally:
        os.close(lock)
